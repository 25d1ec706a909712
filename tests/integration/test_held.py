"""A caller's memory held in process answers as Postgres would, is never stale, and outlives the store."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from echoic.memory.privacy.erase import erase_user
from echoic.memory.recall import call_corpus as held
from echoic.memory.recall.facts_tier import FOUND
from echoic.memory.recall.pending import Question
from echoic.memory.recall.postgres_search import search_postgres
from echoic.memory.recall.query_vector import QueryVector
from echoic.memory.recall.recaller import EMBEDDER
from echoic.memory.service import open_memory
from tests.embedders import WordEmbedder
from tests.remembered import NOW, caller, fact, learn

WORDS = (
    "dog cat boat river garden mother brother Lisbon Porto piano "
    "doctor coffee tea winter summer school bridge violin bread market"
).split()


@pytest.fixture
async def memory(memory_settings):
    settings = memory_settings.model_copy(update={"embedding_model": "words", "embedding_dimensions": 64})
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        yield memory


async def open_held(memory, who):
    call = await memory.open_call(who)
    await memory.search.wait_held(who.call_id)
    return call


async def say(memory, call, *texts):
    turns = [await call.record(uuid4().hex, "user", text) for text in texts]
    while memory.recorder._tasks:
        await asyncio.wait(memory.recorder._tasks)
    return turns


def vector_of(memory, text):
    recaller = memory.recaller
    return QueryVector.start(memory.embedder.embed(text), None, recaller.breakers[EMBEDDER], recaller._hold)


async def ask(memory, who, text):
    return await memory.search.search(Question(who, text, vector_of(memory, text), memory.now()))


async def learn_elsewhere(memory, who, *facts):
    """Another process learns; its notice has come, and what it made old was read again: no question asks for
    it."""
    before = memory.versions.of(who)
    await learn(memory, *facts)
    async with asyncio.timeout(10):
        while memory.versions.of(who) == before:
            await asyncio.sleep(0.005)
        while not memory.search._fresh(memory.search._holds[who.key]):
            await asyncio.sleep(0.005)


def forbid_store(monkeypatch):
    async def asked(*_args, **_options):
        raise AssertionError("Postgres was asked")

    monkeypatch.setattr("echoic.memory.recall.facts_tier.search_postgres", asked)


async def fill(memory, seed=7):
    """Calls of two agents, facts of both scopes, closed ones, facts with and without turns."""
    rnd = random.Random(seed)
    said = []
    for agent in ("echoic", "echoic", "echoic", "other"):
        call = await memory.open_call(caller(agent_id=agent))
        said += await say(
            memory, call, *(" ".join(rnd.choices(WORDS, k=rnd.randint(1, 7))) for _ in range(20))
        )
        await call.end()
    facts = []
    for n in range(30):
        sources = tuple(turn.turn_id for turn in rnd.sample(said, rnd.randint(0, 3)))
        until = NOW + timedelta(days=rnd.choice([-30, 30])) if n % 3 == 0 else None
        scope = "agent" if n % 4 == 0 else "user"
        facts.append(
            fact(
                " ".join(rnd.choices(WORDS, k=3)),
                turn_ids=sources,
                valid_until=until,
                scope=scope,
                agent_id=rnd.choice(["echoic", "other"]),
            )
        )
    await learn(memory, *facts)


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("agent", ["echoic", "other"])
async def test_both_forms_give_the_same_answer(memory, agent, past):
    """Same items in the same order, with the same scores but for rounding, for any question."""
    await fill(memory)
    who = caller(agent_id=agent)
    await open_held(memory, who)
    rnd = random.Random(3)
    for _ in range(40):
        asked = [word.casefold() for word in rnd.choices(WORDS, k=rnd.randint(1, 5))]
        vector = vector_of(memory, " ".join(asked))
        terms = ["dog", *asked]
        ours = await memory.search._holds[who.key].memory.search(
            terms, "", vector, past=past, now=NOW, limit=FOUND
        )
        theirs = await search_postgres(
            memory.db, who, list(dict.fromkeys(terms)), vector, past=past, now=NOW, limit=FOUND
        )
        assert [item.score for item in ours] == pytest.approx([item.score for item in theirs], abs=0.01)
        by_id = {item.id: item for item in theirs}
        shared = [item for item in ours if item.id in by_id]
        assert len(shared) > 0.9 * len(ours)  # the last ones may tie with those that are cut off
        assert all(item == replace(by_id[item.id], score=item.score) for item in shared)
        assert [item.score for item in shared] == pytest.approx(
            [by_id[item.id].score for item in shared], abs=0.01
        )


async def test_a_question_needs_no_store(memory, monkeypatch):
    """Once held, neither words nor vectors nor texts are read from Postgres, which may be known to fail."""
    await say(memory, await memory.open_call(caller()), "My dog is called Biscuit.")
    call = await open_held(memory, caller())
    forbid_store(monkeypatch)
    for _ in range(memory.settings.breaker_failures):
        memory.recaller.breakers["facts"].failed()
    found = await call.recall("What is my dog called?")
    assert found.tiers["facts"].status == "ok" and "Biscuit" in found.block


async def test_turns_of_this_call_are_found_as_they_are_said(memory, monkeypatch):
    """By words at once, by meaning a moment later: the model's context may be shorter than the call."""
    call = await open_held(memory, caller())
    forbid_store(monkeypatch)
    await call.record("one", "user", "The alarm code is behind the zebra painting.")
    items = await ask(memory, call.caller, "alarm code")
    assert items[0].text.startswith("The alarm code")
    await say(memory, call, "nothing else")
    assert (await ask(memory, call.caller, "zebra"))[0].text.startswith("The alarm code")


