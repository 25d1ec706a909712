"""Retrieval inside `llm_node` throws no begun reply away: one model call a turn, no later than without."""

import asyncio
from statistics import median
from typing import Any

import pytest
from livekit.agents import Agent, llm

from echoic.agent.assistant import MemoryAgent, Remembers
from echoic.agent.call.call import Call
from echoic.agent.call.prefetch import Prefetch
from echoic.memory.config import MemorySettings
from echoic.memory.service import open_memory
from echoic.memory.types import Caller, Recall
from tests.agents import FakeCallMemory
from tests.voices import TURN_HANDLING, ThinkingLLM, voice_session

TURNS = (
    "My dog is called Biscuit.",
    "What is my dog called?",
    "And how old is he?",
    "Where do I live?",
    "What is my name?",
)
SURE_S = 0.3
"""The ears are sure of the words this long before the turn ends: a reply may begin then."""
THINKS_S = 0.25
MARGIN_S = 0.2
"""For a busy machine: without a preemptive reply the first sound comes THINKS_S later."""


class SlowMemory(FakeCallMemory):
    """Takes 50 ms to remember."""

    async def recall(self, text: str, **kwargs: Any) -> Recall:
        await asyncio.sleep(0.05)
        return await super().recall(text, **kwargs)


async def first_sounds(agent: Agent, model: ThinkingLLM, **options: Any) -> list[float]:
    """Seconds from the end of each turn to the first sound of its reply."""
    async with voice_session(agent, model, **options) as voice:
        for text in TURNS:
            await voice.ask(text, sure_s=SURE_S)
        assert voice.texts("user") == list(TURNS)
        return [item.metrics["e2e_latency"] for item in voice.items("assistant")]


def remembering() -> MemoryAgent:
    return MemoryAgent(instructions="Be kind.", context_tokens=2_000)


async def test_one_model_call_a_turn_and_the_first_sound_as_early_as_without_memory():
    """The reply that was begun before the end of the turn is the one that is spoken, block and all."""
    plain, with_memory = ThinkingLLM(thinks_s=THINKS_S), ThinkingLLM(thinks_s=THINKS_S)
    without_s = await first_sounds(Agent(instructions="Be kind."), plain)
    with_s = await first_sounds(remembering(), with_memory, call=SlowMemory())
    print(
        f"end of turn to first sound, median: {median(with_s) * 1000:.0f} ms with memory, "
        f"{median(without_s) * 1000:.0f} ms without"
    )
    assert (len(plain.seen), len(with_memory.seen)) == (len(TURNS), len(TURNS))
    assert all("<memory>" in with_memory.texts(call)[-1] for call in range(len(TURNS)))
    assert (
        median(with_s) < median(without_s) + MARGIN_S
        and max(median(with_s), median(without_s)) < THINKS_S + MARGIN_S
    )


async def test_a_hook_would_cost_a_second_model_call():
    """What this test can tell apart: memory added in `on_user_turn_completed` throws the reply away."""

    class Hooked(Remembers, Agent):
        async def on_user_turn_completed(
            self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
        ) -> None:
            turn_ctx.add_message(role="system", content="The dog is called Biscuit.")

    model = ThinkingLLM(thinks_s=THINKS_S)
    await first_sounds(Hooked(instructions="Be kind."), model, call=FakeCallMemory())
    assert len(model.seen) == 2 * len(TURNS)


@pytest.mark.parametrize("preemptive", [True, False])
async def test_prefetch_is_adopted_with_and_without_preemptive_generation(
    memory_settings: MemorySettings, preemptive: bool
):
    """On real stores: what was looked up while the caller spoke is what the model's question gets."""
    model = ThinkingLLM()
    async with open_memory(memory_settings) as memory:
        before = await memory.open_call(Caller("maya", "echoic", "before"))
        await before.record("1", "user", "My dog is called Biscuit.")
        call_memory = await memory.open_call(Caller("maya", "echoic", "now"))
        call = Call(call_memory)
        ahead = Prefetch(call)
        handling = TURN_HANDLING | {"preemptive_generation": {"enabled": preemptive}}
        async with voice_session(
            remembering(), model, call=call, listeners=[ahead], turn_handling=handling
        ) as voice:
            outcomes = []
            for text in ("What is my dog called?", "thank you", "and his birthday?"):
                await voice.ask(text, word_s=0.1, sure_s=SURE_S)
                outcomes.append(ahead.outcome)
    assert "Biscuit" in model.texts(0)[-1] and len(model.seen) == 3
    claimed = {"hit", "late"}  # which of the two is the machine's affair
    assert outcomes[0] in claimed and outcomes[1] == "none" and outcomes[2] in claimed
    assert ahead.counts.hit + ahead.counts.late == 2
