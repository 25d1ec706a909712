"""The path of a spoken turn, with and without memory: what a caller waits longer, and what it costs.

`python -m evals.turns [--turns 20] [--json FILE]`

Real sessions in one process, 1 and 16 at once, each of another caller with 200 facts and 1,000 turns. Their
ears say the words of a question one by one at speaking pace, the final transcript 100 or 400 ms after the
last word, and the end of the turn with it. Timed is from the last word to the model's call. Every last
partial holds every word. The same questions are asked of a session with memory and of one without, by turns.
"""

import asyncio
import json
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from livekit import rtc
from livekit.agents import Agent, AgentSession, llm, stt
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice.io import AudioInput
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import echoic
from echoic.agent.worker.gc_tuning import freeze_gc
from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from echoic.memory.recall.lookahead import Pace
from echoic.memory.service import Memory, open_memory
from evals.bench_data import AGENT, caller, load
from evals.machine import commit, hardware
from evals.sample_words import questions
from tests.fake_llm import FakeLLM

CALLS = (1, 16)
WORD_S = 0.357
"""Between words of quick speech."""
FINAL_S = (0.1, 0.4)
"""From the last word to the final transcript: of ears that are quick, and as usual."""
BETWEEN_S = 0.5
ANSWER_S = 20.0
FRAME_S = 0.1
console = Console(stderr=True)


class Ears(stt.STT):
    """Hears what it is told to, at speaking pace."""

    def __init__(self, final_s: float) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(streaming=True, interim_results=True, offline_recognize=False)
        )
        self.final_s = final_s
        self.say: asyncio.Queue[str] = asyncio.Queue()
        self.last_word_at = 0.0

    def stream(self, **_: Any) -> "Hearing":
        return Hearing(stt=self, conn_options=DEFAULT_API_CONNECT_OPTIONS)

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise NotImplementedError("these ears only stream")


class Hearing(stt.RecognizeStream):
    async def _run(self) -> None:
        ears: Any = self._stt
        draining = asyncio.create_task(self._drain())
        try:
            while True:
                words = (await ears.say.get()).split()
                self._tell(stt.SpeechEventType.START_OF_SPEECH)
                for count in range(1, len(words) + 1):
                    await asyncio.sleep(WORD_S)
                    ears.last_word_at = time.perf_counter()
                    self._tell(stt.SpeechEventType.INTERIM_TRANSCRIPT, " ".join(words[:count]))
                await asyncio.sleep(ears.final_s)
                self._tell(stt.SpeechEventType.FINAL_TRANSCRIPT, " ".join(words))
                self._tell(stt.SpeechEventType.END_OF_SPEECH)
        finally:
            draining.cancel()

    async def _drain(self) -> None:
        async for _ in self._input_ch:
            pass

    def _tell(self, kind: stt.SpeechEventType, text: str = "") -> None:
        heard = [stt.SpeechData(language="en", text=text, confidence=0.9)] if text else []  # type: ignore[arg-type]
        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=heard))


class Silence(AudioInput):
    """A microphone that nobody speaks into."""

    def __init__(self) -> None:
        super().__init__(label="silence")

    async def __anext__(self) -> rtc.AudioFrame:
        await asyncio.sleep(FRAME_S)
        count = int(16_000 * FRAME_S)
        return rtc.AudioFrame(bytes(2 * count), 16_000, 1, count)


class Asked(FakeLLM):
    """Says the same at once, and notes when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.at: asyncio.Queue[float] = asyncio.Queue()

    def reply(self, context: llm.ChatContext) -> str:
        self.at.put_nowait(time.perf_counter())
        return "All right."


class Talk:
    """One caller's session."""

    def __init__(self, memory: Memory | None, number: int, final_s: float) -> None:
        self.ears, self.model, self._memory, self._number = Ears(final_s), Asked(), memory, number
        self.session: Any = AgentSession(
            stt=self.ears,
            llm=self.model,
            vad=None,  # thirty-two of them would take what this measures
            turn_handling={"turn_detection": "stt", "endpointing": {"min_delay": 0.0}},
        )
        self.handle: Any = None

    async def start(self) -> None:
        if self._memory is not None:
            user = caller(self._number).user_id
            self.handle = await echoic.remember(self.session, user_id=user, scope=AGENT, memory=self._memory)
        self.session.input.audio = Silence()
        await self.session.start(Agent(instructions="Be brief."), record=False)

    async def ask(self, question: str) -> float:
        """Milliseconds from the last word to the model's call."""
        await self.ears.say.put(question)
        asked = await asyncio.wait_for(self.model.at.get(), ANSWER_S)
        await asyncio.sleep(BETWEEN_S)
        return (asked - self.ears.last_word_at) * 1000

    async def close(self) -> None:
        await self.session.aclose()

    @property
    def lookups(self) -> int:
        return 0 if self.handle is None else int(self.handle._prefetch.counts.started)


