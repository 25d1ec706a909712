"""Is a turn that was acknowledged kept, whenever its process is killed?

`python -m evals.kills [--n 300] [--seed N] [--json FILE]`

Embedded stores; a process records turns of three users and is killed with `kill -9` at a random moment, again
and again, each time with what the ones before left. Meanwhile Postgres is sometimes halted, and sometimes
killed itself. In the end every acknowledged turn must be there, once, at its place. Ends with 1 otherwise.
"""

import asyncio
import json
import multiprocessing
import multiprocessing.connection
import os
import random
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import psutil
import typer

from echoic.local.command_resources import progress_bar
from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import load_settings
from echoic.memory.errors import StoreUnavailable
from echoic.memory.service import Memory, open_memory
from echoic.memory.types import Turn
from evals.kill_recorder import record, words
from evals.machine import commit, hardware
from tests.embedders import WordEmbedder
from tests.processes import state_of

USERS = ("ana", "bob", "carol")
POSTGRES = {"runs": 70, "is halted": 25, "is killed": 5}
"""What happens to Postgres while a process records, and how often in a hundred."""
LONGEST_S = {"runs": 0.3, "is halted": 1.0, "is killed": 1.0}
"""Until the process is killed: past the half second after which a turn goes to the spool."""
READY_S = 60.0
SETTLE_S, POLL_S = 300.0, 0.2


@dataclass(slots=True)
class Acknowledged:
    """What the killed processes told."""

    turns: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Call -> user and number."""
    stored: Counter[str] = field(default_factory=Counter)
    during: Counter[str] = field(default_factory=Counter)
    """Kills, by what happened to Postgres."""

    def hear(self, lines: bytes) -> None:
        """Take in what a process wrote; a line that was cut off acknowledged nothing."""
        for line in lines.decode().split("\n")[:-1]:
            if line != "ready":
                call_id, user, number, how = line.split()
                self.turns.setdefault(call_id, []).append((user, int(number)))
                self.stored[how] += 1


def main(
    n: Annotated[int, typer.Option("--n", min=1, help="How many processes are killed.")] = 300,
    seed: Annotated[
        int | None, typer.Option(help="Of the moments; another one each time by default.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Kill processes that record, and count what is missing."""
    seed = random.randrange(2**32) if seed is None else seed
    chance, heard = random.Random(seed), Acknowledged()
    with TemporaryDirectory(prefix="echoic-kills-") as folder, open_stores(Path(folder) / "data") as stores:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["evals.kill_recorder"])
        with progress_bar("Killing") as on_progress:
            for number in range(n):
                kill_one(context, stores, chance, heard)
                on_progress(number + 1, n)
        figures = asyncio.run(compare(stores, heard))
    report = {"kills": n, "seed": seed, "postgres": dict(heard.during)} | figures
    for name, value in report.items():
        print(f"{name}: {value}")
    if json_file is not None:
        date = datetime.now(UTC).isoformat(timespec="seconds")
        whole = report | {"commit": commit(), "date": date, "hardware": hardware()}
        json_file.write_text(json.dumps(whole, indent=1) + "\n")
    if figures["lost"] or figures["doubled"] or figures["misplaced"]:
        sys.exit(1)


def kill_one(context: Any, stores: Stores, chance: random.Random, heard: Acknowledged) -> None:
    """Start a process, let it record for a moment, and kill it."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    connection = multiprocessing.connection.Connection(writer)
    arguments = (stores.database_url, stores.redis_url, str(stores.data_dir), USERS, connection)
    process = context.Process(target=_record_into, args=arguments)
    (event,) = chance.choices(list(POSTGRES), weights=list(POSTGRES.values()))
    heard.during[event] += 1
    process.start()
    connection.close()
    begins_in_it = chance.random() < 0.3
    with _happens(stores, event) if begins_in_it else _nothing():
        lines = _wait_ready(reader)
        with _nothing() if begins_in_it else _happens(stores, event):
            time.sleep(chance.uniform(0, LONGEST_S[event]))  # the moment is what is tried
            process.kill()
            process.join()
    while chunk := os.read(reader, 65_536):
        lines += chunk
    os.close(reader)
    heard.hear(lines)


async def compare(stores: Stores, heard: Acknowledged) -> dict[str, Any]:
    """Let what waits on the disk arrive, and look for every acknowledged turn."""
    settings = load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )
    memory_opens = open_memory(settings, embedder=WordEmbedder(), need_stores=False)
    async with asyncio.timeout(SETTLE_S), memory_opens as memory:
        while not await _answers(memory) or (found := await memory.spool.inspect()).waiting:
            memory.recorder.replay_soon()
            await asyncio.sleep(POLL_S)
        kept = {user: await memory.turns.list(user) for user in USERS}
    texts = Counter(turn.text for turns in kept.values() for turn in turns)
    said = [(call, user, number) for call, some in heard.turns.items() for user, number in some]
    return {
        "acknowledged": len(said),
        "as": dict(heard.stored),
        "stored": texts.total(),
        "lost": sum(texts[words(*one)] == 0 for one in said),
        "doubled": sum(count > 1 for count in texts.values()),
        "misplaced": sum(_is_misplaced(user, turn) for user, turns in kept.items() for turn in turns),
        "set_aside": found.set_aside,
    }


async def _answers(memory: Memory) -> bool:
    """Postgres may have been killed a moment ago, and its keeper waits longer each time."""
    try:
        await memory.db.ping()
    except StoreUnavailable:
        return False
    return True


def _is_misplaced(user: str, turn: Turn) -> bool:
    return turn.text != words(turn.call_id, user, turn.position)


def _record_into(database_url: str, redis_url: str, data_dir: str, users: tuple[str, ...], told: Any) -> None:
    record(database_url, redis_url, data_dir, users, told.fileno())


def _wait_ready(reader: int) -> bytes:
    lines, deadline = b"", time.monotonic() + READY_S
    while b"ready\n" not in lines:
        if not select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise RuntimeError("A process did not begin to record in time.")
        if not (chunk := os.read(reader, 65_536)):
            raise RuntimeError("A process ended before it recorded anything.")
        lines += chunk
    return lines


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _happens(stores: Stores, event: str) -> Iterator[None]:
    """Postgres is halted until the block ends, or killed when it begins: its keeper starts it again."""
    halted: list[psutil.Process] = []
    if event != "runs" and (pid := state_of(stores.data_dir).pids.get("postgres")) is not None:
        try:
            postmaster = psutil.Process(pid)
            if event == "is killed":
                postmaster.send_signal(signal.SIGKILL)
            else:
                halted = [postmaster, *postmaster.children(recursive=True)]
                for one in halted:
                    one.suspend()
        except psutil.NoSuchProcess:
            pass  # it is just being started again
    try:
        yield
    finally:
        for one in halted:
            if one.is_running():
                one.resume()


if __name__ == "__main__":
    typer.run(main)
