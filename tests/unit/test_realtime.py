"""A speech-to-speech model has memory in its instructions: of whoever is heard, beside the agent's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from livekit.agents import Agent, llm

import echoic
import echoic.testing
from echoic.agent.identity.identity import anonymous
from tests.agents import text_session
from tests.livekits.scripted import ScriptedRealtime


@contextlib.asynccontextmanager
async def talk(model: ScriptedRealtime, agent: Agent) -> AsyncIterator[Any]:
    """A running session of Maya, who has a dog; the model knows that."""
    memory = echoic.testing.memory()
    await memory.learn("maya", "Has a dog called Biscuit")
    async with text_session(model) as session:  # type: ignore[arg-type]
        session.handle = await echoic.remember(session, user_id="maya", memory=memory)
        await session.start(agent, record=False)
        await model.wait_told("Biscuit")
        yield session


async def test_the_next_agent_of_a_hand_off_is_told_what_is_known():
    """LiveKit gives the model the new agent's own instructions, and nothing else."""
    model = ScriptedRealtime()
    async with talk(model, Agent(instructions="Direct.")) as session:
        session.update_agent(Agent(instructions="Sell."))
        async with asyncio.timeout(10):
            while not model.told[-1].startswith("Sell."):
                await asyncio.sleep(0.01)
        await session.generate_reply()
        await model.wait_told("Biscuit")
    assert model.told[-1].startswith("Sell.") and model.told[-1].count("<memory>") == 1


async def test_nothing_of_one_person_stays_when_another_is_heard():
    """Of whom nothing is known: the model has the agent's own instructions."""
    model = ScriptedRealtime()
    async with talk(model, Agent(instructions="Be kind.")) as session:
        call = session.handle._call
        await call.switch(anonymous(), same_person=False)
        async with asyncio.timeout(10):
            while "Biscuit" in model.told[-1]:
                await asyncio.sleep(0.01)
    assert model.told[-1] == "Be kind."


async def test_an_agent_that_changes_its_instructions_keeps_what_is_known():
    """From the next reply on."""
    model, agent = ScriptedRealtime(), Agent(instructions="Be kind.")
    async with talk(model, agent) as session:
        await agent.update_instructions("Be brief.")
        await session.generate_reply()
        await model.wait_told("Biscuit")
    assert model.told[-1].startswith("Be brief.")


async def test_every_part_of_the_agents_instructions_stays():
    """What they add for speech or text, and what changes from call to call."""
    model = ScriptedRealtime()
    own = llm.chat_context.Instructions("Be kind.", text="Use no lists.", dynamic="It is Monday.")
    async with talk(model, Agent(instructions=own)):
        assert all(part in model.told[-1] for part in ("Be kind.", "Use no lists.", "It is Monday."))
