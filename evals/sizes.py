"""One person of whom very much is known: how long a question takes, and how much memory a long reading.

`python -m evals.sizes [--facts 50000] [--rounds 60]`

Beside it the same questions about a person of the usual size, in the same database. Memory of that size is
not held for the call, so that each question is asked of Postgres; the embedding is the real one.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from echoic.local.dev.run_command import addresses
from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from echoic.memory.service import Memory, open_memory
from echoic.memory.store.database import Connection
from echoic.memory.types import Caller
from evals.bench_data import AGENT, FACTS, LOAD_LIMIT_S, USERS, load

USUAL, MUCH = "caller-000", "of-whom-much-is-known"
BUDGET_MS = 150
MORE = f"""
    insert into facts (id, vector, payload, words)
    select gen_random_uuid(), vector, payload || jsonb_build_object('user_id', '{MUCH}'), words
    from facts, generate_series(1, $1) where user_id like 'caller-%' limit $2"""
MORE_POSTINGS = f"""
    insert into postings (user_id, term, ref, tf)
    select '{MUCH}', term, ref, 1
    from facts, regexp_split_to_table(payload ->> 'text_lemmatized', ' ') as term
    where user_id = '{MUCH}' and term <> '' on conflict do nothing"""
QUESTIONS = (
    "What is my dog called?",
    "Where do I work?",
    "What did I say about my sister?",
    "Am I allergic?",
)


async def main(facts: int, rounds: int) -> None:
    with TemporaryDirectory(prefix="echoic-sizes-") as folder, open_stores(Path(folder) / "data") as stores:
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        async with open_memory(settings) as memory:
            await load(memory)
            await memory.db.transaction(lambda connection: fill(connection, facts), timeout_s=LOAD_LIMIT_S)
            await memory.db.run(lambda one: one.execute("vacuum (analyze)"), timeout_s=LOAD_LIMIT_S)
            for user_id in (USUAL, MUCH):
                times = await ask(memory, user_id, rounds)
                print(
                    f"{user_id:<24} {rounds} questions: p50 {statistics.median(times):6.1f} ms, p95 "
                    f"{times[int(0.95 * rounds)]:6.1f} ms, beyond {BUDGET_MS} ms: "
                    f"{sum(one > BUDGET_MS for one in times)}"
                )
        for command in (("export",), ("memories", "--json"), ("memories",)):
            for user_id in (USUAL, MUCH):
                tell(command, user_id, addresses(settings))


async def fill(connection: Connection, facts: int) -> None:
    """The facts of the bench's callers, as often as it takes, as one person's."""
    await connection.execute(MORE, facts // (USERS * FACTS) + 1, facts)
    await connection.execute(MORE_POSTINGS)


async def ask(memory: Memory, user_id: str, rounds: int) -> list[float]:
    """Milliseconds of each question, in order of size; each is another one, so that none was asked before."""
    call = await memory.open_call(Caller(user_id, AGENT, uuid4().hex))
    times = []
    for number in range(rounds + 3):  # the first ones open connections
        began = time.perf_counter()
        found = await call.recall(f"{QUESTIONS[number % len(QUESTIONS)]} {number}", budget_s=10)
        times.append((time.perf_counter() - began) * 1000)
        assert found.tiers["facts"].items
    await call.end()
    return sorted(times[3:])


def tell(command: tuple[str, ...], user_id: str, environment: dict[str, str]) -> None:
    """How long a command takes, until its first byte and until its last, and its memory."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "echoic", *command, "--user", user_id],
        stdout=subprocess.PIPE,
        env=os.environ | environment,
    )
    assert process.stdout is not None
    process.stdout.read(1)
    first_s, size = time.perf_counter() - began, 1
    held_kb = 0
    while piece := process.stdout.read(1 << 16):
        size += len(piece)
        status = Path(f"/proc/{process.pid}/status").read_text()  # ru_maxrss counts what this process had
        held_kb = int(status.partition("VmHWM:")[2].split()[0]) if "VmHWM:" in status else held_kb
    assert process.wait() == 0
    print(
        f"{' '.join(command):<16} {user_id:<24} {size / 1e6:7.1f} MB written, first byte after "
        f"{first_s:5.2f} s, last after {time.perf_counter() - began:6.2f} s, {held_kb / 1024:4.0f} MB held"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--facts", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=60)
    chosen = parser.parse_args()
    asyncio.run(main(chosen.facts, chosen.rounds))
