"""examples/xiaozhi/echoic.py in the server's place for it, against the served API, in new event loops."""

import asyncio
import importlib
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from types import ModuleType
from uuid import uuid4

import pytest

from echoic.api.access.keys import add_key
from tests.processes import ROOT
from tests.remembered import NOW, fact, learn

DEVICE = "AA:BB:CC:11:22:33"
LINE = re.compile(r"- \[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] .+")
BASE = """
from abc import ABC, abstractmethod

class Logger:
    lines = []
    def bind(self, **_):
        return self
    def error(self, line):
        self.lines.append(line)

logger = Logger()

class MemoryProviderBase(ABC):
    def __init__(self, config):
        self.config, self.role_id = config, None
    def set_llm(self, llm):
        self.llm = llm
    @abstractmethod
    async def save_memory(self, msgs, context=None): ...
    @abstractmethod
    async def query_memory(self, query): ...
    def init_memory(self, role_id, llm, agent_id=None, **kwargs):
        self.role_id, self.llm = role_id, llm
        if agent_id:
            self.agent_id = agent_id
"""


@dataclass
class Message:
    """As the server's `core.utils.dialogue` has it."""

    role: str
    content: str | None = None
    uniq_id: str = field(default_factory=lambda: str(uuid4()))
    is_temporary: bool = False


