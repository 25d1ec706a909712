"""What `echoic.remember` makes of input that is wrong: a sentence, or it works; the reply is never lost."""

import contextlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession

import echoic
import echoic.testing
from echoic.memory.config import MemorySettings, load_settings
from tests.livekits.scripted import ScriptedLLM

NOWHERE_S = 5.0
"""Longest that `remember` may take while every store refuses; a reply then waits its budget and no more."""


@contextlib.asynccontextmanager
async def session_of(*replies: str) -> AsyncIterator[AgentSession]:
    """A session that is written to."""
    turns: Any = {"turn_detection": None}
    async with AgentSession(llm=ScriptedLLM(*replies), vad=None, turn_handling=turns) as session:
        yield session


async def reply_to(session: AgentSession, words: str) -> str:
    await session.run(user_input=words)
    return str(session.history.items[-1].text_content)  # type: ignore[union-attr]


@pytest.fixture
def nowhere(data_dir: Path) -> MemorySettings:
    """Stores at a port where nobody listens."""
    return load_settings(
        database_url="postgresql://echoic@127.0.0.1:9/echoic",
        redis_url="redis://127.0.0.1:9/0",
        data_dir=data_dir,
    )


@pytest.mark.parametrize("user_id", ["", "  ", "x" * 300, "a\0b"])
async def test_a_user_id_that_no_store_can_hold(user_id: str) -> None:
    """A sentence names the limit, and the session that goes on without memory answers."""
    async with session_of("Hello.") as session:
        with pytest.raises(echoic.ConfigInvalid, match="1 to 200 characters"):
            await echoic.remember(session, user_id=user_id, memory=echoic.testing.memory())
        assert echoic.memory_of(session) is None
        await session.start(Agent(instructions="You are an assistant."))
        assert await reply_to(session, "Hello there, who are you?") == "Hello."


async def test_stores_that_are_away_at_the_start(
    nowhere: MemorySettings, caplog: pytest.LogCaptureFixture
) -> None:
    """The line returns, replies come at once, and what is said waits on disk for Postgres to come back."""
    async with session_of("Nice name.", "Biscuit.") as session:
        began = time.monotonic()
        await echoic.remember(session, user_id="maya", settings=nowhere)
        assert time.monotonic() - began < NOWHERE_S
        await session.start(Agent(instructions="You are an assistant."))
        assert await reply_to(session, "My dog is called Biscuit.") == "Nice name."
        began = time.monotonic()
        assert await reply_to(session, "What is my dog called?") == "Biscuit."
        assert time.monotonic() - began < 2.0  # when a store is given up
    assert nowhere.data_dir is not None
    spooled = "".join(path.read_text() for path in nowhere.data_dir.rglob("*") if path.is_file())
    assert "My dog is called Biscuit." in spooled
    assert "Biscuit" not in caplog.text and not [one for one in caplog.records if one.exc_info]


async def test_settings_that_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence names the variable, before the session begins."""
    monkeypatch.setenv("ECHOIC_RECALL_BUDGET_MS", "soon")
    async with session_of("Hello.") as session:
        with pytest.raises(echoic.ConfigInvalid, match="ECHOIC_RECALL_BUDGET_MS"):
            await echoic.remember(session, user_id="maya")
        monkeypatch.delenv("ECHOIC_RECALL_BUDGET_MS")
        await session.start(Agent(instructions="You are an assistant."))
        assert await reply_to(session, "Hello there, who are you?") == "Hello."


async def test_a_context_without_a_room(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody in particular is calling: a sentence says what to pass, and this call is remembered."""
    callbacks: list[Any] = []
    job = SimpleNamespace(metadata="", room=SimpleNamespace(sid=""))
    ctx: Any = SimpleNamespace(
        job=job, room=None, is_fake_job=lambda: False, add_shutdown_callback=callbacks.append
    )
    memory = echoic.testing.memory()
    with caplog.at_level(logging.WARNING, "echoic"):
        async with session_of("Nice name.", "Biscuit.") as session:
            handle = await echoic.remember(session, ctx, memory=memory)
            await session.start(Agent(instructions="You are an assistant."))
            assert await reply_to(session, "My dog is called Biscuit.") == "Nice name."
            assert await reply_to(session, "What is my dog called?") == "Biscuit."
            assert handle.user_id.startswith("anonymous:") and callbacks
    assert "pass user_id=" in caplog.text
    assert not memory.rows.turns


async def test_remember_after_start_in_the_middle_of_a_call() -> None:
    """From the next reply on the caller is remembered; nothing that was said before is lost to the model."""
    memory = echoic.testing.memory()
    await memory.learn("maya", "Has a cat called Miso")
    async with session_of("Nice name.", "Miso.") as session:
        await session.start(Agent(instructions="You are an assistant."))
        assert await reply_to(session, "My dog is called Biscuit.") == "Nice name."
        await echoic.remember(session, user_id="maya", memory=memory)
        assert await reply_to(session, "What is my cat called?") == "Miso."
        assert "Miso" in echoic.testing.recalled(session).block
    said = [turn.text for turn in echoic.testing.remembered(memory, "maya")]
    assert said == ["What is my cat called?", "Miso."]
