"""The deadline: what is in time is used, what is late or broken is named, and nothing leaks."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from uuid import uuid4

import numpy as np
import pytest

from echoic.memory.config import MemorySettings
from echoic.memory.errors import ModelUnavailable, StoreUnavailable
from echoic.memory.recall import recaller as recaller_module
from echoic.memory.recall.recaller import EMBEDDER, LOOKUPS_HELD, Recaller
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.types import Caller, Fact, Item, Turn

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANA = Caller("ana", "echoic", "call-1")


def item(text, **fields):
    fields = {"kind": "fact", "id": uuid4(), "said_at": NOW, "score": 1.0} | fields
    return Item(text=text, **fields)


class Gate:
    """A tier that answers when it is let, and counts what it was asked."""

    def __init__(self, name="facts", answer=(), error=None, is_open=True):
        self.name, self.answer, self.error = name, list(answer), error
        self.asked = []
        self.open = asyncio.Event()
        if is_open:
            self.open.set()

    async def search(self, question):
        self.asked.append((question.caller, question.text))
        await self.open.wait()
        if self.error:
            raise self.error
        return self.answer


class StillEmbedder:
    name, dimensions = "still", 3

    def __init__(self, is_open=True, error=None):
        self.open, self.error, self.asked = asyncio.Event(), error, 0
        if is_open:
            self.open.set()

    async def embed(self, text, *, across=False):
        self.asked += 1
        await self.open.wait()
        if self.error:
            raise self.error
        return np.ones(3, np.float32)

    async def close(self):
        pass


class SteadyVersions:
    version = 0

    def of(self, caller):
        return (0, 0, self.version)


class HandClock:
    def __init__(self):
        self.at = 100.0

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def make(clock):
    def make(*tiers, embedder=None, versions=None, extras=(), held=MappingProxyType({}), **settings):
        settings = MemorySettings(**{"recall_budget_ms": 30} | settings)
        embedder, versions = embedder or StillEmbedder(), versions or SteadyVersions()
        return Recaller(
            tiers, embedder, versions, settings, extras=extras, held=held, clock=clock, now=lambda: NOW
        )

    return make


@pytest.fixture
def recent():
    return RecentTurns()


async def test_reply_keeps_facts_when_graph_hangs(make, recent):
    """A hung tier costs the budget, is named late, and the other tier's answer is used."""
    facts, graph = Gate(answer=[item("Dog is called Biscuit")]), Gate("graph", is_open=False)
    recaller = make(facts, graph)
    found = await recaller.recall(ANA, "what is my dog called", recent)
    assert found.tiers["facts"].status == "ok" and found.tiers["graph"].status == "late"
    assert "Biscuit" in found.block
    await recaller.close()


async def test_many_questions_at_once_end_none_that_a_reply_waits_for(make, recent):
    """More calls ask than answers are kept: a lookup that was let go still answers who waits for it."""
    facts = Gate(answer=[item("Dog is called Biscuit")], is_open=False)
    recaller = make(facts, recall_budget_ms=5_000)
    waiting = [
        asyncio.create_task(recaller.recall(ANA, f"what is my dog number {n} called", recent))
        for n in range(2 * LOOKUPS_HELD)
    ]
    while len(facts.asked) < len(waiting):
        await asyncio.sleep(0)
    facts.open.set()
    assert {found.tiers["facts"].status for found in await asyncio.gather(*waiting)} == {"ok"}
    await recaller.close()


async def test_every_status_is_told_apart(make, recent):
    """Empty is not failed, and a broken tier is never raised."""
    recaller = make(
        Gate("a"),
        Gate("b", error=StoreUnavailable()),
        Gate("c", error=ZeroDivisionError()),
        Gate("d", is_open=False),
    )
    found = await recaller.recall(ANA, "where do I live", recent)
    assert [found.tiers[name].status for name in "abcd"] == ["empty", "failed", "failed", "late"]
    assert found.tiers["recent"].status == "empty" and found.block == ""
    await recaller.close()


