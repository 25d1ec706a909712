"""Does the right dated fact reach the block? `python -m evals.temporal [--data FILE] [--graph] [--json OUT]`.

Each history is told turn by turn on embedded stores, the worker's own learner (and with `--graph` its graph
ingestion) takes in each call as it ends, and each question is asked in a new call on the day it names: what
was said later does not exist yet, and the clock of memory stands at `asked_at`. Facts alone and facts with
the graph answer the same question from the same facts. A question counts when its block is right
(evals/temporal_score.py). Extraction is the one beside the data (evals/temporal_data.py), or else a model's.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.console import Console

from echoic.local.servers.graph_server import open_graph
from echoic.local.servers.stores import open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.errors import MemoryFault
from evals.extraction import served_model
from evals.machine import commit, hardware
from evals.temporal_data import Data, Script, read, read_script, script_path
from evals.temporal_tell import (
    NO_MODEL,
    Answer,
    Clock,
    Form,
    Telling,
    open_extraction,
    open_ingestion,
    open_memories,
)

DATA = Path(__file__).parent / "data" / "temporal.json"
FORMS: tuple[Form, ...] = ("facts_only", "with_graph")
PATIENT = {"model_timeout_s": 600, "store_timeout_ms": 60_000}
"""Beside a model on the same processors a store may take seconds; how fast is not measured here."""


def main(
    data: Annotated[
        Path, typer.Option("--data", help="Histories and questions.", exists=True, dir_okay=False)
    ] = DATA,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    graph: Annotated[
        bool,
        typer.Option(
            "--graph", help="Also with the graph, in an embedded FalkorDB or where the settings say."
        ),
    ] = False,
    by_model: Annotated[
        bool,
        typer.Option(
            "--by-model", help="Extract with the model even where an extraction lies beside the data."
        ),
    ] = False,
    gguf: Annotated[
        Path | None, typer.Option(help="Extract with this model file.", exists=True, dir_okay=False)
    ] = None,
    model_url: Annotated[
        str,
        typer.Option(help="Extract with an OpenAI-compatible address. Default: ECHOIC_LLM_URL, or OpenAI."),
    ] = "",
    model: Annotated[str, typer.Option(help="The model's name, if the address has several.")] = "",
    only: Annotated[str, typer.Option(help="Histories whose name starts with this.")] = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print each question that does not count, and its block.")
    ] = False,
) -> None:
    """Measure how often the block holds what was true when the question was asked, or when it asks about."""
    console = Console(stderr=True)
    try:
        told = read(data)
        beside = script_path(data)
        scripted = beside.exists() and not (by_model or gguf or model_url or model)
        script = read_script(beside, told) if scripted else None
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--data") from exc
    told = told.only(only)
    if not told.questions:
        raise typer.BadParameter("No history of that name is asked about.", param_hint="--only")
    try:
        with TemporaryDirectory(prefix="echoic-temporal-") as folder, open_stores(Path(folder)) as stores:
            settings = load_settings(
                database_url=stores.database_url,
                redis_url=stores.redis_url,
                data_dir=Path(folder),
                graph="off",
                **PATIENT,
            )
            with (
                served_model(settings, gguf, model_url, model) as ready,
                _graph_settings(ready, graph) as with_graph,
            ):
                answers, name, dead = asyncio.run(measure(told, script, ready, with_graph, console))
    except MemoryFault as exc:
        console.print(str(exc), style="red")
        raise typer.Exit(1) from exc
    figures = figures_of(answers, name)
    _show(answers, name, dead, console, verbose)
    print(json.dumps(figures))
    if json_file is not None:
        ran = {
            "wrong": wrong_of(answers),
            "commit": commit(),
            "hardware": hardware(),
            "date": f"{datetime.now(UTC):%d %b %Y}",
        }
        json_file.write_text(json.dumps(figures | ran, indent=1, ensure_ascii=False) + "\n")


async def measure(
    data: Data,
    script: Script | None,
    settings: MemorySettings,
    graph_settings: MemorySettings | None,
    console: Console,
) -> tuple[list[Answer], str, int]:
    """Tell every history and ask every question.

    Args:
        script: what the turns teach; None: the model of the settings extracts.
        graph_settings: the same stores with the graph on; None: facts alone.

    Returns:
        The answers, the name of what extracted, and how many batches it could not do.
    """
    clock = Clock()
    answers: list[Answer] = []
    async with (
        open_memories(settings, graph_settings, clock) as memories,
        open_ingestion(memories) as ingester,
    ):
        extractor, model = await open_extraction(memories["facts_only"], script)
        telling = Telling(memories, extractor, ingester, clock)
        for history, turns in data.histories.items():
            answers += await telling.tell(
                history, turns, data.of(history), script.get(history, {}) if script else {}
            )
            right = ", ".join(f"{form} {_right(answers, form)}" for form in memories)
            console.print(f"{history}: of {len(answers)} so far right: {right}", style="dim", highlight=False)
        if extractor is not None:
            await extractor.close()
    return answers, model, telling.dead


def figures_of(answers: Sequence[Answer], model: str) -> dict[str, Any]:
    """How many questions there were, and the share that counts in each form; none for one not run."""
    shares: dict[str, Any] = {
        form: round(_right(answers, form) / len(answers), 3) if form in answers[0].verdicts else None
        for form in FORMS
    }
    return {"n": len(answers), **shares, "model": model}


def wrong_of(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """The questions that do not count in some form, and why."""
    return [
        {"history": one.question.history, "question": one.question.text}
        | {form: verdict.reason for form, verdict in one.verdicts.items() if not verdict.right}
        for one in answers
        if not all(verdict.right for verdict in one.verdicts.values())
    ]


def _right(answers: Sequence[Answer], form: Form) -> int:
    return sum(one.verdicts[form].right for one in answers)


def _show(answers: Sequence[Answer], model: str, dead: int, console: Console, verbose: bool) -> None:
    if model == NO_MODEL:
        console.print(
            "No model is configured, so nothing was learned: verbatim turns alone. "
            "Set ECHOIC_LLM_URL, or name one.",
            style="yellow",
        )
    if dead:
        console.print(f"{dead} batches could not be learned.", style="yellow")
    for form in answers[0].verdicts:
        reasons = Counter(one.verdicts[form].reason for one in answers if not one.verdicts[form].right)
        said = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "none"
        console.print(
            f"{form}: {_right(answers, form)} of {len(answers)} right; not: {said}", highlight=False
        )
    for one in answers if verbose else ():
        for form, verdict in one.verdicts.items():
            if not verdict.right:
                asked = (
                    f"\n{one.question.history}, {one.question.asked_at:%d %b %Y}, {form}: {one.question.text}"
                )
                wrong = [
                    *(f"missing: {word}" for word in verdict.missing),
                    *(f"stale: {line}" for line in verdict.stale),
                ]
                console.print(
                    "\n".join([asked, *wrong, one.blocks[form]]),
                    markup=False,
                    highlight=False,
                    soft_wrap=True,
                )


@contextmanager
def _graph_settings(settings: MemorySettings, graph: bool) -> Iterator[MemorySettings | None]:
    """The settings with the graph on, at the server they name or an embedded one; None if not wanted."""
    if not graph:
        yield None
        return
    if settings.falkordb_url.get_secret_value() or settings.neo4j_url:
        yield settings.model_copy(update={"graph": "on"})
        return
    assert settings.data_dir is not None
    with open_graph(settings.data_dir) as url:
        yield settings.model_copy(update={"graph": "on", "falkordb_url": SecretStr(url)})


if __name__ == "__main__":
    typer.run(main)
