"""Names of a caller's memory are told to the ears of the call, and to no other caller's."""

import asyncio
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, stt

import echoic
import echoic.testing
from tests.voices import ScriptedSTT


class Ears(ScriptedSTT):
    """Ears that take key terms."""

    def __init__(self) -> None:
        super().__init__()
        self._capabilities = stt.STTCapabilities(streaming=True, interim_results=True, keyterms=True)
        self.told: list[list[str]] = []

    def _update_session_keyterms(self, keyterms: list[str]) -> None:
        self.told.append(keyterms)


async def memory_of_names() -> Any:
    memory = echoic.testing.memory()
    await memory.learn("maya", "Her sister Xochitl lives in Tartu", names=("Xochitl", "Tartu"))
    await memory.learn("maya", "Is married to Tadhg", names=("Tadhg",), importance=0.9)
    return memory


def session_with(ears: stt.STT, **options: Any) -> AgentSession[Any]:
    return AgentSession(stt=ears, vad=None, turn_handling={"turn_detection": None}, **options)


async def test_names_reach_the_ears() -> None:
    """Those of the most important facts first, beside the application's own terms."""
    ears = Ears()
    async with session_with(ears, stt_context_options={"keyterms": ["Acme"]}) as session:
        await echoic.remember(session, user_id="maya", memory=await memory_of_names())
        await session.start(Agent(instructions=""))
        assert ears.told[-1] == session.keyterms == ["Acme", "Tadhg", "Xochitl", "Tartu"]


async def test_an_agent_may_bring_ears_of_its_own() -> None:
    """Then they are told, though the session has none."""
    ears = Ears()
    async with AgentSession(vad=None, turn_handling={"turn_detection": None}) as session:
        await echoic.remember(session, user_id="maya", memory=await memory_of_names())
        await session.start(Agent(instructions="", stt=ears))
        assert session.keyterms == ["Tadhg", "Xochitl", "Tartu"] and ears.told[-1] == session.keyterms


async def test_ears_that_take_none_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """LiveKit would warn of it."""
    async with session_with(ScriptedSTT()) as session:
        await echoic.remember(session, user_id="maya", memory=await memory_of_names())
        await session.start(Agent(instructions=""))
        assert session.keyterms == []
    assert "keyterms" not in caplog.text and "Tadhg" not in caplog.text


async def test_another_caller_has_names_of_their_own() -> None:
    """The first one's are taken back; what the application gave stays."""
    memory = await memory_of_names()
    await memory.learn("ben", "His dog is called Miso", names=("Miso",))
    ears = Ears()
    async with session_with(ears, stt_context_options={"keyterms": ["Acme"]}) as session:
        handle = await echoic.remember(session, user_id="maya", memory=memory)
        await session.start(Agent(instructions=""))
        await handle.confirm("ben")
        await handle.call_memory.wait_loaded()
        assert ["Acme"] in ears.told, "while the other memory is read, nobody's names"
        async with asyncio.timeout(10):
            while ears.told[-1] != ["Acme", "Miso"]:
                await asyncio.sleep(0)


async def test_names_can_be_kept_from_the_ears() -> None:
    """With ECHOIC_KEY_TERMS=0 no name leaves memory for the speech recognition."""
    memory, ears = await memory_of_names(), Ears()
    memory.settings = memory.settings.model_copy(update={"key_terms": 0})
    async with session_with(ears) as session:
        await echoic.remember(session, user_id="maya", memory=memory)
        await session.start(Agent(instructions=""))
        assert session.keyterms == [] and ears.told == []
