"""Whether a fact is found by a question in the same language, and in another one.

`python -m evals.languages [--data FOLDER] [--json FILE]`

Fifteen files hold the same 40 facts, as callers say them, and 60 questions for them (evals/data/languages).
Each language's facts are one caller's turns, asked through the shipping recall, held in process as in a call:
by the questions of their own language, and by those of every other one. A question is `open` or `sealed` by a
hash of its id; what is reported is sealed.
"""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import typer
from rich.progress import track

from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.service import Memory, open_memory
from echoic.memory.types import FACTS_TIER, Caller, Turn
from evals.machine import commit, hardware

DATA = Path(__file__).parent / "data" / "languages"
AGENT, FIRST, PATIENCE_S = "echoic", 5, 30.0
APART = timedelta(days=1)
"""Between two facts: each of a call of its own, so that none is found by what stands beside it."""


def split(case_id: str) -> str:
    """`open` or `sealed`."""
    return "sealed" if hashlib.sha256(case_id.encode()).digest()[0] % 2 else "open"


def main(
    data: Annotated[Path, typer.Option(help="Folder of the files, one for each language.")] = DATA,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    part: Annotated[str, typer.Option(help="`open` or `sealed`.")] = "sealed",
) -> None:
    """Measure how surely facts are found in fifteen languages, and across them."""
    files = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(data.glob("*.json"))}
    with (
        TemporaryDirectory(prefix="echoic-languages-") as folder,
        open_stores(Path(folder) / "data") as stores,
    ):
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        report = asyncio.run(measure(settings, files, part))
    for code, row in report["languages"].items():
        print(
            f"{code}  same {row['hit_1']:.2f} {row['hit_5']:.2f}   asked in other languages "
            f"{row['asked_in_others']['hit_1']:.2f} {row['asked_in_others']['hit_5']:.2f}"
        )
    for name in ("others", "across"):
        row = report[name]
        print(f"{name:8} hit@1 {row['hit_1']:.3f}  hit@5 {row['hit_5']:.3f}")
    print(f"{report['ms']} ms a question, {report['part']}, {report['commit']}, {report['hardware']}")
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(settings: Any, files: dict[str, Any], part: str) -> dict[str, Any]:
    """Every file's facts, asked in every file's questions."""
    async with open_memory(settings) as memory:
        for code, file in files.items():
            await remember(memory, code, file)
        found: dict[tuple[str, str], list[int | None]] = {}
        took: list[float] = []
        for code in track(files, description="Asking"):
            call = await memory.open_call(Caller(code, AGENT, f"asks {code}"))
            await memory.search.wait_held(call.caller.call_id)
            for asked_in, file in files.items():
                places = found[code, asked_in] = []
                for case_id, question in file["questions"].items():
                    if split(case_id) == part:
                        began = perf_counter()
                        places.append(await place(memory, call.caller, question))
                        took.append((perf_counter() - began) * 1000)
            await call.end()
    rows = {
        code: hits(found[code, code])
        | {"asked_in_others": hits([p for (a, b), ps in found.items() if a == code != b for p in ps])}
        for code in files
    }
    own = [hits(found[code, code]) for code in files if code != "en"]
    across = [hits(ps) for (told, asked_in), ps in found.items() if told != asked_in]
    return {
        "languages": rows,
        "others": {key: round(mean(one[key] for one in own), 3) for key in own[0]},
        "across": {key: round(mean(one[key] for one in across), 3) for key in across[0]},
        "ms": round(median(took), 1),
        "part": part,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware(),
    }


async def remember(memory: Memory, code: str, file: dict[str, Any]) -> None:
    """One language's facts as turns of as many calls."""
    texts = list(file["facts"].values())
    for number, (name, text) in enumerate(file["facts"].items()):
        said_at = datetime.now(UTC) - APART * (len(texts) - number)
        turn = Turn(turn_id(code, name), code, AGENT, f"{code} {name}", 0, "user", text, said_at)
        await memory.turns.record(turn)
        await memory.turns.embed_turn(turn)


def turn_id(code: str, name: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"{code} {name}")


async def place(memory: Memory, caller: Caller, question: dict[str, str]) -> int | None:
    """Where the right fact stands among what is found, from 0; None: not there."""
    recall = await memory.recaller.recall(caller, question["text"], RecentTurns(), budget_s=PATIENCE_S)
    ids = [item.id for item in recall.tiers[FACTS_TIER].items]
    right = turn_id(caller.user_id, question["fact"])
    return ids.index(right) if right in ids else None


def hits(places: list[int | None]) -> dict[str, float]:
    """Shares of questions whose fact comes first, or among the first five."""
    return {
        f"hit_{n}": round(mean(place is not None and place < n for place in places), 3) if places else 0.0
        for n in (1, FIRST)
    }


if __name__ == "__main__":
    typer.run(main)
