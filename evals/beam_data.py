"""Chats of BEAM (Tavakoli et al., arXiv 2510.27246) in the files' own format, as conversations."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evals.locomo_data import Conversation, Said

ABSTENTION = "abstention"
_TAIL = re.compile(r"\s*->->[\s\d,]*$")
"""Where in the plan of the generator a turn stands: nobody said it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question about a chat."""

    ability: str
    text: str
    evidence: frozenset[str]
    """Turns that answer it; none, where it cannot be answered."""
    original: frozenset[str] = frozenset()
    updated: frozenset[str] = frozenset()
    """Of what has changed: the turns that told it first, and those that told the change."""

    @property
    def changed(self) -> bool:
        """Whether one turn can stand above another; BEAM names the same turn for both here and there."""
        return bool(self.original and self.updated) and self.original != self.updated


@dataclass(frozen=True, slots=True)
class Chat:
    """One user's turns, each batch a session, and what is asked about them."""

    conversation: Conversation
    probes: tuple[Probe, ...]


def read(folder: Path) -> list[Chat]:
    """Every chat below the folder: a `chat.json` with its `probing_questions.json`.

    Raises:
        ValueError: there is none, or one is not in BEAM's format.
    """
    paths = sorted(folder.rglob("chat.json"))
    if not paths:
        raise ValueError(f"no chat.json below {folder}")
    try:
        return [_chat(path, folder) for path in paths]
    except (KeyError, TypeError, AttributeError, IndexError, OSError) as exc:
        raise ValueError(f"{folder} is not in BEAM's format: {type(exc).__name__} {exc}") from exc


def _chat(path: Path, folder: Path) -> Chat:
    turns = tuple(_turns(json.loads(path.read_text(encoding="utf-8"))))
    # beside the chat, or in a folder of their own, as in BEAM's repository
    asked_in = min(
        path.parent.rglob("probing_questions.json"), default=path.with_name("probing_questions.json")
    )
    questions = json.loads(asked_in.read_text(encoding="utf-8"))
    known = frozenset(turn.dialog_id for turn in turns)
    probes = (_probe(ability, item, known) for ability, items in questions.items() for item in items)
    kept = tuple(probe for probe in probes if probe.evidence or probe.ability == ABSTENTION)
    name = "/".join(path.parent.relative_to(folder).parts) or path.parent.name
    asked = sum(map(len, questions.values()))
    return Chat(Conversation(name, turns, (), (), asked - len(kept)), kept)


def _probe(ability: str, item: dict[str, Any], known: frozenset[str]) -> Probe:
    sources = item.get("source_chat_ids") or []
    by_part = sources if isinstance(sources, dict) else {"": sources}
    turns = {part: known.intersection(map(str, _ids(ids))) for part, ids in by_part.items()}
    return Probe(
        ability,
        item["question"],
        frozenset().union(*turns.values()),
        turns.get("original_info", frozenset()),
        turns.get("updated_info", frozenset()),
    )


def _ids(ids: Any) -> Iterator[int]:
    if isinstance(ids, list):
        for one in ids:
            yield from _ids(one)
    else:
        yield int(ids)


def _turns(batches: list[dict[str, Any]]) -> Iterator[Said]:
    for session, batch in enumerate(batches, start=1):
        turns = [turn for group in batch["turns"] for turn in group]
        anchors = [turn["time_anchor"] for turn in turns if turn.get("time_anchor")]
        began = datetime.strptime(anchors[0], "%B-%d-%Y").replace(tzinfo=UTC)
        for position, turn in enumerate(turns):
            yield Said(
                dialog_id=str(turn["id"]),
                session=session,
                position=position,
                text=_TAIL.sub("", turn["content"]),
                said_at=began + timedelta(seconds=position),
                by_first_speaker=turn["role"] == "user",
            )
