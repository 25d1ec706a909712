"""Another embedding model: taken over at once, all is embedded behind calls, and models never mix."""

import asyncio
import hashlib
from datetime import UTC, datetime
from importlib.resources import files
from uuid import uuid4

import pytest

from echoic.local.llm.hub import pull_from_hub
from echoic.memory.embedding import minilm
from echoic.memory.embedding.client import SharedEmbedder, open_shared_embedder
from echoic.memory.errors import ModelUnavailable, SchemaMismatch, StoreUnavailable
from echoic.memory.service import open_memory
from echoic.memory.store import reembed as module
from echoic.memory.store.database import Database
from echoic.memory.store.reembed import left_to_refill, reembed, reembed_all, refill_for_ever
from echoic.memory.types import Caller, Fact, Turn
from tests.embedders import WordEmbedder
from tests.hub import Hub

SAID = ("My puppy is called Biscuit.", "I live in Lisbon.", "I work at a bank.")
OLD, NEW = WordEmbedder("old", 64), WordEmbedder("new", 48)


@pytest.fixture
async def filled(memory_settings):
    """Ten turns and four facts, embedded with the old model; every Memory is closed again."""
    async with open_memory(memory_settings, embedder=OLD) as memory:
        for number in range(10):
            turn = Turn(
                uuid4(),
                "ana",
                "echoic",
                "call",
                number,
                "user",
                f"I have {number} goldfish.",
                datetime.now(UTC),
            )
            await memory.turns.record(turn)
            if number:  # one has no vector yet: the call ended before it was embedded
                await memory.turns.embed_turn(turn)
        facts = [
            Fact(uuid4(), "ana", f"Feeds {n} goldfish", "pets", 0.5, "user", "echoic", datetime.now(UTC))
            for n in range(4)
        ]
        vectors = await OLD.embed_batch([fact.text for fact in facts])
        await memory.db.transaction(lambda connection: memory.facts.add(connection, facts, vectors))
    return memory_settings


@pytest.fixture
async def db(filled):
    database = Database(filled.database_url.get_secret_value())
    yield database
    await database.close()


async def lengths(db: Database) -> set[int | None]:
    """Lengths of all stored vectors."""
    async with db.dedicated() as connection:
        rows = await connection.fetch(
            "select vector_dims(vector) n from turn_index union all select vector_dims(vector) from facts"
        )
    return {row["n"] for row in rows}


async def test_everything_gets_a_vector_of_the_new_model(db, filled):
    """Progress is told from nothing to all; then the new model is served and the old one refused."""
    seen = []
    assert await reembed(db, NEW, lambda done, total: seen.append((done, total))) == 14
    assert seen[0] == (0, 14) and seen[-1] == (14, 14)
    assert await lengths(db) == {48}
    async with open_memory(filled, embedder=NEW) as memory:
        call = await memory.open_call(Caller("ana", "echoic", "next"))
        assert (await call.recall("How many goldfish do I have?", budget_s=5)).tiers["facts"].status == "ok"
    with pytest.raises(SchemaMismatch, match="echoic reembed"):
        async with open_memory(filled, embedder=OLD):
            raise AssertionError("opened with another model's vectors")


async def test_graphs_rest_until_they_are_entered_anew(db, filled):
    """Their relations have the old model's vectors: nobody asks them, and the worker has them listed."""
    async with db.dedicated() as connection:
        await connection.execute(
            "insert into graph_groups (group_id, user_id, agent_id) values ('e1', 'ana', 'echoic')"
        )
        await reembed(db, NEW)
        assert await connection.fetchval("select refreshed_at from graph_groups") is None
        assert await connection.fetchval("select agent_id from graph_due where user_id = 'ana'") == "echoic"


async def test_nothing_to_do_is_nothing_done(db):
    """With the model that is there already, nothing is embedded."""
    batches = OLD.batches
    assert await reembed(db, OLD) == 0
    assert OLD.batches == batches