async def test_late_answer_serves_the_same_words_at_once(make, recent):
    """A retry or tool step finds what arrived meanwhile, without another lookup."""
    facts = Gate(answer=[item("Lives in Lisbon")], is_open=False)
    recaller = make(facts)
    first = await recaller.recall(ANA, "Where do I live?", recent)
    assert first.tiers["facts"].status == "late" and "Lisbon" not in first.block
    facts.open.set()
    second = await recaller.recall(ANA, "where do i live", recent)
    assert second.tiers["facts"].status == "ok" and "Lisbon" in second.block
    assert len(facts.asked) == 1
    await recaller.close()


async def test_late_answer_is_a_candidate_for_the_next_question_only_if_it_fits(make, recent):
    """What was late is scored against the next words; it is not inserted as it is."""
    facts = Gate(answer=[item("Lives in Lisbon near the river")], is_open=False)
    recaller = make(facts)
    await recaller.recall(ANA, "where do I live", recent)
    facts.open.set()
    await recaller.recall(ANA, "where do I live", recent)
    facts.open.clear()
    other = await recaller.recall(ANA, "which medicine must I take tonight", recent)
    fitting = await recaller.recall(ANA, "how far is Lisbon from here", recent)
    assert other.tiers["facts"].status == fitting.tiers["facts"].status == "late"
    assert "Lisbon" not in other.block
    assert "Lisbon" in fitting.block
    await recaller.close()


async def test_hung_tier_costs_three_budgets_then_none(make, recent, clock):
    """After three late answers the breaker skips the tier; after the pause one trial is let through."""
    graph = Gate("graph", is_open=False)
    recaller = make(graph)
    statuses = [
        (await recaller.recall(ANA, f"question number {n}", recent)).tiers["graph"].status for n in range(6)
    ]
    assert statuses == ["late"] * 3 + ["skipped"] * 3
    clock.at += 5.1
    graph.open.set()
    graph.answer = [item("back again")]
    assert (await recaller.recall(ANA, "question number seven", recent)).tiers["graph"].status == "ok"
    assert recaller.breakers["graph"].state == "closed"
    await recaller.close()


class Theirs(Gate):
    """A tier that hangs for some callers."""

    hangs_for = ("large",)

    async def search(self, question):
        if question.caller.user_id in self.hangs_for:
            await self.open.wait()
        return self.answer


async def test_a_caller_who_is_always_late_is_skipped_alone(make, recent):
    """A large memory blinds nobody else, and is asked again when its caller's pause is over."""
    recaller = make(Theirs(answer=[item("Dog is called Biscuit")], is_open=False))
    large, statuses = Caller("large", "echoic", "call-2"), []
    for n in range(5):
        statuses.append((await recaller.recall(large, f"question number {n}", recent)).tiers["facts"].status)
        found = await recaller.recall(ANA, f"what is my dog called, attempt {n}", recent)
        assert found.tiers["facts"].status == "ok"
    assert statuses == ["late"] * 3 + ["skipped"] * 2
    assert recaller.breakers["facts"].state == "open" and not recaller.breakers["facts"].is_open
    recaller.forget_call(large)
    assert recaller.breakers["facts"].state == "closed"
    await recaller.close()


async def test_who_does_not_come_back_is_not_held_back_for_good(make, recent, clock):
    recaller = make(Theirs(is_open=False))
    for n in range(3):
        await recaller.recall(Caller("large", "echoic", "call-2"), f"question number {n}", recent)
    assert recaller.breakers["facts"].state == "open"
    clock.at += 5.1
    assert recaller.breakers["facts"].state == "closed"
    await recaller.close()


