"""First sound heard in a real room, with memory and without.

`python -m evals.voice [--turns N] [--local] [--json FILE]`

One caller in two rooms of one LiveKit server, asking in turn: in one an agent with memory (200 facts and 500
turns of that caller), in the other LiveKit's own agent with the same ears, model and voice. Those are
scripted, so that what differs is memory alone; with `--local` they are what a laptop without keys gets
(evals/voice_parts.py). Timed is what the caller notices: from the end of their last word to the first sound
of the reply. Own stores and rooms of its own.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
from livekit.agents import Agent, JobContext
from livekit.agents.voice.room_io import AudioInputOptions, RoomOptions
from rich.console import Console
from rich.progress import Progress

from echoic.agent.assistant import MemoryAgent
from echoic.agent.call.call import Call
from echoic.agent.call.capture import Capture
from echoic.agent.call.prefetch import Prefetch
from echoic.agent.call.recall_history import RecallHistory
from echoic.agent.call.registry import attach
from echoic.agent.config import AgentSettings
from echoic.local.command_resources import folder_of
from echoic.local.dev.livekit_program import find_program
from echoic.local.dev.livekit_server import LiveKitServer, open_livekit
from echoic.local.servers.stores import open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.embedding.embedder import LocalEmbedder
from echoic.memory.recall.lookahead import Counts
from echoic.memory.service import Memory, open_memory
from echoic.memory.types import Recall
from evals.bench_data import caller, load
from evals.machine import commit, hardware
from evals.sample_words import questions
from evals.voice_parts import Parts, ScriptedParts, local_parts
from tests.rooms.harness import Caller as Person
from tests.rooms.harness import answering

WITH, WITHOUT = "with_memory", "without_memory"
WARM_UP = 2
"""Turns of each room that are not counted: connections are opened, buffers settle."""
PAUSE_S = 0.4
"""Between a reply and the next question."""
FINE = RoomOptions(audio_input=AudioInputOptions(frame_size_ms=10))
"""LiveKit hands audio on in pieces of 50 ms, the same for both rooms: too coarse to see 5 ms."""


class TimedRecalls(RecallHistory):
    """Keeps what each recall came to."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Recall] = []

    def note(self, words: str, recall: Recall) -> None:
        super().note(words, recall)
        self.all.append(recall)


@dataclass(slots=True)
class Side:
    """One room: its agent's parts, and what was measured there."""

    parts: Parts
    agent: Agent = field(default_factory=lambda: Agent(instructions=AgentSettings().instructions))
    prefetch: Prefetch | None = None
    recalls: TimedRecalls = field(default_factory=TimedRecalls)
    first_audio_ms: list[float] = field(default_factory=list)
    added_ms: list[float] = field(default_factory=list)
    added_equal_ms: list[float] = field(default_factory=list)
    began_at_call: int = 0
    counts_before: Counts = field(default_factory=Counts)

    def begin(self) -> None:
        """The warm-up is over."""
        self.began_at_call = self.parts.calls
        if self.prefetch is not None:
            self.counts_before = self.prefetch.counts


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    turns: Annotated[int, typer.Option(min=2, help="Turns in all, half of them with memory.")] = 60,
    local: Annotated[
        bool, typer.Option("--local", help="With the speech of this machine, and the model that is set.")
    ] = False,
) -> None:
    """Measure how much later the first sound of a reply comes because the agent remembers."""
    logging.disable(logging.WARNING)
    console = Console()
    program = None if os.environ.get("LIVEKIT_URL") else find_program(folder_of(None))
    with TemporaryDirectory(prefix="echoic-voice-") as folder, open_stores(Path(folder) / "data") as stores:
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        with open_livekit(Path(folder) / "livekit", dict(os.environ), program=program) as livekit:
            report = asyncio.run(measure(settings, livekit, turns, console, local=local))
    _show(report, console)
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(
    settings: MemorySettings, livekit: LiveKitServer, turns: int, console: Console, *, local: bool
) -> dict[str, Any]:
    """Call both agents, ask them in turn, and return the report."""
    embedder = LocalEmbedder(workers=settings.embedding_workers)
    async with open_memory(settings, embedder=_Kept(embedder)) as memory:
        with console.status("Loading a hundred callers"):
            await load(memory)
    async with AsyncExitStack() as opened:
        ours, plain = (
            await opened.enter_async_context(local_parts(settings, Path(settings.data_dir or ".")))
            if local
            else (ScriptedParts(), ScriptedParts())
        )
        sides = {WITH: Side(ours), WITHOUT: Side(plain)}
        progress = opened.enter_context(Progress(console=console))
        await opened.enter_async_context(answering(livekit, entry(settings, embedder, sides)))
        people = await opened.enter_async_context(_people(livekit))
        await _ask(people, sides, turns, progress)
    await embedder.close()
    return report_of(sides, turns, "local" if local else "scripted")


@asynccontextmanager
async def _people(livekit: LiveKitServer) -> AsyncIterator[dict[str, Person]]:
    async with Person(livekit, WITH, "caller") as one, Person(livekit, WITHOUT, "caller") as two:
        for person in (one, two):
            await person.wait_agent()
        yield {WITH: one, WITHOUT: two}