async def measure(
    memory: Memory, calls: int, final_s: float, turns: int, asked: Iterator[str], progress: Progress
) -> dict[str, Any]:
    """Both kinds of session by turns, so that the machine's mood falls on both."""
    memory.recaller.pace = Pace()  # these are other ears
    told: dict[str, list[float]] = {"with": [], "without": []}
    cpu = dict.fromkeys(told, 0.0)
    talks = {
        "with": [Talk(memory, number, final_s) for number in range(calls)],
        "without": [Talk(None, number, final_s) for number in range(calls)],
    }
    for talk in (*talks["with"], *talks["without"]):
        await talk.start()
        await talk.ask("Is anybody there?")
    freeze_gc()
    before = sum(talk.lookups for talk in talks["with"])
    step = progress.add_task(f"{calls} at once, final words after {final_s:g} s", total=turns)
    for _ in range(turns):
        questions_now = [next(asked) for _ in range(calls)]
        for kind in random.sample(list(told), 2):
            began = time.process_time()
            told[kind] += await asyncio.gather(*map(Talk.ask, talks[kind], questions_now))
            cpu[kind] += time.process_time() - began
        progress.advance(step)
    lookups = sum(talk.lookups for talk in talks["with"]) - before
    for talk in (*talks["with"], *talks["without"]):
        await talk.close()
    count = turns * calls
    both = {kind: [_at(values, 50), _at(values, 95)] for kind, values in told.items()}
    return {
        "final_ms": round(final_s * 1000),
        "calls": calls,
        "turns": count,
        **both,
        "added_p50_ms": round(both["with"][0] - both["without"][0], 2),
        "added_p95_ms": round(both["with"][1] - both["without"][1], 2),
        "lookups_a_turn": round(lookups / count, 2),
        "cpu_ms_a_turn": round((cpu["with"] - cpu["without"]) * 1000 / count, 1),
    }


def _at(values: list[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 2)


async def run(turns: int) -> dict[str, Any]:
    """All of it, on embedded stores of its own."""
    with TemporaryDirectory(prefix="echoic-turns-") as folder, open_stores(Path(folder)) as stores:
        addresses = {"database_url": stores.database_url, "redis_url": stores.redis_url}
        settings = load_settings(**addresses, data_dir=Path(folder), extractor="off")
        with Progress(console=console, auto_refresh=False) as progress:
            async with open_memory(settings) as memory:
                await load(memory)
                asked = questions()
                rows = [
                    await measure(memory, calls, final_s, turns, asked, progress)
                    for final_s in FINAL_S
                    for calls in CALLS
                ]
    return {"commit": commit(), "hardware": hardware(), "rows": rows}


def main(
    turns: Annotated[
        int, typer.Option(min=5, help="Questions of each caller, with and without memory.")
    ] = 20,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure what memory adds to a spoken turn, at one session and at sixteen."""
    result = asyncio.run(run(turns))
    table = Table(
        *("final after", "calls", "turns", "with p50/p95 ms", "without", "added p50", "added p95", "lookups"),
        "CPU ms",
    )
    for row in result["rows"]:
        pairs = ("{} / {}".format(*row[kind]) for kind in ("with", "without"))
        rest = (row[key] for key in ("added_p50_ms", "added_p95_ms", "lookups_a_turn", "cpu_ms_a_turn"))
        table.add_row(*map(str, (f"{row['final_ms']} ms", row["calls"], row["turns"], *pairs, *rest)))
    Console().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