async def test_what_is_left_is_counted_however_long_that_takes(filled):
    """Of a large database longer than a lookup may take: it is run again, and does the rest."""
    slow = """
        create or replace function is_unfilled(vector halfvec, e5 boolean) returns boolean language plpgsql as
        $$ begin perform pg_sleep(0.1); return vector is null; end $$;
        insert into settings values ('embedding', 'old:64'), ('refilled_to', '0')
        on conflict (key) do update set value = excluded.value"""
    database = Database(filled.database_url.get_secret_value(), timeout_s=1)
    try:
        await database.run(lambda connection: connection.execute(slow))
        assert await reembed(database, OLD) == 1
    finally:
        await database.close()


async def test_killed_it_leaves_the_rest_to_the_worker(db, filled, monkeypatch):
    """The endpoint goes after two batches: the new model starts and finds the rest by words, the old one is
    refused, and the worker goes on where it stood, facts first."""
    monkeypatch.setattr(module, "REFILL_BATCH", 4)
    with pytest.raises(ModelUnavailable):
        await reembed(db, Failing("new", 48, after=2))
    await db.close()
    assert await lengths(db) == {48, None}
    with pytest.raises(SchemaMismatch, match="echoic reembed"):
        async with open_memory(filled, embedder=OLD):
            raise AssertionError("opened with another model's vectors")
    async with open_memory(filled, embedder=NEW) as memory:
        assert await memory.db.run(left_to_refill) == 6
        call = await memory.open_call(Caller("ana", "echoic", "next"))
        found = await call.recall("Who said something of 9 goldfish?", budget_s=5)
        assert "I have 9 goldfish." in str(found)
        working = asyncio.create_task(refill_for_ever(memory.db, NEW))
        while await memory.db.run(left_to_refill):
            await asyncio.sleep(0.01)
        working.cancel()
        await asyncio.wait({working})
    assert await lengths(db) == {48}


async def test_half_done_and_another_model_wanted_starts_again(db, filled, monkeypatch):
    """Changing one's mind midway leaves no vector of the abandoned model."""
    monkeypatch.setattr(module, "REFILL_BATCH", 4)
    with pytest.raises(ModelUnavailable):
        await reembed(db, Failing("new", 48, after=2))
    again = Database(filled.database_url.get_secret_value())
    await db.close()
    assert await reembed(again, OLD) == 14
    await again.close()
    assert await lengths(db) == {64}


async def test_a_model_that_does_not_answer_takes_over_nothing(db):
    """Nothing is lost by naming a wrong one."""
    with pytest.raises(ModelUnavailable):
        await reembed(db, Failing("new", 48, after=0))
    assert await lengths(db) == {64, None}


class Failing(WordEmbedder):
    """An endpoint that goes away after some batches."""

    def __init__(self, name: str, dimensions: int, after: int) -> None:
        super().__init__(name, dimensions)
        self._after = after

    async def embed_batch(self, texts):
        if self.batches > self._after or not self._after:  # the first one asks whether it answers
            raise ModelUnavailable()
        return await super().embed_batch(texts)


class Refusing(WordEmbedder):
    """An endpoint whose filter keeps one text back."""

    async def embed_batch(self, texts):
        if any("3 goldfish" in text for text in texts):
            raise ModelUnavailable()
        return await super().embed_batch(texts)


async def test_a_text_that_is_refused_keeps_no_other_back(db):
    """A fact and a turn of three goldfish: found by their words, and all behind them is embedded."""
    async with asyncio.timeout(20):
        await reembed(db, Refusing("new", 48))
    for table in ("turn_index", "facts"):
        left = f"select count(*) from {table} where is_unfilled(vector::halfvec, false)"
        assert await db.run(lambda connection, sql=left: connection.fetchval(sql)) == 1