async def test_a_hung_store_costs_new_callers_nothing(make, recent, clock):
    """Late to three callers in a row, it is skipped for all of them; one trial tells whether it is back."""
    facts = Gate(is_open=False)
    recaller = make(facts)
    callers = [Caller(f"caller-{n}", "echoic", f"call-{n}") for n in range(5)]
    statuses = [
        (await recaller.recall(one, "where do I live", recent)).tiers["facts"].status for one in callers
    ]
    assert statuses == ["late"] * 3 + ["skipped"] * 2 and recaller.breakers["facts"].is_open
    clock.at += 5.1
    facts.open.set()
    facts.answer = [item("Lives in Lisbon")]
    for one in callers:
        assert "Lisbon" in (await recaller.recall(one, "in which town do I live", recent)).block
    await recaller.close()


async def test_what_is_held_asks_no_breaker(make, recent):
    """It answers though the store is skipped, and tells nothing of the store."""
    recaller = make(Gate(answer=[item("Dog is called Biscuit")]), held={"facts": lambda who: who is ANA})
    breaker = recaller.breakers["facts"]
    for _ in range(3):
        breaker.failed()
    assert "Biscuit" in (await recaller.recall(ANA, "what is my dog called", recent)).block
    assert breaker.is_open
    other = await recaller.recall(Caller("bo", "echoic", "call-2"), "what is my dog called", recent)
    assert other.tiers["facts"].status == "skipped"
    await recaller.close()


class Ticking(Gate):
    """A tier that takes its time: the hand of the clock moves while it answers."""

    def __init__(self, clock, takes_s, **options):
        super().__init__("graph", **options)
        self.clock, self.takes_s = clock, takes_s

    async def search(self, question):
        self.asked.append(question.text)
        await self.open.wait()
        self.clock.at += self.takes_s
        return self.answer


async def test_hung_graph_costs_three_budgets_and_no_more(make, recent, clock):
    """Whether it is back is tried without any reply waiting for that; when it is, its answers count again."""
    graph = Ticking(clock, 0.01, is_open=False)
    recaller = make(
        Gate(answer=[item("Dog is called Biscuit")]), graph, extras=("graph",), recall_budget_ms=5_000
    )
    for n in range(3):
        await recaller.recall(ANA, f"question number {n}", recent, budget_s=0.01)
    assert recaller.breakers["graph"].state == "open"
    clock.at += 5.1
    trial = await recaller.recall(ANA, "the trial question", recent)  # would wait for five seconds
    assert (
        trial.tiers["graph"].status == "late"
        and trial.tiers["facts"].status == "ok"
        and "Biscuit" in trial.block
    )
    assert (await recaller.recall(ANA, "one more question", recent)).tiers["graph"].status == "skipped"
    assert len(graph.asked) == 4
    graph.answer = [item("Ana is the sister of Biscuit's breeder", kind="relation", tier="graph")]
    graph.open.set()
    while recaller.breakers["graph"].state != "closed":
        await asyncio.sleep(0)
    found = await recaller.recall(ANA, "who bred my dog", recent)
    assert found.tiers["graph"].status == "ok" and "breeder" in found.block
    await recaller.close()


async def test_slow_graph_stays_held_back_and_its_late_answer_serves(make, recent, clock):
    """A trial that answers after the budget is no recovery; what it found is a candidate all the same."""
    graph = Ticking(
        clock, 1.0, answer=[item("Ana is the sister of Bruno", kind="relation", tier="graph")], is_open=False
    )
    recaller = make(Gate(), graph, extras=("graph",))
    for n in range(3):
        await recaller.recall(ANA, f"question number {n}", recent)
    clock.at += 5.1
    await recaller.recall(ANA, "the trial question", recent)
    graph.open.set()
    while recaller.breakers["graph"].state != "open":
        await asyncio.sleep(0)
    found = await recaller.recall(ANA, "who is the sister of Bruno", recent)
    assert found.tiers["graph"].status == "skipped" and "Ana is the sister" in found.block
    await recaller.close()


