"""Whether a turn about somebody is found when the ears write their name down wrong.

`python -m evals.names [--part open] [--json FILE]`

Forty people with rare names are told about, among 160 ordinary sentences of the same caller. Four questions
about each are spoken by three voices (Piper's Joe, and two of espeak-ng, which Moonshine understands far
worse), and what Moonshine hears is asked through the shipping recall: with the names as key terms of the ears
and the lookup by sound, and without both. Beside it 200 ordinary sentences, as written and as heard: a word
of memory that is taken to be meant or heard, and was not said, is a false repair. Names and sentences are
`open` or `sealed` by a hash.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import typer
from livekit import rtc

from echoic.local.paths import data_dir
from echoic.local.servers.stores import open_stores
from echoic.local.speech.client import HEARING_RATE, VOICE_RATE, ask
from echoic.local.speech.server import speech_served
from echoic.memory.config import load_settings
from echoic.memory.recall.call_corpus import CallCorpus
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.service import Memory, open_memory
from echoic.memory.text.sounds import Sounds
from echoic.memory.text.words import asked_terms, terms
from echoic.memory.types import FACTS_TIER, Caller, Turn
from evals.languages import split
from evals.machine import commit, hardware
from evals.sample_words import said

NAMES = """
    Siobhan Zbigniew Thandiwe Xochitl Oluwaseun Eirlys Anneliese Nguyen Wojciech Saoirse Ngozi Kaveh Ulrike
    Tadhg Ximena Yevgenia Ruairi Bronwen Leocadia Ottoline Isidora Caoimhe Dagny Evander Hjalmar Ingeborg
    Jacinta Lorcan Mireille Odalys Perpetua Rafferty Sunniva Thaddeus Vashti Wilhelmina Xanthe Zenobia
    Philippa Demetrios
""".split()
TOLD = (
    "{name} lives in Lisbon.",
    "{name} works as a florist.",
    "The birthday of {name} is in May.",
    "I went to school with {name}.",
)
ASKED = (
    "Where does {name} live?",
    "What does {name} do for work?",
    "When is the birthday of {name}?",
    "What did I tell you about {name}?",
)
ORDINARY, OTHER_TURNS = 200, 160
FIRST, PATIENCE_S = 5, 30.0
USER, AGENT = "names", "echoic"
DATA = Path(__file__).parent / "data"
ESPEAK = {"espeak us": ("en-us+f3", "150"), "espeak gb": ("en-gb+f2", "150")}
"""Voice, and words a minute: of eight voices those whose ordinary words Moonshine gets right most often."""
PIPER = "piper joe"
PAUSE = bytes(HEARING_RATE // 2)
Hear = Callable[[str, str, bool], Awaitable[str]]


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    part: Annotated[str, typer.Option(help="`open` or `sealed`.")] = "sealed",
    folder: Annotated[Path | None, typer.Option(help="Data folder whose speech servers are shared.")] = None,
) -> None:
    """Measure how surely people with rare names are found by voice."""
    with (
        TemporaryDirectory(prefix="echoic-names-") as scratch,
        open_stores(Path(scratch) / "data") as stores,
        speech_served(data_dir(folder)) as (ears, voice),
    ):
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        report = asyncio.run(measure(settings, listening(ears, voice), part))
    for spoken_by, row in report["voices"].items():
        print(f"{spoken_by:10} before {row['before']}  after {row['after']}  n {row['n']}")
    print(f"ordinary {report['ordinary']}, {report['ms']} ms a question, {part}, {report['commit']}")
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


def listening(ears: Path, voice: Path) -> Hear:
    """What Moonshine hears when a voice says something, with the names as key terms or without."""

    async def hear(spoken_by: str, text: str, knows: bool) -> str:
        if spoken_by == PIPER:
            _, sound = await ask(voice, {"text": text, "steady": True})
        else:
            sound = await espeak(*ESPEAK[spoken_by], text)
        expected = {"terms": NAMES if knows else []}
        answer, _ = await ask(ears, expected, PAUSE + at_hearing_rate(sound) + PAUSE)
        return str(answer["text"])

    return hear


async def espeak(voice: str, speed: str, text: str) -> bytes:
    """Sound of a text at VOICE_RATE, by the system's espeak-ng."""
    command = ("espeak-ng", "-v", voice, "-s", speed, "--stdout", "--stdin")
    pipe = asyncio.subprocess.PIPE
    speaking = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    wave, _ = await speaking.communicate(text.encode())
    return wave[44:]  # behind the header


