"""Nobody is remembered: whatever door words come through, and whenever they were said."""

from datetime import UTC, datetime, timedelta

import pytest

from echoic.memory.chat.written import Words, keep_words
from echoic.memory.service import open_memory
from echoic.memory.types import Caller
from tests.embedders import WordEmbedder


@pytest.mark.parametrize("ago", [timedelta(), timedelta(minutes=1), timedelta(days=400)], ids=str)
@pytest.mark.parametrize("told_now", [False, True])
async def test_off_keeps_nothing_of_anybody_whenever_it_was_said(memory_settings, ago, told_now) -> None:
    """Also of what reaches a call that began later, as messages and imports do."""
    settings = memory_settings.model_copy(update={"consent": "off"})
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        words = Words("a", "user", "My dog is called Biscuit.", datetime.now(UTC) - ago, told_now)
        assert await keep_words(memory, Caller("ana", "echoic", "call"), [words]) == [None]
        assert await memory.turns.list("ana") == []