async def test_late_relations_are_candidates_although_the_facts_have_answered(make, recent):
    """Tier 1 gives what it holds for the tier that failed, and nothing the other has weighed."""
    said = Turn(uuid4(), "ana", "echoic", "call-0", 0, "user", "Bruno came for dinner", NOW)
    recent.load([said], [])
    recent.offer(
        [
            item("Bruno is the brother of Carla", kind="relation", tier="graph"),
            item("Bruno likes fish", tier="facts"),
        ]
    )
    graph = Gate("graph", is_open=False)
    found = await make(Gate(), graph).recall(ANA, "tell me about Bruno", recent)
    assert [one.text for one in found.tiers["recent"].items if one.kind != "turn"] == [
        "Bruno is the brother of Carla"
    ]
    assert "brother of Carla" in found.block and "likes fish" not in found.block
    graph.open.set()
    answered = await make(Gate(), graph).recall(ANA, "tell me about Bruno", recent)
    assert "brother of Carla" not in answered.block, "the graph has weighed it"


async def test_a_late_relation_that_has_ended_waits_for_a_question_about_the_past(make, recent):
    """In the present it would be false; asked about the past, it is told with its end."""
    lived = item(
        "Lives in Porto", kind="relation", tier="graph", valid_until=datetime(2025, 1, 1, tzinfo=UTC)
    )
    recent.offer([lived])
    recaller = make(Gate(), Gate("graph", error=StoreUnavailable()), breaker_failures=9)
    assert "Porto" not in (await recaller.recall(ANA, "what is the weather in Porto", recent)).block
    assert "true until 31 Dec 2024" in (await recaller.recall(ANA, "did I live in Porto once", recent)).block


async def test_the_digest_serves_when_the_graph_always_loses(make, recent):
    """In the profile whatever is asked, and first when it is asked for."""
    recent.load(
        [],
        [],
        digest=[
            item(f"{name} lives next door", kind="relation", tier="graph")
            for name in "Ana Bo Caj Dun Eva Fay Gil".split()
        ],
    )
    recaller = make(
        Gate(answer=[item("Has a cat")]), Gate("graph", error=StoreUnavailable()), breaker_failures=9
    )
    assert "Ana lives" in (await recaller.recall(ANA, "what should I cook", recent)).block
    asked = (await recaller.recall(ANA, "who is Gil", recent)).block
    assert asked.index("Gil lives") < asked.index("Known about the caller") < asked.index("Ana lives")


async def test_trial_that_fails_opens_again(make, recent, clock):
    """One question pays for the trial; the next one skips the tier again."""
    facts = Gate(error=StoreUnavailable())
    recaller = make(facts)
    for n in range(3):
        await recaller.recall(ANA, f"question number {n}", recent)
    clock.at += 5.1
    assert (await recaller.recall(ANA, "a trial question", recent)).tiers["facts"].status == "failed"
    assert (await recaller.recall(ANA, "one more question", recent)).tiers["facts"].status == "skipped"
    await recaller.close()


async def test_nothing_is_shared_across_users_agents_calls_or_versions(make, recent):
    """The same words asked for somebody else, or after memory changed, are a lookup of their own."""
    versions, facts = SteadyVersions(), Gate(answer=[item("secret")])
    recaller = make(facts, versions=versions)
    callers = [
        ANA,
        Caller("bob", "echoic", "call-1"),
        Caller("ana", "other", "call-1"),
        Caller("ana", "echoic", "call-2"),
    ]
    for caller in callers:
        await recaller.recall(caller, "what do you know", recent)
    versions.version = 1
    await recaller.recall(ANA, "what do you know", recent)
    assert [asked[0] for asked in facts.asked] == [*callers, ANA]
    await recaller.close()


async def test_preemptive_attempts_share_one_lookup(make, recent):
    """Three attempts for the same words, however they are punctuated, ask once and embed once."""
    facts, embedder = Gate(answer=[item("x")], is_open=False), StillEmbedder()
    recaller = make(facts, embedder=embedder, recall_budget_ms=5_000)
    attempts = [
        asyncio.create_task(recaller.recall(ANA, words, recent))
        for words in ("Who is Ana?", "who is ana", "Who is Ana...")
    ]
    while not facts.asked:
        await asyncio.sleep(0)
    facts.open.set()
    assert [(await attempt).tiers["facts"].status for attempt in attempts] == ["ok"] * 3
    assert len(facts.asked) == 1 and embedder.asked == 1
    await recaller.close()


