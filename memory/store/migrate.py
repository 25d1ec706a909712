"""Numbered SQL files, applied once each, in order, under an advisory lock."""

import re
from importlib.resources import files

import asyncpg

from echoic.memory.errors import SchemaMismatch
from echoic.memory.store.database import UNAVAILABLE, fault_of

LOCK = 0x6563686F  # "echo": one number for every Echoic process on this server


def migrations() -> dict[int, str]:
    """Number -> SQL of every migration that ships with this version."""
    folder = files("echoic.memory.store") / "sql" / "migrations"
    found = {}
    for entry in folder.iterdir():
        if match := re.fullmatch(r"(\d{4})_\w+\.sql", entry.name):
            found[int(match[1])] = entry.read_text(encoding="utf-8")
    return dict(sorted(found.items()))


async def migrate(url: str, *, timeout_s: float = 10.0) -> int:
    """Bring the database up to this version's schema and return its number.

    Two processes may call it together.

    Raises:
        SchemaMismatch: the database is newer than this code, or pgvector is missing.
        StoreUnavailable: Postgres cannot be reached.
    """
    try:
        connection = await asyncpg.connect(url, timeout=timeout_s)
    except (*UNAVAILABLE, asyncpg.PostgresError) as exc:
        raise fault_of(exc) from exc
    try:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        return await _apply(connection, migrations())
    except (*UNAVAILABLE, asyncpg.PostgresError) as exc:
        if "extension" in str(exc):
            raise SchemaMismatch(
                "This Postgres has no pgvector extension: install it, or use the image pgvector/pgvector."
            ) from exc
        raise fault_of(exc) from exc
    finally:
        await connection.close(timeout=timeout_s)


async def check_schema(connection: asyncpg.Connection) -> None:
    """Raises SchemaMismatch unless the database is at exactly this version's schema."""
    newest = max(migrations())
    try:
        current = await connection.fetchval("select coalesce(max(number), 0) from schema_migrations")
    except asyncpg.UndefinedTableError:
        current = 0
    if current < newest:
        raise SchemaMismatch(
            f"The database is at schema {current}, this Echoic needs {newest}: run `echoic migrate`."
        )
    _refuse_newer(current, newest)


async def _apply(connection: asyncpg.Connection, wanted: dict[int, str]) -> int:
    await connection.execute(
        "create table if not exists schema_migrations (number integer primary key, applied_at timestamptz "
        "not null default now())"
    )
    current = await connection.fetchval("select coalesce(max(number), 0) from schema_migrations")
    newest = max(wanted)
    _refuse_newer(current, newest)
    for number, sql in wanted.items():
        if number > current:
            async with connection.transaction():
                await connection.execute(sql)
                await connection.execute("insert into schema_migrations (number) values ($1)", number)
    return newest


def _refuse_newer(current: int, newest: int) -> None:
    if current > newest:
        raise SchemaMismatch(
            f"The database is at schema {current}, newer than this Echoic ({newest}): upgrade Echoic, the "
            "data is untouched."
        )
