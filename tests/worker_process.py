"""`python -m echoic.workers.main` as a process of its own, held still at a step of its work."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from pydantic import SecretStr

from echoic.memory.config import MemorySettings
from echoic.memory.service import Memory
from tests.processes import ROOT

ADDRESSES = ("database_url", "redis_url", "data_dir", "llm_url", "llm_model", "llm_grade")
WAITING = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


@contextmanager
def worker_process(
    settings: MemorySettings, more: Mapping[str, Any] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker with the stores and the model of `settings`, and with `more` fields, as a server runs it.

    It is killed at the end, like a machine that goes away.
    """
    fields = {name: getattr(settings, name) for name in ADDRESSES} | dict(more or {})
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ECHOIC_", "OPENAI_"))
    }
    environment |= {f"ECHOIC_{name.upper()}": _text(value) for name, value in fields.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "echoic.workers.main"], cwd=ROOT, env=environment, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def table_held(settings: MemorySettings, table: str) -> AsyncIterator[None]:
    """Writers of a table wait while the block runs."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        await connection.execute(f"begin; lock table {table} in share row exclusive mode")
        yield
    finally:
        await connection.close()


async def waits_for_lock(memory: Memory) -> bool:
    """Whether somebody waits for a lock in the test's database."""
    return bool(await memory.db.run(lambda connection: connection.fetch(WAITING)))


async def wait_until(true: Callable[[], Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Return as soon as it is true; asked twenty times a second. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not await true():
            await asyncio.sleep(0.05)


def _text(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