async def test_prefetch_is_adopted_in_flight(make, recent):
    """Words looked up while they were spoken are joined, not asked again."""
    facts = Gate(answer=[item("Dog is called Biscuit")], is_open=False)
    recaller = make(facts)
    recaller.prefetch(ANA, "what is my dog called", recent)
    while not facts.asked:
        await asyncio.sleep(0)
    facts.open.set()
    assert "Biscuit" in (await recaller.recall(ANA, "What is my dog called?", recent)).block
    assert len(facts.asked) == 1
    await recaller.close()


@pytest.mark.parametrize("sees_more", [False, True])
async def test_the_block_of_a_prefetch_is_there_when_its_lookups_end(make, recent, monkeypatch, sees_more):
    """It is made once, and anew only if the reply's context holds an item of it."""
    made = []
    compose = recaller_module.compose
    monkeypatch.setattr(recaller_module, "compose", lambda *a, **k: made.append(1) or compose(*a, **k))
    turn_id = uuid4()
    told = item("Dog is called Biscuit", kind="turn", role="user", id=turn_id, turn_ids=(turn_id,))
    other = item("Has a dog")
    recaller = make(Gate(answer=[told, other]))
    asked = recaller.prefetch(ANA, "what is my dog called", recent)
    while asked.running or not made:
        await asyncio.sleep(0)
    context = {told.id} if sees_more else {uuid4()}
    found = await recaller.recall(ANA, "What is my dog called?", recent, context=context)
    assert len(made) == 1 + sees_more
    assert ("Biscuit" in found.block) != sees_more and "Has a dog" in found.block
    await recaller.close()


async def test_small_talk_asks_nothing(make, recent):
    """No tier is searched, and the prompt stays as it was."""
    facts = Gate(answer=[item("x")])
    found = await make(facts).recall(ANA, "mm hm", recent)
    assert found.block == "" and found.tiers["facts"].status == "skipped" and not facts.asked


async def test_short_follow_up_is_asked_with_the_turn_before(make, recent):
    """Alone its words name nothing to look for."""
    facts = Gate()
    recaller = make(facts)
    await recaller.recall(ANA, "and hers?", recent, previous="What is my brother's birthday?")
    assert facts.asked[0][1] == "What is my brother's birthday? and hers?"
    await recaller.close()


async def test_cancelled_reply_leaves_the_lookup_running(make, recent):
    """A barge-in cancels llm_node, not the lookup that its next attempt will join."""
    facts = Gate(answer=[item("Biscuit it is")], is_open=False)
    recaller = make(facts, recall_budget_ms=5_000)
    reply = asyncio.create_task(recaller.recall(ANA, "what is my dog called", recent))
    while not facts.asked:
        await asyncio.sleep(0)
    reply.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reply
    facts.open.set()
    assert "Biscuit" in (await recaller.recall(ANA, "what is my dog called", recent)).block
    assert len(facts.asked) == 1
    await recaller.close()


async def test_a_failed_lookup_is_asked_again(make, recent):
    """A failure is not remembered as an answer."""
    facts = Gate(error=StoreUnavailable())
    recaller = make(facts)
    await recaller.recall(ANA, "where do I live", recent)
    facts.error, facts.answer = None, [item("Lives in Lisbon")]
    assert "Lisbon" in (await recaller.recall(ANA, "where do I live", recent)).block
    await recaller.close()


async def test_slow_embedding_leaves_the_words(make, recent):
    """A tier that waits for a vector gets None in time to use words; after three it is skipped."""

    class Wordy(Gate):
        async def search(self, question):
            vector = await question.vector.get()
            return [item("found by words" if vector is None else "found by meaning")]

    embedder = StillEmbedder(is_open=False)
    recaller = make(Wordy(), embedder=embedder, recall_budget_ms=60)
    for n in range(5):
        found = await recaller.recall(ANA, f"question number {n}", recent)
        assert found.tiers["facts"].status == "ok" and "found by words" in found.block
    assert embedder.asked == 3 and recaller.breakers[EMBEDDER].state == "open"
    await recaller.close()