async def test_what_another_process_learns_is_found(memory, monkeypatch):
    """A notice makes what is held old, and it is read again at once: the next question asks no store."""
    call = await open_held(memory, caller())
    await learn_elsewhere(memory, call.caller, fact("plays the violin"))
    forbid_store(monkeypatch)
    assert "violin" in (await call.recall("who plays the violin")).block


async def test_what_changes_while_it_is_read_is_read_too(memory, monkeypatch):
    """A batch is learned fact by fact, and each has its notice."""
    call = await open_held(memory, caller())
    load, readings = held.load_corpus, []

    async def slowly(db, who):
        read = await load(db, who)
        readings.append(read)
        if len(readings) == 1:
            before = memory.versions.of(who)
            await learn(memory, fact("plays the piano"))
            while memory.versions.of(who) == before:
                await asyncio.sleep(0.005)
        return read

    monkeypatch.setattr("echoic.memory.recall.facts_tier.load_corpus", slowly)
    await learn_elsewhere(memory, call.caller, fact("plays the violin"))
    forbid_store(monkeypatch)
    assert len(readings) == 2 and "piano" in (await call.recall("who plays the piano")).block


async def test_turns_said_while_it_was_read_again_are_kept_once(memory):
    """A turn stands in Postgres and in this call: it is one turn."""
    call = await open_held(memory, caller())
    await say(memory, call, "The boat is in Porto.")
    await learn_elsewhere(memory, call.caller, fact("plays the violin"))
    await call.record("late", "user", "The boat is red.")
    texts = [item.text for item in await ask(memory, call.caller, "boat")]
    assert sorted(texts).count("The boat is in Porto.") == 1 and "The boat is red." in texts


async def test_a_fact_that_ends_is_no_longer_live(memory, monkeypatch):
    """Its end may come in the middle of a call."""
    await learn(memory, fact("has a dentist appointment", valid_until=NOW + timedelta(days=1)))
    call = await open_held(memory, caller())
    assert [item.text for item in await ask(memory, call.caller, "dentist")] == ["has a dentist appointment"]
    monkeypatch.setattr(memory, "now", lambda: NOW + timedelta(days=2))
    assert await ask(memory, call.caller, "dentist") == []
    assert [item.text for item in await ask(memory, call.caller, "when did I see the dentist")] == [
        "has a dentist appointment"
    ]


async def test_a_quote_ends_with_what_was_learned_from_it(memory):
    """In both forms: all of it, or a part; one that taught nothing, or still holds, has no end."""
    call = await memory.open_call(caller())
    over, partly, holds, taught_nothing = await say(
        memory, call, "dog in Lisbon", "cat and dog", "dog river", "dog bridge"
    )
    ended = {"valid_until": NOW - timedelta(days=30)}
    await learn(
        memory,
        fact("Dog over", turn_ids=(over.turn_id,), **ended),
        fact("Dog partly", turn_ids=(partly.turn_id,), **ended),
    )
    await learn(memory, fact("Cat", turn_ids=(partly.turn_id,)), fact("River", turn_ids=(holds.turn_id,)))
    held = await open_held(memory, caller())
    theirs = await search_postgres(
        memory.db, held.caller, ["dog"], vector_of(memory, "dog"), past=False, now=NOW, limit=FOUND
    )
    for found in (await ask(memory, held.caller, "dog"), theirs):
        ends = {item.id: (item.valid_until is not None, item.partly) for item in found if item.kind == "turn"}
        assert (ends[over.turn_id], ends[partly.turn_id]) == ((True, False), (True, True))
        assert (ends[holds.turn_id], ends[taught_nothing.turn_id]) == ((False, False), (False, False))


