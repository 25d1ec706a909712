"""`echoic.remember` where several people are about: each session, and each tool, is one person's."""

import asyncio
from types import SimpleNamespace

import pytest
from livekit.agents import AgentSession

import echoic
from echoic.memory.service import open_memory
from tests.embedders import WordEmbedder
from tests.livekits.scripted import ScriptedLLM
from tests.remembered import fact, learn


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder()) as opened:
        yield opened


def session_of(*replies):
    return AgentSession(llm=ScriptedLLM(*replies), vad=None, turn_handling={"turn_detection": None})


async def test_sessions_of_one_room_that_begin_together_are_calls_of_their_own(memory):
    """LiveKit's own example of several people: `create_task(start_session(participant))` for each who joins."""
    await learn(memory, fact("Has a safe with the code Xylquor", "maya"), fact("Has a cat called Tom", "ben"))
    job = SimpleNamespace(metadata="", room=SimpleNamespace(sid="RM_1"))
    ctx = SimpleNamespace(job=job, room=None, is_fake_job=lambda: False)
    async with session_of() as one, session_of() as two:
        maya, ben = await asyncio.gather(
            echoic.remember(one, ctx, user_id="maya", memory=memory),
            echoic.remember(two, ctx, user_id="ben", memory=memory),
        )
        call_ids = [handle.call_memory.caller.call_id for handle in (maya, ben)]
        for call_id in call_ids:
            await memory.search.wait_held(call_id)
        own = await maya.call_memory.recall("What is the code of my safe?", budget_s=10)
        other = await ben.call_memory.recall("What is the code of my safe?", budget_s=10)
    assert "RM_1" in call_ids and len(set(call_ids)) == 2
    assert "Xylquor" in own.block and "Xylquor" not in other.block