async def test_failed_embedding_leaves_the_words(make, recent):
    """A tier is told that there is no vector, and what it finds by words is used."""

    class Wordy(Gate):
        async def search(self, question):
            return [item("found by words")] if await question.vector.get() is None else []

    recaller = make(Wordy(), embedder=StillEmbedder(error=ModelUnavailable()))
    assert "found by words" in (await recaller.recall(ANA, "where do I live", recent)).block
    await recaller.close()


async def test_tier_one_answers_when_every_store_is_dead(make, recent):
    """Profile, last call and matching turns come from the process itself."""
    told = Turn(uuid4(), "ana", "echoic", "call-0", 0, "user", "My dog is called Biscuit", NOW)
    lives = Fact(uuid4(), "ana", "Lives in Lisbon", "home", 0.9, "user", "echoic", NOW)
    recent.load([told], [lives])
    recaller = make(Gate(error=StoreUnavailable()))
    found = await recaller.recall(ANA, "what is my dog called", recent)
    assert found.tiers["facts"].status == "failed" and found.tiers["recent"].status == "ok"
    assert "Biscuit" in found.block and "Lisbon" in found.block
    await recaller.close()


async def test_turns_in_the_context_are_not_recalled_again(make, recent):
    """What the model can read above is not said to it twice; the rest is."""
    seen, unseen = uuid4(), uuid4()
    answer = [
        item("seen words", kind="turn", id=seen, turn_ids=(seen,)),
        item("unseen words", kind="turn", id=unseen, turn_ids=(unseen,)),
    ]
    recaller = make(Gate(answer=answer))
    found = await recaller.recall(ANA, "tell me about it all", recent, context={seen})
    assert "unseen words" in found.block and "seen words" not in found.block.replace("unseen words", "")
    await recaller.close()


async def test_held_lookups_are_bounded_and_dropped_with_the_call(make, recent):
    """Of forty partial transcripts 32 are kept, and none outlives the call."""
    facts = Gate(is_open=False)
    recaller = make(facts, breaker_failures=1000)
    for n in range(40):
        recaller.prefetch(ANA, f"partial words number {n}", recent)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(recaller._asked) == 32
    recaller.forget_call(ANA)
    await recaller.close()
    assert not recaller._asked and not recaller._tasks


async def test_what_is_due_is_told_until_the_callers_first_words_are_answered(make, recent):
    """Also where those are a greeting, for which no store is asked; what is due later waits."""
    facts = Gate(answer=[item("Dog is called Biscuit")])
    recaller = make(facts)
    told = [("You call back about the boiler", -1), ("You send the bill", 1), ("You write a letter", -40)]
    recent.load([], [promise(*one) for one in told])
    recent.add(turn("Hello, this is Kim.", "assistant"))
    first = await recaller.recall(ANA, "hello", recent)
    assert "begin with it:\n- You call back about the boiler" in first.block and "bill" not in first.block
    assert [one.text for one in first.used] == ["You call back about the boiler"] and not facts.asked
    recent.add(turn("hello", "user"))
    again = await recaller.recall(ANA, "what is my dog called", recent)
    assert again.block.index("boiler") < again.block.index("Biscuit") < again.block.index("bill")
    assert again.block.count("boiler") == 1
    recent.add(turn("I call about the boiler.", "assistant"))
    assert not (await recaller.recall(ANA, "thanks", recent)).block
    assert "begin with it" not in (await recaller.recall(ANA, "what is my dog called", recent)).block
    await recaller.close()


def promise(text, days):
    due = NOW + timedelta(days=days)
    return Fact(uuid4(), "ana", text, "promises", 0.5, "agent", "echoic", NOW, kind="promise", due=due)


def turn(text, role):
    return Turn(uuid4(), "ana", "echoic", "call-1", 0, role, text, NOW)
