"""Who reads without a call tells the days of where the caller was last time, as a call does."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from echoic.api.mcp import reading
from echoic.memory.direct import OpenMemory
from echoic.memory.review.reader import reader
from echoic.memory.service import open_memory
from echoic.memory.settings.personal import PersonalStore
from tests.embedders import WordEmbedder
from tests.remembered import caller

ZONE = "Pacific/Auckland"
SAID_AT = datetime(2026, 1, 1, 10, tzinfo=ZoneInfo(ZONE))
NOW = datetime(2026, 1, 2, 9, tzinfo=ZoneInfo(ZONE))
"""By UTC it is still the day on which it was said."""
ASKED = "What is my boat called?"


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder(), now=lambda: NOW) as memory:
        call = await memory.open_call(replace(caller(), timezone=ZONE, timezone_known=True))
        await call.record("1", "user", "My boat is called Biscuit.", SAID_AT, told_now=True)
        await call.end()
        yield memory


async def test_yesterday_is_the_callers(served):
    """Told by `echoic.open`, MCP and the HTTP API."""
    found = [(await OpenMemory(served.memory).recall("ana", ASKED, budget_s=10)).block]
    limits = {"max_tokens": 500, "max_items": 10}
    found.append((await reading.search(served.memory, "ana", ASKED, None, **limits))[0])
    async with served.client("service") as client:
        for path in ("search", "context"):
            answer = await client.post(f"/v1/users/ana/{path}", json={"text": ASKED})
            found.append(answer.json()["block"])
    assert all("said yesterday, 1 Jan 2026" in block for block in found), found


async def test_what_they_chose_counts_before(memory):
    """And the setting where nothing else is known."""
    store = PersonalStore(memory.db)
    await store.change("ana", {"timezone": "Asia/Tokyo"}, version=(await store.read("ana")).version)
    zones = [(await reader(memory, who, call_id="c"))[0].timezone for who in ("ana", "bo")]
    assert zones == ["Asia/Tokyo", memory.settings.timezone]
