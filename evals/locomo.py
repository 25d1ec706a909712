"""Is what was said found again? `python -m evals.locomo --data FILE [--json FILE]`, FILE in LoCoMo's format.

Each conversation is a user and each session a call, with turns and observations stored as calls and learning
store them. Every question is asked once through the Recaller of a new call, in the configuration that ships.
The ranking of tier 2 is read as distinct turns: a fact counts as the turns it came from, three at most. No
language model and no re-ranker is involved.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from uuid import UUID, uuid4

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.call import CallMemory
from echoic.memory.config import load_settings
from echoic.memory.recall.facts_tier import HybridSearch
from echoic.memory.service import Memory, open_memory
from echoic.memory.store.turns import turn_id_for
from echoic.memory.types import Caller, Fact, Item, Turn
from evals.locomo_data import Asked, Conversation, Observation, Said, read
from evals.machine import commit, hardware

CUTS = (5, 10, 20)
TURNS_OF_A_FACT = 3
BUDGET_S = 10.0
"""Large enough that no answer is late: evals/latency.py measures deadlines."""
AGENT = "locomo"
AT_ONCE = 8  # turns stored and embedded at the same time; the embedder has two threads


@dataclass(frozen=True, slots=True)
class Answer:
    """How one question fared."""

    category: int
    recall_at: tuple[float, ...]
    """Share of the evidence among the first turns, for each of CUTS."""
    elapsed_ms: float
    embedding_ms: float


def main(
    data: Annotated[
        Path, typer.Option("--data", help="Conversations in LoCoMo's format.", exists=True, dir_okay=False)
    ],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure how much of the evidence of LoCoMo's questions is recalled, and in what time."""
    console = Console()
    try:
        conversations = read(data)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--data") from exc
    with TemporaryDirectory(prefix="echoic-locomo-") as folder, open_stores(Path(folder) / "data") as stores:
        answers = asyncio.run(measure(stores, conversations, console))
    report = report_of(answers, left_out=sum(one.left_out for one in conversations))
    _show(report, console)
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(stores: Stores, conversations: Sequence[Conversation], console: Console) -> list[Answer]:
    """Store every conversation, then ask every question."""
    settings = load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )
    answers: list[Answer] = []
    with Progress(console=console) as progress:
        storing = progress.add_task("Storing turns", total=sum(len(one.turns) for one in conversations))
        asking = progress.add_task("Asking", total=sum(len(one.questions) for one in conversations))
        async with open_memory(settings) as memory:
            for conversation in conversations:
                await store_turns(memory, conversation, lambda: progress.advance(storing))
                await _store_facts(memory, conversation)
            for conversation in conversations:
                call = await memory.open_call(caller_of(conversation, "questions"))
                dialog_ids = dialog_ids_of(conversation)
                for question in conversation.questions:
                    answers.append(await _ask(call, question, dialog_ids))
                    progress.advance(asking)
    return answers


def report_of(answers: Sequence[Answer], left_out: int) -> dict[str, Any]:
    """The figures of all answers, and of each category."""
    by_category: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_category[answer.category].append(answer)
    elapsed_ms = [answer.elapsed_ms for answer in answers]
    return {
        "commit": commit(),
        "hardware": hardware(),
        "date": f"{datetime.now(UTC):%d %b %Y}",
        **_shares(answers),
        "left_out": left_out,
        "by_category": {str(category): _shares(by_category[category]) for category in sorted(by_category)},
        "p50_ms": round(float(np.percentile(elapsed_ms, 50)), 3),
        "p95_ms": round(float(np.percentile(elapsed_ms, 95)), 3),
        "embedding_p50_ms": round(float(np.percentile([answer.embedding_ms for answer in answers], 50)), 3),
    }


def first_turns(items: Sequence[Item]) -> list[UUID]:
    """Distinct turns in the order in which a ranking names them."""
    return list(dict.fromkeys(turn_id for item in items for turn_id in item.turn_ids[:TURNS_OF_A_FACT]))


def _shares(answers: Sequence[Answer]) -> dict[str, Any]:
    recall = np.array([answer.recall_at for answer in answers])
    return {
        "questions": len(answers),
        "recall_at": {
            str(cut): round(float(share), 4) for cut, share in zip(CUTS, recall.mean(axis=0), strict=True)
        },
        "hit_at": {
            str(cut): round(float(share), 4)
            for cut, share in zip(CUTS, (recall > 0).mean(axis=0), strict=True)
        },
    }


