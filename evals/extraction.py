"""What is learned from what was said?

`python -m evals.extraction [--data FILE_OR_FOLDER] [--half open|sealed] [--replay] [--json FILE]
[--gguf FILE | --model-url URL]`.

Each case is a user on embedded stores: known facts are planted as live ones, the turns recorded, and the
worker's own learner learns them. A new fact is right when it holds all words of a `learn` list and of no
`never` list (case-insensitive, at most 200 characters); precision is right new facts among all live new ones
(`precision_judged`: among those of which the case says that they are right or wrong),
recall the `learn` lists that some live fact satisfies (one fact satisfies one list), closed_right the facts
closed as they should be among those that should be or wrongly were. With `--replay` the model's answer comes
from the case: `survived` are the `learn` and `close` lists met where it is right, `refused` the cases of
which nothing came where it is wrong, `kept` the facts of `keep` that stayed live.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, get_args
from uuid import uuid4
from zoneinfo import ZoneInfo

import typer
from pydantic import SecretStr
from rich.console import Console

from echoic.local.llm.model_server import served
from echoic.local.servers.stores import open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.errors import MemoryFault
from echoic.memory.model_verdict import Grade
from echoic.memory.service import Memory, open_memory
from echoic.memory.store.turns import turn_id_for
from echoic.memory.text.secrets import hide_secrets
from echoic.memory.types import Fact, Turn
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.extractor import VerifiedExtractor
from echoic.workers.learn.learner import Learner
from evals.learning.cases import Case, Half, drawn, read
from evals.learning.replay import Replay
from evals.learning.score import Score, figures, score_case
from evals.machine import commit, hardware

DATA = Path(__file__).parent / "data" / "extraction"
AGENT = "extraction"


def main(
    data: Annotated[
        Path,
        typer.Option(
            "--data", help="Cases, one JSON object a line: a file, or a folder of them.", exists=True
        ),
    ] = DATA,
    half: Annotated[str, typer.Option(help="`open`, `sealed` (run when done) or `all`.")] = "all",
    replay: Annotated[bool, typer.Option("--replay", help="No model: each case brings its answer.")] = False,
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
    grade: Annotated[str, typer.Option(help="How far the model is trusted: `full` or `adds`.")] = "full",
    only: Annotated[str, typer.Option(help="Cases whose id starts with this.")] = "",
    one_in: Annotated[int, typer.Option(help="Of these, every n-th, drawn by a hash.", min=1)] = 1,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print what went wrong in each case.")] = False,
) -> None:
    """Measure precision and recall of what is learned, and how often an old fact is closed rightly."""
    if half not in get_args(Half):
        raise typer.BadParameter("One of open, sealed, all.", param_hint="--half")
    cases = [case for case in read(data) if half in ("all", case.half) and case.case_id.startswith(only)]
    cases = [case for case in cases if drawn(case.case_id, one_in)]
    if replay:
        cases = [case for case in cases if case.model.get("facts") or case.model.get("ends")]
    console = Console(stderr=True)
    trusted: Grade = "adds" if grade == "adds" else "full"
    try:
        with TemporaryDirectory(prefix="echoic-extraction-") as folder, open_stores(Path(folder)) as stores:
            settings = load_settings(
                database_url=stores.database_url,
                redis_url=stores.redis_url,
                data_dir=Path(folder),
                extractor=extractor,
                model_timeout_s=600,
            )
            if replay:
                score, name = (
                    asyncio.run(_run(settings, cases, console, verbose, trusted, Replay())),
                    "replay",
                )
            else:
                with served_model(settings, gguf, model_url, model) as ready:
                    score = asyncio.run(_run(ready, cases, console, verbose, trusted, None))
                    name = ready.llm_model or "default"
    except MemoryFault as exc:
        console.print(str(exc), style="red")
        raise typer.Exit(1) from exc
    found = figures(score, len(cases), name, replayed=replay)
    print(json.dumps(found))
    if json_file is not None:
        ran: dict[str, Any] = {"extractor": extractor, "data": data.stem, "half": half}
        ran |= {"commit": commit(), "hardware": hardware()}
        ran |= {"date": f"{datetime.now(UTC):%d %b %Y}", "grade": grade, "only": only, "one_in": one_in}
        json_file.write_text(json.dumps(found | ran, indent=2) + "\n")


async def _run(
    settings: MemorySettings,
    cases: Sequence[Case],
    console: Console,
    verbose: bool,
    grade: Grade,
    replay: Replay | None,
) -> Score:
    total = Score()
    async with open_memory(settings) as memory:
        model = None
        if replay is None:
            extractor, model = make_extractor(settings, grade)
        else:
            extractor = VerifiedExtractor(replay, ZoneInfo(settings.timezone), grade=grade)
        learner = Learner(memory, extractor)
        for number, case in enumerate(cases, 1):
            if replay is not None:
                replay.case = case
            tokens = model.cost.tokens if model else 0
            score, wrong = await _learn(memory, learner, case)
            score.tokens = (model.cost.tokens if model else 0) - tokens
            total.add(score)
            if verbose and wrong:
                console.print(f"{case.case_id}: " + "; ".join(wrong), markup=False, highlight=False)
            if replay is None:
                done = f"{number}/{len(cases)} {case.case_id} {score.seconds:.1f} s"
                console.print(done, style="dim", highlight=False)
        return total


async def _learn(memory: Memory, learner: Learner, case: Case) -> tuple[Score, list[str]]:
    user_id = f"{case.case_id}-{uuid4().hex[:6]}"
    turns = [
        _turn(user_id, position, turn, before["text"])
        for position, (before, turn) in enumerate(pairwise(({"text": ""}, *case.turns)))
    ]
    before = await _plant(memory, user_id, case, min(turn.said_at for turn in turns) - timedelta(days=30))
    for turn in turns:
        await memory.turns.record(turn)
    began = time.perf_counter()
    report = await learner.learn(user_id)
    seconds = time.perf_counter() - began
    score, wrong = score_case(case, before, await memory.facts.list(user_id, include_closed=True))
    score.seconds, score.failed = seconds, report.dead + report.failed
    return score, wrong


async def _plant(memory: Memory, user_id: str, case: Case, said_at: datetime) -> list[Fact]:
    """Known facts as another system may have left them: whose they are is not noted."""
    facts = [Fact(uuid4(), user_id, text, "", 0.5, "user", AGENT, said_at, about=None) for text in case.known]
    vectors = await memory.embedder.embed_batch(list(case.known))
    await memory.db.transaction(lambda connection: memory.facts.add(connection, facts, vectors))
    return facts


def _turn(user_id: str, position: int, turn: dict[str, Any], asked: str) -> Turn:
    """As a call records it: secrets are masked first."""
    said_at = datetime.fromisoformat(turn["said_at"])
    return Turn(
        turn_id=turn_id_for(user_id, str(position)),
        user_id=user_id,
        agent_id=AGENT,
        call_id=user_id,
        position=position,
        role=turn["role"],
        text=hide_secrets(turn["text"], asked),
        said_at=said_at if said_at.tzinfo else said_at.replace(tzinfo=UTC),
        interrupted=bool(turn.get("interrupted", False)),
    )


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


if __name__ == "__main__":
    typer.run(main)
