"""What another program wrote into Mem0's table: an odd value costs itself, not its person's memory."""

import json
from uuid import uuid4

import pytest

from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.export import export_user
from echoic.memory.service import open_memory
from echoic.memory.types import CALLER, Caller
from echoic.workers.maintenance import maintain_all
from tests.embedders import WordEmbedder

ODD = {
    # metadata of a Mem0 program stands beside our keys, under whatever names it likes
    "a time that is a number": {"created_at": 1_700_000_000},
    "a time beyond time": {"valid_until": "9999-12-31T23:59:59-12:00"},
    "a time before time": {"said_at": "0001-01-01T00:00:00+00:00"},
    "no list": {"names": None},
    "a list of no names": {"names": [None, 7, {}]},
    "whose in words": {"about": "my sister"},
    "whose by other fields": {"about": {"whom": "sister"}},
    "turns that are none": {"turn_ids": ["turn-1"]},
    "evidence of another form": {"evidence": [{"text": "words"}]},
    "a topic that is none": {"topic": None},
    "a topic with parts": {"topic": ["home", "city"]},
    "labels that are a list": {"labels": ["x", "y"]},
    "a scope of another program": {"scope": "planet"},
    "several at once": {"names": 5, "about": 5, "evidence": 5, "labels": 5, "sub_topic": 5},
}


@pytest.mark.parametrize("form", ODD)
async def test_an_odd_value_costs_itself_alone(form, memory_settings):
    """The call begins with this memory, it is found, listed, exported, maintained and erased."""
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        vector = [0.1] * memory.settings.embedding_dimensions

        async def put(connection):
            for more in (ODD[form], {"topic": "pets"}):
                payload = json.dumps({"user_id": "ana", "data": "Likes Biscuit the dog", **more})
                sql = "insert into facts (id, vector, payload) values ($1, $2, $3)"
                await connection.execute(sql, uuid4(), vector, payload)

        await memory.db.run(put)
        call = await memory.open_call(Caller("ana", "echoic", "call"))
        await call.wait_loaded()
        assert call.loaded, call.load_fault
        found = await call.recall("What about Biscuit the dog?", budget_s=5)
        assert found.block.count("Likes Biscuit the dog") >= 1
        odd, plain = await memory.facts.list("ana", include_closed=True)
        assert odd.text == plain.text and plain.topic == "pets" and odd.about in (None, CALLER)
        assert len((await export_user(memory, "ana"))["facts"]) == 2
        assert (await maintain_all(memory, dry_run=True)).failed == 0
        assert (await erase_user(memory, "ana")).facts == 2


@pytest.mark.parametrize("text", [None, 5, ["Likes dogs"], {"text": "Likes dogs"}])
async def test_a_fact_without_words_is_an_empty_one(text, memory_settings):
    """And the others are found."""
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        vector = [0.1] * memory.settings.embedding_dimensions

        async def put(connection):
            for data in (text, "Likes Biscuit the dog"):
                payload = json.dumps({"user_id": "ana", "data": data})
                sql = "insert into facts (id, vector, payload) values ($1, $2, $3)"
                await connection.execute(sql, uuid4(), vector, payload)

        await memory.db.run(put)
        call = await memory.open_call(Caller("ana", "echoic", "call"))
        found = await call.recall("What about Biscuit the dog?", budget_s=5)
        assert "Likes Biscuit the dog" in found.block
        assert [one.text for one in await memory.facts.list("ana")] == ["", "Likes Biscuit the dog"]