def entry(
    settings: MemorySettings, embedder: LocalEmbedder, sides: dict[str, Side]
) -> Callable[[JobContext], Any]:
    async def entrypoint(job: JobContext) -> None:
        await job.connect()
        side = sides[job.room.name]
        if job.room.name == WITHOUT:
            await side.parts.session().start(side.agent, room=job.room, room_options=FINE, record=False)
            return
        opened = AsyncExitStack()
        job.add_shutdown_callback(opened.aclose)
        memory = await opened.enter_async_context(open_memory(settings, embedder=_Kept(embedder)))
        await _remembering(memory, side, job)

    return entrypoint


async def _remembering(memory: Memory, side: Side, job: JobContext) -> None:
    agent_settings = AgentSettings()
    call = Call(await memory.open_call(caller(0)))
    capture = call.capture = Capture(call.call_memory)
    await capture.__aenter__()
    side.prefetch = Prefetch(call)
    call.recalls = side.recalls
    side.agent = MemoryAgent(
        instructions=agent_settings.instructions, context_tokens=agent_settings.context_tokens
    )
    session = side.parts.session()
    attach(session, call, side.prefetch)
    await session.start(side.agent, room=job.room, room_options=FINE, record=False)


async def _ask(people: dict[str, Person], sides: dict[str, Side], turns: int, progress: Progress) -> None:
    asked = questions()
    rounds = progress.add_task("Asking", total=turns + 2 * WARM_UP)
    for number in range(turns // 2 + WARM_UP):
        if number == WARM_UP:
            for side in sides.values():
                side.begin()
        for name in (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH):
            await turn(people[name], sides[name], next(asked), counts=number >= WARM_UP)
            progress.advance(rounds)


async def turn(person: Person, side: Side, words: str, *, counts: bool) -> None:
    sound = await side.parts.sound(words)
    recalls = side.recalls.all
    before = len(recalls)
    ended = await person.say(sound)
    first = await person.wait_heard(after=ended)
    await person.wait_quiet(after=ended)
    await asyncio.sleep(PAUSE_S)
    if counts:
        side.first_audio_ms.append((first - ended) * 1000)
        added_ms = max((recall.elapsed_ms for recall in recalls[before:]), default=0.0)
        side.added_ms.append(added_ms)
        if side.parts.last_partial_equal:
            side.added_equal_ms.append(added_ms)


def report_of(sides: dict[str, Side], turns: int, models: str) -> dict[str, Any]:
    """The figures as others read them (docs: `--json`)."""
    ours = sides[WITH]
    counts = ours.prefetch.counts if ours.prefetch is not None else Counts()
    before = ours.counts_before
    return {
        "commit": commit(),
        "hardware": hardware(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "models": models,
        **{
            name: {
                "first_audio_ms": percentiles(side.first_audio_ms),
                "llm_calls_per_turn": round(
                    (side.parts.calls - side.began_at_call) / max(len(side.first_audio_ms), 1), 3
                ),
            }
            for name, side in sides.items()
        },
        "added_ms": percentiles(ours.added_ms),
        "added_ms_final_equal": percentiles(ours.added_equal_ms)
        | {"share": round(len(ours.added_equal_ms) / len(ours.added_ms), 3)},
        "prefetch": {
            "hit": counts.hit - before.hit,
            "late": counts.late - before.late,
            "wasted": counts.wasted - before.wasted,
        },
        "turns": turns,
    }


def percentiles(ms: list[float]) -> dict[str, float]:
    return {f"p{cut}": round(float(np.percentile(ms, cut)), 2) if ms else 0.0 for cut in (50, 95)}


def _show(report: dict[str, Any], console: Console) -> None:
    for name in (WITHOUT, WITH):
        side = report[name]
        times, calls = side["first_audio_ms"], side["llm_calls_per_turn"]
        console.print(
            f"{name}: first sound after {times['p50']} ms (p95 {times['p95']}), {calls} model calls a turn"
        )
    added, equal, prefetch = report["added_ms"], report["added_ms_final_equal"], report["prefetch"]
    later = report[WITH]["first_audio_ms"]["p50"] - report[WITHOUT]["first_audio_ms"]["p50"]
    console.print(f"The medians differ by {later:.1f} ms (aim: below 5)")
    console.print(f"Memory added {added['p50']} ms in llm_node (p95 {added['p95']})")
    console.print(
        f"  where the last partial held every word ({equal['share']:.0%}): "
        f"{equal['p50']} ms (p95 {equal['p95']}; aim: 2)"
    )
    console.print(f"Prefetch: {prefetch['hit']} hit, {prefetch['late']} late, {prefetch['wasted']} wasted")
    console.print(f"{report['turns']} turns, {report['commit']}, {report['hardware']}")


class _Kept:
    """An embedder that outlives the memories which use it."""

    def __init__(self, embedder: LocalEmbedder) -> None:
        self._embedder = embedder
        self.name, self.dimensions = embedder.name, embedder.dimensions
        self.embed, self.embed_batch = embedder.embed, embedder.embed_batch

    async def close(self) -> None:
        """Its owner closes it."""


if __name__ == "__main__":
    typer.run(main)
