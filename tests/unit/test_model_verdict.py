"""Which models are shown the tools: those at OpenAI, and those that the worker's trial found able."""

import pytest

from echoic.agent.model import Address, calls_tools
from echoic.memory.errors import StoreUnavailable
from echoic.memory.model_verdict import Verdict, keep_verdict, verdict_on


class Settings:
    """The settings table, and a connection to it."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.away = False
        self.db = self

    async def run(self, operation):
        if self.away:
            raise StoreUnavailable
        return await operation(self)

    async def execute(self, _query, key, value):
        self.rows[key] = value

    async def fetchval(self, _query, key):
        return self.rows.get(key)


LOCAL = Address("compatible", "http://127.0.0.1:8080/v1/", "", "small")


@pytest.mark.parametrize(
    ("kind", "setting", "shown"),
    [
        ("openai", "auto", True),
        ("quote", "auto", False),
        ("compatible", "on", True),
        ("openai", "off", False),
    ],
)
async def test_without_a_trial(kind, setting, shown):
    """Hosted ones are shown them as ever; what the settings say counts more."""
    assert await calls_tools(Settings(), Address(kind, "", "", "m"), setting) == shown


@pytest.mark.parametrize("able", [True, False])
async def test_as_the_trial_found(able):
    """By address and name: a slash at its end is no other address, another model is another."""
    memory = Settings()
    assert not await calls_tools(memory, LOCAL, "auto")
    await keep_verdict(memory, "http://127.0.0.1:8080/v1", "small", Verdict("adds", tools=able))
    assert await calls_tools(memory, LOCAL, "auto") == able
    assert not await calls_tools(memory, Address("compatible", LOCAL.url, "", "other"), "auto")


async def test_a_call_begins_without_postgres():
    """It is not known then, so the tools are not shown."""
    memory = Settings()
    memory.away = True
    assert not await calls_tools(memory, LOCAL, "auto")


@pytest.mark.parametrize(
    "stored", ["", "null", "not JSON", "true", '{"grade": "excellent", "skills": {}, "tools": true}']
)
async def test_what_another_version_kept_counts_as_none(stored):
    """The model is tried anew."""
    memory = Settings()
    await keep_verdict(memory, LOCAL.url, "small", Verdict("full"))
    memory.rows = dict.fromkeys(memory.rows, stored)
    assert await verdict_on(memory, LOCAL.url, "small") is None


async def test_a_model_of_this_machine_is_the_same_one_at_any_port():
    """It gets another with every start."""
    memory, verdict = Settings(), Verdict("adds", {"finds": (3, 4)}, True, "abc")
    await keep_verdict(memory, "http://127.0.0.1:8080/v1", "small", verdict)
    assert await verdict_on(memory, "http://localhost:9090/v1", "small") == verdict
    assert await verdict_on(memory, "https://example.org/v1", "small") is None
