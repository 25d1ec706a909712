"""The doctor says whose language no embedding model here knows."""

from uuid import uuid4

import pytest

from echoic.local.admin.doctor import examine
from echoic.memory.embedding import e5
from echoic.memory.service import open_memory
from tests.remembered import caller


async def languages(settings):
    return [one async for one in examine(settings, "none", "") if one.part == "Languages"]


@pytest.mark.timeout(120)
async def test_callers_who_are_found_by_words_alone_are_counted(memory_settings, embedder, monkeypatch):
    """By what they say; who speaks a language that is known is not among them, and nobody is where the model
    for a hundred languages is installed."""
    monkeypatch.setattr(e5, "installed", lambda: False)
    async with open_memory(memory_settings, embedder=embedder) as memory:
        german = await memory.open_call(caller(user_id="german"))
        await german.record(uuid4().hex, "user", "Ich wohne mit meiner Schwester in Hamburg.")
        [finding] = await languages(memory_settings)
        assert finding.state == "ok"
        hindi = await memory.open_call(caller(user_id="hindi"))
        await hindi.record(uuid4().hex, "user", "मेरी बहन अपने दो बच्चों के साथ पोर्टो में रहती है।")
        [finding] = await languages(memory_settings)
        assert finding.state == "note" and "hi (1)" in finding.says
        assert "बहन" not in finding.says
        monkeypatch.setattr(e5, "installed", lambda: True)
        [finding] = await languages(memory_settings)
        assert finding.state == "ok"
