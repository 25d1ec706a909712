"""What is learned from what was said?

`python -m evals.extraction --data CASES.jsonl [--json FILE] [--gguf FILE | --model-url URL]`.

Each case is a user on embedded stores: known facts are planted as live ones, the turns recorded, and the
worker's own learner learns them. A new fact is right when it holds all words of a `learn` list and of no
`never` list (case-insensitive, at most 200 characters); precision is right new facts among all live new ones,
recall the `learn` lists that some live fact satisfies (one fact satisfies one list), closed_right the facts
closed as they should be among those that should be or wrongly were.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from uuid import uuid4

import typer
from pydantic import SecretStr
from rich.console import Console

from echoic.local.llm.model_server import served
from echoic.local.servers.stores import open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.errors import MemoryFault
from echoic.memory.service import Memory, open_memory
from echoic.memory.store.turns import turn_id_for
from echoic.memory.types import Fact, Turn
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from evals.machine import commit, hardware

DATA = Path(__file__).parent / "data" / "extraction.jsonl"
AGENT = "extraction"
MOST_CHARS = 200
TRIES = 3
"""As often as a worker tries a batch before it gives it up."""
Words = Sequence[str]


@dataclass(frozen=True, slots=True)
class Case:
    """One exchange, and what should and should not be learned from it."""

    case_id: str
    known: tuple[str, ...]
    turns: tuple[dict[str, Any], ...]
    learn: tuple[Words, ...]
    never: tuple[Words, ...]
    close: tuple[Words, ...]


@dataclass(slots=True)
class Score:
    """Counts over the cases so far."""

    facts: int = 0
    right: int = 0
    lists: int = 0
    found: int = 0
    never: int = 0
    """Live new facts that hold all words of a `never` list."""
    to_close: int = 0
    closed: int = 0
    wrongly_closed: int = 0
    failed: int = 0
    """Batches that ended dead."""
    seconds: float = 0.0

    def add(self, other: "Score") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def main(
    data: Annotated[
        Path, typer.Option("--data", help="Cases, one JSON object a line.", exists=True, dir_okay=False)
    ] = DATA,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    gguf: Annotated[
        Path | None,
        typer.Option(
            help="Serve this model file for the run.", envvar="ECHOIC_GGUF", exists=True, dir_okay=False
        ),
    ] = None,
    model_url: Annotated[
        str, typer.Option(help="An OpenAI-compatible address. Default: ECHOIC_LLM_URL, or OpenAI with a key.")
    ] = "",
    model: Annotated[str, typer.Option(help="The model's name, if the address has several.")] = "",
    extractor: Annotated[str, typer.Option(help="`echoic` (one call) or `mem0`.")] = "echoic",
    part: Annotated[
        str, typer.Option(help="`all`, or every second case: `even` (used for tuning) or `odd`.")
    ] = "all",
    only: Annotated[str, typer.Option(help="Cases whose id starts with this.")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", help="Print what went wrong in each case.")] = False,
) -> None:
    """Measure precision and recall of what is learned, and how often an old fact is closed rightly."""
    cases = [case for case in _part(read(data), part) if case.case_id.startswith(only)]
    console = Console(stderr=True)
    try:
        with TemporaryDirectory(prefix="echoic-extraction-") as folder, open_stores(Path(folder)) as stores:
            settings = load_settings(
                database_url=stores.database_url,
                redis_url=stores.redis_url,
                data_dir=Path(folder),
                extractor=extractor,
                model_timeout_s=600,
            )
            with served_model(settings, gguf, model_url, model) as ready:
                score, name = asyncio.run(_run(ready, cases, console, verbose))
    except MemoryFault as exc:
        console.print(str(exc), style="red")
        raise typer.Exit(1) from exc
    figures = _figures(score, len(cases), name)
    console.print(
        f"{extractor}: never-lists broken {score.never}, wrongly closed {score.wrongly_closed}, "
        f"dead batches {score.failed}"
    )
    print(json.dumps(figures))
    if json_file is not None:
        ran = {
            "extractor": extractor,
            "commit": commit(),
            "hardware": hardware(),
            "date": f"{datetime.now(UTC):%d %b %Y}",
        }
        json_file.write_text(json.dumps(figures | ran, indent=2) + "\n")


def read(path: Path) -> list[Case]:
    """The cases of a file; a known fact is a text, or an object with a `text`."""
    return [_case(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def score_case(case: Case, before: Sequence[Fact], after: Sequence[Fact]) -> tuple[Score, list[str]]:
    """Counts of one case, and sentences on what was wrong. `after`: all facts, closed ones too."""
    now, known_ids = datetime.now(UTC), {fact.fact_id for fact in before}
    live = {fact.fact_id: fact for fact in after if fact.valid_until is None or fact.valid_until > now}
    score, wrong = Score(lists=len(case.learn)), []
    new = [fact for fact in live.values() if fact.fact_id not in known_ids]
    unmet = _unmet(case.learn, [fact.text for fact in live.values()])
    score.found = len(case.learn) - len(unmet)
    for fact in new:
        broken = any(_holds(fact.text, words) for words in case.never)
        right = not broken and any(_holds(fact.text, words) for words in case.learn)
        score.facts, score.right, score.never = score.facts + 1, score.right + right, score.never + broken
        wrong += [] if right else [f"should not be learned: {fact.text}"]
    for fact in before:
        should, closed = any(_holds(fact.text, words) for words in case.close), fact.fact_id not in live
        score.to_close, score.closed = score.to_close + should, score.closed + (should and closed)
        score.wrongly_closed += closed and not should
        if should != closed:
            wrong.append(f"{'wrongly' if closed else 'not'} closed: {fact.text}")
    return score, wrong + [f"missed: {' + '.join(words)}" for words in unmet]


async def _run(
    settings: MemorySettings, cases: Sequence[Case], console: Console, verbose: bool
) -> tuple[Score, str]:
    total = Score()
    async with open_memory(settings) as memory:
        extractor, model = make_extractor(settings)
        learner = Learner(memory, extractor)
        for number, case in enumerate(cases, 1):
            score, wrong = await _learn(memory, learner, case)
            total.add(score)
            if verbose and wrong:
                console.print(f"{case.case_id}: " + "; ".join(wrong), markup=False, highlight=False)
            console.print(
                f"{number}/{len(cases)} {case.case_id} {score.seconds:.1f} s", style="dim", highlight=False
            )
        return total, await model.served_name()


async def _learn(memory: Memory, learner: Learner, case: Case) -> tuple[Score, list[str]]:
    user_id = f"{case.case_id}-{uuid4().hex[:6]}"
    turns = [_turn(user_id, position, turn) for position, turn in enumerate(case.turns)]
    before = await _plant(memory, user_id, case, min(turn.said_at for turn in turns) - timedelta(days=30))
    for turn in turns:
        await memory.turns.record(turn)
    began, dead = time.perf_counter(), 0
    for _ in range(TRIES):
        report = await learner.learn(user_id)
        dead += report.dead
        if not report.failed:
            break
    seconds = time.perf_counter() - began
    score, wrong = score_case(case, before, await memory.facts.list(user_id, include_closed=True))
    score.seconds, score.failed = seconds, dead
    return score, wrong


async def _plant(memory: Memory, user_id: str, case: Case, said_at: datetime) -> list[Fact]:
    facts = [Fact(uuid4(), user_id, text, "", "", 0.5, "user", AGENT, said_at) for text in case.known]
    vectors = await memory.embedder.embed_batch(list(case.known))
    await memory.db.transaction(lambda connection: memory.facts.add(connection, facts, vectors))
    return facts


def _turn(user_id: str, position: int, turn: dict[str, Any]) -> Turn:
    said_at = datetime.fromisoformat(turn["said_at"])
    return Turn(
        turn_id=turn_id_for(user_id, str(position)),
        user_id=user_id,
        agent_id=AGENT,
        call_id=user_id,
        position=position,
        role=turn["role"],
        text=turn["text"],
        said_at=said_at if said_at.tzinfo else said_at.replace(tzinfo=UTC),
        interrupted=bool(turn.get("interrupted", False)),
    )


def _unmet(lists: Sequence[Words], texts: Sequence[str]) -> list[Words]:
    """The lists left over when as many as possible get a text of their own (augmenting paths)."""
    taken: dict[int, int] = {}

    def place(number: int, tried: set[int]) -> bool:
        for at, text in enumerate(texts):
            if at not in tried and _holds(text, lists[number]):
                tried.add(at)
                if at not in taken or place(taken[at], tried):
                    taken[at] = number
                    return True
        return False

    return [words for number, words in enumerate(lists) if not place(number, set())]


def _holds(text: str, words: Words) -> bool:
    return len(text) <= MOST_CHARS and all(word.casefold() in text.casefold() for word in words)


def _case(fields: dict[str, Any]) -> Case:
    known = tuple(fact if isinstance(fact, str) else fact["text"] for fact in fields.get("known", ()))
    lists = (tuple(fields.get(name, ())) for name in ("learn", "never", "close"))
    return Case(str(fields["id"]), known, tuple(fields["turns"]), *lists)


def _part(cases: list[Case], part: str) -> list[Case]:
    return {"all": cases, "even": cases[::2], "odd": cases[1::2]}[part]


@contextmanager
def served_model(
    settings: MemorySettings, gguf: Path | None, url: str, model: str
) -> Iterator[MemorySettings]:
    """The settings with this run's model: a file served while the block runs, an address, or as named."""
    if gguf is not None:
        assert settings.data_dir is not None
        with served(gguf.absolute(), gguf.stem, settings.data_dir) as (address, key):
            yield settings.model_copy(
                update={"llm_url": address, "llm_api_key": SecretStr(key), "llm_model": gguf.stem}
            )
        return
    named = {name: value for name, value in (("llm_url", url), ("llm_model", model)) if value}
    yield settings.model_copy(update=named)


def _figures(score: Score, cases: int, model: str) -> dict[str, Any]:
    ending = score.to_close + score.wrongly_closed
    return {
        "model": model,
        "cases": cases,
        "precision": round(score.right / score.facts, 3) if score.facts else 1.0,
        "recall": round(score.found / score.lists, 3) if score.lists else 1.0,
        "closed_right": round(score.closed / ending, 3) if ending else 1.0,
        "seconds_per_case": round(score.seconds / max(cases, 1), 2),
    }


if __name__ == "__main__":
    typer.run(main)