async def store_turns(memory: Memory, conversation: Conversation, advance: Any) -> None:
    """As a call stores them: the row first, then its vector, each text by itself."""
    free = asyncio.Semaphore(AT_ONCE)

    async def store(said: Said) -> None:
        async with free:
            turn = _turn(conversation, said)
            await memory.turns.record(turn)
            await memory.turns.embed_turn(turn)
            advance()

    async with asyncio.TaskGroup() as group:
        for said in conversation.turns:
            group.create_task(store(said))


async def _store_facts(memory: Memory, conversation: Conversation) -> None:
    sessions = {turn.dialog_id: turn.session for turn in conversation.turns}
    facts = [_fact(conversation, observation, sessions) for observation in conversation.observations]
    vectors = await memory.embedder.embed_batch([fact.text for fact in facts])
    await memory.db.transaction(lambda connection: memory.facts.add(connection, facts, vectors), timeout_s=60)


async def _ask(call: CallMemory, question: Asked, dialog_ids: dict[UUID, str]) -> Answer:
    began = time.perf_counter()
    items = await found(call, question.text)
    asked = time.perf_counter()
    await call.memory.embedder.embed(question.text)
    embedded = time.perf_counter()
    ranking = [dialog_ids[turn_id] for turn_id in first_turns(items)]
    return Answer(
        question.category,
        recall_at(ranking, question.evidence),
        (asked - began) * 1000,
        (embedded - asked) * 1000,
    )


async def found(call: CallMemory, text: str) -> tuple[Item, ...]:
    """What tier 2 finds for one question, best first; nothing of it serves another question.

    Raises:
        RuntimeError: tier 2 failed, or was late.
    """
    recall = await call.recall(text, budget_s=BUDGET_S)
    call.memory.recaller.forget_call(call.caller)
    result = recall.tiers[HybridSearch.name]
    if result.status not in ("ok", "empty"):
        raise RuntimeError(f"a question was not answered: tier {HybridSearch.name} is {result.status}")
    return result.items


def recall_at(ranking: Sequence[str], evidence: Collection[str]) -> tuple[float, ...]:
    """Share of the evidence among the first turns of a ranking, for each of CUTS."""
    return tuple(len(set(evidence).intersection(ranking[:cut])) / len(evidence) for cut in CUTS)


def caller_of(conversation: Conversation, call: str) -> Caller:
    """A conversation is a user, and each session a call."""
    return Caller(user_id=conversation.name, agent_id=AGENT, call_id=f"{conversation.name}/{call}")


def dialog_ids_of(conversation: Conversation) -> dict[UUID, str]:
    """The id that each stored turn has in the file."""
    return {
        _turn_id(conversation, turn.session, turn.dialog_id): turn.dialog_id for turn in conversation.turns
    }


def _turn_id(conversation: Conversation, session: int, dialog_id: str) -> UUID:
    return turn_id_for(caller_of(conversation, str(session)).call_id, dialog_id)


def _turn(conversation: Conversation, said: Said) -> Turn:
    caller = caller_of(conversation, str(said.session))
    return Turn(
        turn_id=_turn_id(conversation, said.session, said.dialog_id),
        user_id=caller.user_id,
        agent_id=caller.agent_id,
        call_id=caller.call_id,
        position=said.position,
        role="user" if said.by_first_speaker else "assistant",
        text=said.text,
        said_at=said.said_at,
    )


def _fact(conversation: Conversation, observation: Observation, sessions: dict[str, int]) -> Fact:
    return Fact(
        fact_id=uuid4(),
        user_id=conversation.name,
        text=observation.text,
        topic="observation",
        importance=0.5,
        scope="user",
        agent_id=AGENT,
        said_at=observation.said_at,
        turn_ids=tuple(_turn_id(conversation, sessions[one], one) for one in observation.dialog_ids),
    )


def _show(report: dict[str, Any], console: Console) -> None:
    table = Table(
        title=f"Evidence found, {report['questions']} questions",
        caption=f"{report['commit']} · {report['hardware']}",
    )
    for column in (
        "category",
        "questions",
        *(f"recall@{cut}" for cut in CUTS),
        *(f"hit@{cut}" for cut in CUTS),
    ):
        table.add_column(column, justify="left" if column == "category" else "right")
    for name, shares in [*report["by_category"].items(), ("all", report)]:
        figures = [f"{shares[kind][str(cut)]:.3f}" for kind in ("recall_at", "hit_at") for cut in CUTS]
        table.add_row(name, str(shares["questions"]), *figures)
    console.print(table)
    console.print(f"{report['left_out']} questions left out: their evidence is not among the turns.")
    console.print(
        f"p50 {report['p50_ms']:.1f} ms, p95 {report['p95_ms']:.1f} ms; "
        f"the bare embedding p50 {report['embedding_p50_ms']:.1f} ms"
    )


if __name__ == "__main__":
    typer.run(main)