def at_hearing_rate(sound: bytes) -> bytes:
    """Resampled from VOICE_RATE."""
    resampler = rtc.AudioResampler(VOICE_RATE, HEARING_RATE, quality=rtc.AudioResamplerQuality.HIGH)
    frames = [*resampler.push(rtc.AudioFrame(sound, VOICE_RATE, 1, len(sound) // 2)), *resampler.flush()]
    return b"".join(bytes(frame.data) for frame in frames)


def ordinary() -> list[str]:
    """What callers say and ask in another eval (evals/temporal.py); each sentence once."""
    file = json.loads((DATA / "temporal.json").read_text(encoding="utf-8"))
    told = [turn["text"] for turns in file["histories"].values() for turn in turns]
    told += [question["question"] for question in file["questions"]]
    return list(dict.fromkeys(told))[:ORDINARY]


async def measure(settings: Any, hear: Hear, part: str) -> dict[str, Any]:
    """Every question of one part by every voice, with what is known of the names and without."""
    async with open_memory(settings) as memory:
        told = {name: TOLD[number % len(TOLD)].format(name=name) for number, name in enumerate(NAMES)}
        for number, (name, text) in enumerate([*told.items(), *enumerate(said(OTHER_TURNS))]):
            await remember(memory, number, str(name), text)
        call = await memory.open_call(Caller(USER, AGENT, "asks"))
        await memory.search.wait_held(call.caller.call_id)
        took: list[float] = []
        places: dict[tuple[str, bool], list[int | None]] = defaultdict(list)
        for name in (name for name in NAMES if split(name) == part):
            for text in (template.format(name=name) for template in ASKED):
                for spoken_by in (PIPER, *ESPEAK):
                    for by_sound in (False, True):
                        heard = await hear(spoken_by, text, by_sound)
                        # the recaller answers the same words only once
                        memory.recaller.forget_call(call.caller)
                        held(memory)._sounds = None if by_sound else Sounds(())
                        began = perf_counter()
                        places[spoken_by, by_sound].append(await place(memory, call.caller, heard, name))
                        took.append((perf_counter() - began) * 1000)
        corpus = held(memory)
        corpus._sounds = None
        sentences = [text for text in ordinary() if split(text) == part]
        written = [text for text in sentences if false_repairs(corpus, text, text)]
        heard_as = {text: await hear(PIPER, text, True) for text in sentences}
        misheard = [text for text, heard in heard_as.items() if false_repairs(corpus, heard, text)]
        await call.end()
    voices = (PIPER, *ESPEAK)
    return {
        "voices": {
            one: {
                "before": hits(places[one, False]),
                "after": hits(places[one, True]),
                "n": len(places[one, True]),
            }
            for one in voices
        },
        "ordinary": {"n": len(sentences), "written": len(written), "heard": len(misheard)},
        "ms": round(median(took), 1),
        "part": part,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware(),
    }


def held(memory: Memory) -> CallCorpus:
    """What answers now: it is read again when a notice of Postgres comes late."""
    corpus = memory.search._holds[Caller(USER, AGENT, "asks").key].memory
    assert corpus is not None
    return corpus


async def remember(memory: Memory, number: int, name: str, text: str) -> None:
    """One turn, of a call of its own: none is found by what stands beside it."""
    said_at = datetime.now(UTC) - timedelta(days=1 + number)
    turn = Turn(turn_id(name), USER, AGENT, f"tells {number}", 0, "user", text, said_at)
    await memory.turns.record(turn)
    await memory.turns.embed_turn(turn)


def turn_id(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, name)


def false_repairs(corpus: CallCorpus, heard: str, said: str) -> set[str]:
    """Terms of memory that are taken to be meant by words of a sentence, or names that are heard in it, and
    were not said."""
    names = {term for name in NAMES for term in terms(name)} & set(terms(heard))
    return (set(corpus._alike(asked_terms(heard), heard)) | names) - set(terms(said))


async def place(memory: Memory, caller: Caller, heard: str, name: str) -> int | None:
    """Where the turn about that person stands among what is found, from 0; None: not there."""
    recall = await memory.recaller.recall(caller, heard, RecentTurns(), budget_s=PATIENCE_S)
    ids = [item.id for item in recall.tiers[FACTS_TIER].items]
    return ids.index(turn_id(name)) if turn_id(name) in ids else None


def hits(places: list[int | None]) -> dict[str, float]:
    """Shares of questions whose turn comes first, or among the first five."""
    return {
        f"hit_{n}": round(mean(place is not None and place < n for place in places), 3) for n in (1, FIRST)
    }


if __name__ == "__main__":
    typer.run(main)