async def test_an_erased_person_is_gone_at_once(memory):
    """Nothing that is held survives the notice of an erasure."""
    await say(memory, await memory.open_call(caller()), "My dog is called Biscuit.")
    call = await open_held(memory, caller())
    held = memory.search._holds[call.caller.key].memory
    await erase_user(memory, "ana")
    async with asyncio.timeout(10):
        while memory.search._holds[call.caller.key].memory is held:
            await asyncio.sleep(0.01)
    assert await ask(memory, call.caller, "dog Biscuit") == []


async def test_a_question_that_comes_while_memory_is_read_takes_what_is_first(memory, monkeypatch):
    """The memory that is read, or Postgres's answer: a busy machine may keep either waiting."""
    await say(memory, await memory.open_call(caller()), "My dog is called Biscuit.")
    asked, load = asyncio.Event(), held.load_corpus

    async def hangs(*_args, **_options):
        asked.set()
        await asyncio.Event().wait()

    async def after_it(*args):
        await asked.wait()
        return await load(*args)

    for postgres, reading in ((hangs, after_it), (search_postgres, hangs)):
        asked.clear()
        with monkeypatch.context() as patch:
            patch.setattr("echoic.memory.recall.facts_tier.search_postgres", postgres)
            patch.setattr("echoic.memory.recall.facts_tier.load_corpus", reading)
            call = await memory.open_call(caller())
            assert "Biscuit" in (await ask(memory, call.caller, "dog Biscuit"))[0].text and asked.is_set()
            await call.end()


async def test_a_large_memory_is_asked_in_postgres(memory, monkeypatch):
    """More than the limit is never read into a call's process."""
    monkeypatch.setattr(held, "HELD_ROWS", 3)
    await say(
        memory,
        await memory.open_call(caller()),
        "My dog is called Biscuit.",
        "one river",
        "two bridges",
        "three boats",
    )
    call = await open_held(memory, caller())
    assert memory.search._holds[call.caller.key].memory is None
    assert "Biscuit" in (await call.recall("What is my dog called?")).block


async def test_nothing_stays_after_the_call(memory):
    """A process takes call after call."""
    call = await open_held(memory, caller())
    await call.end()
    assert memory.search._holds == {}


async def test_two_people_in_calls_of_one_name_recall_each_their_own(memory):
    """Two sessions of a room begin at once, a program gives each customer's call the same name."""
    people = {"maya": "Has a cat called Tom", "ben": "Has a safe with the code Xylquor"}
    await learn(memory, *(fact(text, user_id) for user_id, text in people.items()))
    calls = [await open_held(memory, caller(one, call_id="support")) for one in people]
    for call, own in zip(calls, people.values(), strict=True):
        found = [await call.recall(text, budget_s=10) for text in people.values()]
        assert {item.text for one in found for item in one.used} == {own}
    await calls[0].end()
    assert [one.caller for one in memory.search._holds.values()] == [calls[1].caller]


async def test_a_deaf_process_asks_postgres(memory):
    """While notices cannot be heard, what is held may be old: Postgres is asked as long as it answers."""
    call = await open_held(memory, caller())
    memory.versions._salt = None
    await learn(memory, fact("plays the violin"))
    assert [item.text for item in await ask(memory, call.caller, "violin")] == ["plays the violin"]


async def test_words_are_found_in_other_forms(memory, monkeypatch):
    """Of earlier calls and of this one, in what a version without forms has stored."""
    earlier = await memory.open_call(caller())
    await say(memory, earlier, "Наша собака боится грозы.", "We flew to Berlin.", "The tea is green.")
    call = await open_held(memory, caller())
    await say(memory, call, "Mein Fahrrad wurde gestohlen.")
    forbid_store(monkeypatch)
    for question, words in (
        ("Чего боятся собаки?", "собака"),
        ("Кто был в городе Берлин?", "Berlin"),
        ("Wer hat meine Fahrräder?", "Fahrrad"),
    ):
        no_vector = QueryVector(None, memory.recaller.breakers[EMBEDDER])
        asked = Question(call.caller, question, no_vector, memory.now())
        assert words in (await memory.search.search(asked))[0].text
