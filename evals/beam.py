"""Is what long chats hold found, and what is new above what is old? `python -m evals.beam --data FOLDER`

FOLDER holds chats of BEAM, each a `chat.json` with its `probing_questions.json`. Each chat is a user and
each batch of it a call, with the turns stored as calls store them. Every question is asked once, as in
evals/locomo.py; what is read is the order in which a block takes what tier 2 found. No language model is
involved:

- how much of the evidence is among the first ten turns, by ability;
- of what has changed, whether the change stands above what was told first;
- how far the best score of questions that cannot be answered lies below that of the others.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import load_settings
from echoic.memory.recall.fusion import fused
from echoic.memory.service import open_memory
from evals.beam_data import ABSTENTION, Chat, Probe, read
from evals.locomo import caller_of, dialog_ids_of, first_turns, found, store_turns
from evals.machine import commit, hardware

FIRST = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """How one question fared."""

    probe: Probe
    ranking: tuple[str, ...]
    """Turns in the order in which a block takes them."""
    best_score: float

    @property
    def recall(self) -> float:
        """Share of the evidence among the first turns."""
        return len(self.probe.evidence.intersection(self.ranking[:FIRST])) / len(self.probe.evidence)

    @property
    def updated_above(self) -> bool:
        """Whether the change stands above what was told first; a change that is not found does not."""
        return self._place(self.probe.updated) < self._place(self.probe.original)

    def _place(self, turns: frozenset[str]) -> int:
        return next((at for at, turn in enumerate(self.ranking) if turn in turns), len(self.ranking))


def main(
    data: Annotated[
        Path, typer.Option("--data", help="Folder of BEAM's chats.", exists=True, file_okay=False)
    ],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure what of BEAM's chats is recalled, and in which order."""
    console = Console()
    try:
        chats = read(data)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--data") from exc
    with TemporaryDirectory(prefix="echoic-beam-") as folder, open_stores(Path(folder) / "data") as stores:
        answers = asyncio.run(measure(stores, chats, console))
    report = report_of(answers, chats)
    console.print_json(json.dumps(report))
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(stores: Stores, chats: Sequence[Chat], console: Console) -> list[Answer]:
    """Store every chat, then ask every question."""
    settings = load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )
    answers: list[Answer] = []
    with Progress(console=console) as progress:
        storing = progress.add_task("Storing", total=sum(len(chat.conversation.turns) for chat in chats))
        async with open_memory(settings) as memory:
            for chat in chats:
                await store_turns(memory, chat.conversation, lambda: progress.advance(storing))
            for chat in chats:
                call = await memory.open_call(caller_of(chat.conversation, "questions"))
                dialog_ids = dialog_ids_of(chat.conversation)
                for probe in chat.probes:
                    items = await found(call, probe.text)
                    ranking = tuple(dialog_ids[turn_id] for turn_id in first_turns(fused(items)))
                    best = max((item.score for item in items), default=0.0)
                    answers.append(Answer(probe, ranking, best))
    return answers


def report_of(answers: Sequence[Answer], chats: Sequence[Chat]) -> dict[str, Any]:
    """The figures of all answers, and of each ability."""
    answerable = [answer for answer in answers if answer.probe.evidence]
    by_ability: dict[str, list[Answer]] = defaultdict(list)
    for answer in answerable:
        by_ability[answer.probe.ability].append(answer)
    changed = [answer for answer in answers if answer.probe.changed]
    return {
        "commit": commit(),
        "hardware": hardware(),
        "date": f"{datetime.now(UTC):%d %b %Y}",
        "chats": len(chats),
        "turns": sum(len(chat.conversation.turns) for chat in chats),
        "left_out": sum(chat.conversation.left_out for chat in chats),
        **_shares(answerable),
        "by_ability": {ability: _shares(by_ability[ability]) for ability in sorted(by_ability)},
        "changed": len(changed),
        "updated_above": round(mean(answer.updated_above for answer in changed), 4) if changed else None,
        "abstention": _margin(
            [answer.best_score for answer in answerable],
            [answer.best_score for answer in answers if answer.probe.ability == ABSTENTION],
        ),
    }


def _shares(answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        "questions": len(answers),
        "recall_at_10": round(mean(answer.recall for answer in answers), 4),
        "hit_at_10": round(mean(answer.recall > 0 for answer in answers), 4),
    }


def _margin(answerable: Sequence[float], others: Sequence[float]) -> dict[str, Any] | None:
    """Of the best scores: both medians, how far they are apart, and how often an answerable question has the
    higher one (0.5: the score says nothing about it)."""
    if not answerable or not others:
        return None
    above = mean((one > other) + (one == other) / 2 for one in answerable for other in others)
    return {
        "questions": len(others),
        "answerable": round(median(answerable), 3),
        "not_answerable": round(median(others), 3),
        "margin": round(median(answerable) - median(others), 3),
        "told_apart": round(above, 4),
    }


if __name__ == "__main__":
    typer.run(main)
