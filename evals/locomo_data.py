"""Conversations in LoCoMo's own format (Maharana et al., ACL 2024): turns, observations, questions."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_SESSION = re.compile(r"session_(\d+)")
_DIALOG_ID = re.compile(r"D:?(\d+):(\d+)")  # the data has "D8:6; D9:17", "D30:05" and "D:11:26" too


@dataclass(frozen=True, slots=True)
class Said:
    """One turn. `text` is `speaker: words` and, in brackets, what a shared picture shows."""

    dialog_id: str
    session: int
    position: int
    text: str
    said_at: datetime
    by_first_speaker: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """What a person would write down, and the turns it came from."""

    text: str
    dialog_ids: tuple[str, ...]
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and the turns that answer it."""

    text: str
    evidence: frozenset[str]
    category: int
    """LoCoMo's number for its kind."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One pair of speakers over many sessions."""

    name: str
    turns: tuple[Said, ...]
    observations: tuple[Observation, ...]
    questions: tuple[Asked, ...]
    """Only those whose evidence is among the turns."""
    left_out: int
    """Questions without such evidence."""


def read(path: Path) -> list[Conversation]:
    """Every conversation of the file.

    Raises:
        ValueError: the file is not in LoCoMo's format.
    """
    try:
        return [
            _conversation(number, sample)
            for number, sample in enumerate(json.loads(path.read_text()), start=1)
        ]
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"{path} is not a file in LoCoMo's format: {type(exc).__name__} {exc}") from exc


def dialog_ids(evidence: object) -> tuple[str, ...]:
    """The ids in an evidence entry, each once, in order and in one spelling; what is no id is left out."""
    entries = evidence if isinstance(evidence, list) else [evidence]
    found = (match for entry in entries for match in _DIALOG_ID.finditer(str(entry)))
    return tuple(dict.fromkeys(f"D{int(match[1])}:{int(match[2])}" for match in found))


def _conversation(number: int, sample: dict[str, Any]) -> Conversation:
    turns = tuple(_turns(sample["conversation"]))
    known = frozenset(turn.dialog_id for turn in turns)
    questions = [
        Asked(qa["question"], known.intersection(dialog_ids(qa.get("evidence"))), qa["category"])
        for qa in sample["qa"]
    ]
    answerable = tuple(question for question in questions if question.evidence)
    return Conversation(
        name=str(sample.get("sample_id", f"conversation-{number}")),
        turns=turns,
        observations=tuple(_observations(sample, known)),
        questions=answerable,
        left_out=len(questions) - len(answerable),
    )


def _turns(conversation: dict[str, Any]) -> Iterator[Said]:
    for session in _sessions(conversation):
        began = _date(conversation, session)
        for position, turn in enumerate(conversation[f"session_{session}"]):
            caption = turn.get("blip_caption")
            yield Said(
                dialog_id=dialog_ids(turn["dia_id"])[0],
                session=session,
                position=position,
                text=f"{turn['speaker']}: {turn.get('text', '')}{f' [{caption}]' if caption else ''}",
                said_at=began + timedelta(seconds=position),
                by_first_speaker=turn["speaker"] == conversation["speaker_a"],
            )


def _observations(sample: dict[str, Any], known: frozenset[str]) -> Iterator[Observation]:
    for key, by_speaker in sample["observation"].items():
        session = int(_SESSION.findall(key)[0])
        for text, evidence in (entry for entries in by_speaker.values() for entry in entries):
            ids = tuple(one for one in dialog_ids(evidence) if one in known)
            yield Observation(text, ids, _date(sample["conversation"], session))


def _sessions(conversation: dict[str, Any]) -> list[int]:
    return sorted(int(match[1]) for key in conversation if (match := _SESSION.fullmatch(key)))


def _date(conversation: dict[str, Any], session: int) -> datetime:
    """`1:56 pm on 8 May, 2023`."""
    return datetime.strptime(conversation[f"session_{session}_date_time"], "%I:%M %p on %d %B, %Y").replace(
        tzinfo=UTC
    )
