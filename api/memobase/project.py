"""The project, of which there is one: the configuration of the house's slots, and what learning cost."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from echoic.api.memobase.frame import failed
from echoic.memory.profile.slots import STORED, read_yaml, write_profile
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.queries import query
from echoic.memory.text.words import clean

MOST_DAYS = 366


async def configuration(memory: Memory) -> str:
    """The YAML that was set; empty: none."""
    return await memory.db.run(lambda connection: connection.fetchval(query("setting"), STORED)) or ""


async def configure(memory: Memory, text: str) -> None:
    """Set it for every process; empty: the file and the environment count again.

    Raises:
        ConfigInvalid, Problem: 400, it is too long, no YAML, or a value is wrong.
    """
    if clean(text) != text:
        raise failed(400, "The configuration holds NUL or half a character.")

    async def write(connection: Connection) -> None:
        await write_profile(connection, text)
        if not isinstance(_language_in(text), str):
            raise failed(400, "language is a name such as en or zh.")

    await memory.db.transaction(write)


async def language(memory: Memory) -> str:
    """In which language contexts are framed; empty: nobody said."""
    return str(_language_in(await configuration(memory)))


@lru_cache(maxsize=8)
def _language_in(text: str) -> Any:
    return read_yaml(text).get("language") or ""


async def billing(memory: Memory) -> dict[str, Any]:
    """Nobody limits tokens; what learning asked of its model in this month is told."""
    now = memory.now().astimezone(UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (month + timedelta(days=32)).replace(day=1)
    spent = await memory.db.run(lambda connection: connection.fetchval(query("spent_since"), month))
    return {"token_left": None, "next_refill_at": following, "project_token_cost_month": spent}


async def usage(memory: Memory, last_days: int) -> list[dict[str, Any]]:
    """What was told and what its learning cost, today first."""
    now: datetime = memory.now().astimezone(UTC)
    days = max(0, min(last_days, MOST_DAYS))
    rows = await memory.db.run(lambda connection: connection.fetch(query("usage_days"), now, days))
    by_day = {row["day"]: row for row in rows}
    names = {"total_insert": "told", "total_success_insert": "learned"}
    names |= {"total_input_token": "tokens_in", "total_output_token": "tokens_out"}
    each = [now.date() - timedelta(days=back) for back in range(days)]
    return [
        {
            "date": day.isoformat(),
            **{name: by_day[day][column] if day in by_day else 0 for name, column in names.items()},
        }
        for day in each
    ]