@pytest.fixture
def server(tmp_path, monkeypatch) -> ModuleType:
    """The provider's module, where the server looks for it, with a stand-in for the server's base."""
    folder = tmp_path / "core" / "providers" / "memory"
    (folder / "echoic").mkdir(parents=True)
    (folder / "base.py").write_text(BASE)
    (folder / "echoic" / "echoic.py").write_text((ROOT / "examples" / "xiaozhi" / "echoic.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("core.providers.memory.echoic.echoic")
    for name in [name for name in sys.modules if name.split(".")[0] == "core"]:
        del sys.modules[name]


@pytest.fixture
async def provider(server, served, address):
    key, _ = await add_key(served.memory.db, "xiaozhi", "service", None)
    return connected(server, address, key)


def connected(server, url, key, device=DEVICE, budget_ms=10_000):
    """One connection of a device; on a busy machine the usual 0.3 s is up before the API answers."""
    provider = server.MemoryProvider({"type": "echoic", "url": url, "api_key": key, "budget_ms": budget_ms})
    provider.init_memory(device, llm=None, summary_memory=None, save_to_file=True)
    return provider


async def in_a_thread(coroutine):
    """As the server saves: a new event loop in a thread that nobody waits for."""
    return await asyncio.to_thread(asyncio.run, coroutine)


def complaints(server):
    return server.logger.lines


async def stored(served, user_id=DEVICE):
    return [(one.role, one.text) for one in await served.memory.turns.list(user_id)]


async def test_said_in_one_connection_known_in_the_next(server, served, provider):
    """Lines with their dates, and no block around them: the server makes its own."""
    await in_a_thread(
        provider.save_memory(
            [Message("user", "My dog is called Biscuit."), Message("assistant", "Nice.")], "s1"
        )
    )
    lines = (await provider.query_memory("What is my dog called?")).splitlines()
    assert lines and all(LINE.fullmatch(line) for line in lines)
    assert "user: My dog is called Biscuit." in lines[0] and complaints(server) == []
    assert await provider.query_memory("") == "" == await provider.query_memory("   ")


async def test_facts_newest_first_and_what_is_over_says_so(server, served, provider):
    """A model is not told that somebody lives where they lived once."""
    await learn(
        served.memory,
        fact(
            "Lived in Porto.", DEVICE, said_at=NOW - timedelta(days=30), valid_until=NOW - timedelta(days=9)
        ),
        fact("Lives in Lisbon.", DEVICE, said_at=NOW - timedelta(days=8)),
    )
    lines = (await provider.query_memory("Where did I live before Lisbon, in Porto?")).splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        "Lives in Lisbon.",
        f"Lived in Porto. (until {NOW - timedelta(days=9):%Y-%m-%d})",
    ]


async def test_only_what_was_said_is_stored(server, served, provider):
    """No prompt, no tool, no example of the server, no silence; words in JSON are unwrapped."""
    await in_a_thread(
        provider.save_memory(
            [
                Message("system", "You are Xiaozhi."),
                Message("user", "Example question", is_temporary=True),
                Message("user", '{"speaker": "Maya", "content": "I live in Porto."}'),
                Message("assistant", None),
                Message("tool", "{}"),
                Message("assistant", "{not json}"),
                Message("user", '{"content": 5}'),
                Message("user", "  "),
            ],
            {"session_id": "s1", "mac_address": DEVICE},
        )
    )
    assert await stored(served) == [
        ("user", "I live in Porto."),
        ("assistant", "{not json}"),
        ("user", '{"content": 5}'),
    ]


async def test_saved_again_is_stored_once_and_a_long_call_whole(server, served, provider, monkeypatch):
    """A connection that is saved twice, and one of more turns than a request may have."""
    monkeypatch.setattr(server, "TURNS_A_REQUEST", 3)
    said = [Message("user", f"Sentence number {place}.") for place in range(8)]
    for part in (said[:5], said):
        await in_a_thread(provider.save_memory(part, session_id="s1"))
    assert [text for _, text in await stored(served)] == [message.content for message in said]
    assert {one.call_id for one in await served.memory.turns.list(DEVICE)} == {"xiaozhi.s1"}


async def test_two_devices_and_two_agents_are_apart(server, served, provider, address):
    """The agent that the server names at run time is the scope; another device finds nothing."""
    provider.init_memory(DEVICE, llm=None, agent_id="teacher")
    await in_a_thread(provider.save_memory([Message("user", "My dog is called Biscuit.")], "s1"))
    assert [one.agent_id for one in await served.memory.turns.list(DEVICE)] == ["teacher"]
    assert "Biscuit" in await provider.query_memory("What is my dog called?")
    other = connected(server, address, provider.api_key, "DD:EE:FF:11:22:33")
    assert await other.query_memory("What is my dog called?") == ""


async def test_a_memory_that_is_away_is_an_empty_answer_in_time(server):
    """Nobody listens, or somebody listens and never answers: said once each, without a word of the user."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        url = f"http://127.0.0.1:{hung.getsockname()[1]}"
        began = time.perf_counter()
        assert await connected(server, url, "k", budget_ms=50).query_memory("My secret word") == ""
        assert time.perf_counter() - began < 2.0
    assert await connected(server, url, "k").query_memory("My secret word") == ""
    assert len(complaints(server)) == 2 and "secret" not in str(complaints(server))


async def test_a_wrong_key_is_named_and_not_tried_again(server, address):
    """Neither call raises."""
    wrong = connected(server, address, "wrong")
    assert await wrong.query_memory("What is my dog called?") == ""
    assert await in_a_thread(wrong.save_memory([Message("user", "My dog is called Biscuit.")], "s")) is None
    assert [line.split()[-1] for line in complaints(server)] == ["401", "401"]


async def test_saving_waits_for_a_memory_that_comes_back(server, served, provider, monkeypatch):
    """The first attempt finds nobody."""
    refused = threading.Event()
    post, calls = server.MemoryProvider._post, []

    async def flaky(self, what, body, timeout_s):
        calls.append(what)
        if not refused.is_set():
            refused.set()
            raise server.httpx.ConnectError("refused")
        return await post(self, what, body, timeout_s)

    monkeypatch.setattr(server.MemoryProvider, "_post", flaky)
    await in_a_thread(provider.save_memory([Message("user", "My dog is called Biscuit.")], "s1"))
    assert calls == ["turns", "turns"] and len(await stored(served)) == 1 and complaints(server) == []