async def test_refused_while_another_process_is_open(db, filled):
    """A running call would score its questions against both models."""
    async with open_memory(filled, embedder=OLD):
        with pytest.raises(StoreUnavailable, match="stop agents"):
            await reembed(db, NEW)
    assert await lengths(db) == {64, None}


async def test_two_at_a_time_share_the_work(db, filled):
    """The second finds it taken over, and ends when all is embedded."""
    other = Database(filled.database_url.get_secret_value())
    counts = await asyncio.gather(reembed(db, NEW), reembed(other, NEW))
    await other.close()
    assert sum(counts) == 14 and await lengths(db) == {48}


async def test_back_to_the_local_models_embeds_all(memory_settings, embedder):
    """Zeros are no memories of another language, nor embedded without E5 for good."""
    database = Database(memory_settings.database_url.get_secret_value())
    async with open_memory(memory_settings, embedder=OLD) as memory:
        fact = Fact(uuid4(), "ana", "Feeds the goldfish", "pets", 0.5, "user", "echoic", datetime.now(UTC))
        vectors = await OLD.embed_batch([fact.text])
        await memory.db.transaction(lambda connection: memory.facts.add(connection, [fact], vectors))
    assert await reembed(database, embedder) == 1
    await database.close()
    assert await lengths(database) == {1280}


async def test_a_process_from_before_cannot_come_back(db, filled):
    """Its connections were cut while it slept; every new one is checked again."""
    async with open_memory(filled, embedder=OLD) as memory:
        await memory.versions.close()
        await memory.db._pool.expire_connections()
        await memory.db._pool.close()
        memory.db._pool = None
        await reembed(db, NEW)
        with pytest.raises(SchemaMismatch):
            await memory.turns.list("ana")


async def test_an_empty_database_takes_the_new_model(memory_settings):
    """With nothing to embed it is enough to note the model, and memory opens with it."""
    database = Database(memory_settings.database_url.get_secret_value())
    assert await reembed(database, NEW) == 0
    await database.close()
    async with open_memory(memory_settings, embedder=NEW):
        pass


@pytest.mark.timeout(120)
async def test_a_pulled_model_is_taken_over_and_shared(memory_settings, embedder, tmp_path):
    """From the hub to an answer: all is embedded anew with the pulled model, held by a server of the host,
    and is found by what it means; the local models are refused then."""
    tokenizer = (files("echoic.memory.embedding") / "model" / "tokenizer.json").read_bytes()
    model, at = minilm._model_path().read_bytes(), "intfloat/multilingual-e5-small"
    hub = Hub({f"{at}/onnx/model.onnx": model, f"{at}/tokenizer.json": tokenizer})
    name = f"multilingual-e5-small@sha256:{hashlib.sha256(model).hexdigest()}"
    with hub.serving():
        await asyncio.to_thread(pull_from_hub, tmp_path, name, lambda *_: None, hub.env())
    async with open_memory(memory_settings, embedder=embedder) as memory:
        for number, text in enumerate(SAID):
            turn = Turn(uuid4(), "ana", "echoic", "call", number, "user", text, datetime.now(UTC))
            await memory.turns.record(turn)
            await memory.turns.embed_turn(turn)
    settings = memory_settings.model_copy(
        update={"data_dir": tmp_path, "embedding_model": name, "embedding_dimensions": 384}
    )
    assert await reembed_all(settings, lambda done, total: None) == 3
    with pytest.raises(SchemaMismatch, match="echoic reembed"):
        async with open_memory(memory_settings, embedder=embedder):
            raise AssertionError("opened with another model's vectors")
    shared = open_shared_embedder(settings)
    assert isinstance(shared, SharedEmbedder)
    await shared.wait_ready()
    async with open_memory(settings, embedder=shared) as memory:
        call = await memory.open_call(Caller("ana", "echoic", "next"))
        found = await call.recall("What is the name of the dog?", budget_s=5)
        assert max(found.tiers["facts"].items, key=lambda item: item.score).text == SAID[0]
