"""Forgetting a part, and consent, on the real stores: gone everywhere, for good, and nothing else with it."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from echoic.memory.call import CallMemory
from echoic.memory.errors import StoreUnavailable
from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.export import export_user
from echoic.memory.privacy.forget import forget
from echoic.memory.privacy.named import find_named
from echoic.memory.service import Memory, open_memory
from echoic.memory.store.batches import users_with_open_turns
from echoic.memory.text.canonical import sentences
from echoic.memory.text.language import languages
from echoic.memory.types import Caller, Evidence, ForgetRequest, Forgotten, Turn
from echoic.workers.learn.learner import Learner
from tests.embedders import WordEmbedder
from tests.integration.test_account import Learns, dump, left_in_spool, settled
from tests.remembered import fact
from tests.remembered import learn as put

DOG, TOWN = "My dog is called Xylquor.", "I live in Porto."


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder()) as opened:
        yield opened


@pytest.fixture
async def asking(memory_settings):
    """A memory whose callers are asked first."""
    async with open_memory(
        memory_settings.model_copy(update={"consent": "ask"}), embedder=WordEmbedder()
    ) as opened:
        yield opened


async def a_call(memory: Memory, user_id: str = "ana") -> CallMemory:
    return await memory.open_call(Caller(user_id, "echoic", uuid4().hex))


async def say(call: CallMemory, *texts: str) -> list[UUID]:
    found = [await call.record(uuid4().hex, "user", text) for text in texts]
    await settled(call.memory)
    return [turn.turn_id for turn in found if turn is not None]


async def learn(memory: Memory, user_id: str = "ana") -> None:
    extractor = Learns()
    extractor.go.set()
    await Learner(memory, extractor).learn(user_id)


async def forget_named(call: CallMemory, what: str, code: str = "en") -> Forgotten:
    """All that is named goes."""
    named = await find_named(call, what, languages()[code])
    return await forget(call, named.wanted)


async def known(memory: Memory, user_id: str = "ana") -> tuple[list[str], list[str]]:
    """The texts of all turns and of all facts."""
    turns, facts = await memory.turns.list(user_id), await memory.facts.list(user_id, include_closed=True)
    return [turn.text for turn in turns], [fact.text for fact in facts]


async def heard(memory: Memory) -> None:
    """Wait until this process has heard what Postgres has notified so far."""
    ids = asyncio.Event()
    before = memory.versions.heard

    def hear(payload: str) -> None:
        before(payload)
        if "probe" in payload:
            ids.set()

    memory.versions.heard = hear  # type: ignore[method-assign]
    await memory.db.run(
        lambda c: c.execute(
            "select pg_notify('echoic_memory', $1)", json.dumps({"user": "probe", "call": ""})
        )
    )
    await asyncio.wait_for(ids.wait(), 5)
    memory.versions.heard = before  # type: ignore[method-assign]


async def test_a_turn_and_what_was_learned_from_it_are_gone_from_every_store(memory, memory_settings):
    """Row, fact, index, postings: a dump of all stores holds no word of it, and the other turn stays."""
    call = await a_call(memory)
    dog, _ = await say(call, DOG, TOWN)
    await learn(memory)
    assert "xylquor" in dump(memory_settings).lower()
    gone = await forget(call, ForgetRequest(frozenset({dog})))
    assert (len(gone.turns), len(gone.facts)) == (1, 1)
    assert await known(memory) == ([TOWN], [f"Said: {TOWN}"])
    assert "xylquor" not in dump(memory_settings).lower()
    known_refs = "select ref from turns union select ref from facts"
    orphans = f"select count(*) from postings where ref not in ({known_refs})"
    assert await memory.db.run(lambda c: c.fetchval(orphans)) == 0
    assert await memory.db.run(lambda c: c.fetchval("select count(*) from turn_index")) == 1


async def test_it_is_recalled_no_more_in_this_call_and_in_others(memory, memory_settings):
    """The held index, tier 1, and answers that were looked up ahead; in this process, and in another one."""
    first = await a_call(memory)
    (dog,) = await say(first, DOG)
    await learn(memory)
    async with open_memory(memory_settings, embedder=WordEmbedder()) as elsewhere:
        other, same = await a_call(elsewhere), await a_call(memory)
        for call in (first, same, other):
            await call.memory.search.wait_held(call.caller.call_id)
            assert "Xylquor" in str(await call.recall("What is my dog called?"))
            call.prefetch("What is the name of my dog?")
        await forget(same, ForgetRequest(frozenset({dog})))
        for call in (first, same):
            assert "Xylquor" not in str(
                [
                    await call.recall("What is my dog called?"),
                    call.recent.now,
                    call.recent.last_call,
                    call.recent.profile,
                ]
            )
        await heard(elsewhere)
        assert "Xylquor" not in str(
            [await other.recall("What is my dog called?"), await other.recall("What is the name of my dog?")]
        )
        assert "Xylquor" not in str([other.recent.last_call, other.recent.profile])


async def test_what_is_named_goes_wherever_it_stands_and_nothing_else(memory):
    """All the words that are named must stand there; another agent's and another person's words stay."""
    call, bob = await a_call(memory), await a_call(memory, "bob")
    await say(
        call,
        DOG,
        TOWN,
        "The dogs of my sister are loud.",
        "I like cats.",
        "My dog is ill, and I moved to Faro.",
    )
    await learn(memory)
    await say(call, "Is the dog asleep?")
    await say(bob, DOG)
    sales = await memory.open_call(Caller("ana", "sales", uuid4().hex))
    await say(sales, "My dog needs food.")
    gone = await forget_named(call, "my sister's dog")
    assert len(gone.turns) == len(gone.facts) == 1
    await forget_named(call, "my dog")
    assert await known(memory) == (
        [TOWN, "I like cats.", "My dog needs food."],
        [f"Said: {TOWN}", "Said: I like cats."],
    )
    assert (await known(memory, "bob"))[0] == [DOG]


async def test_nothing_named_forgets_nothing(memory):
    """Words that name nothing ("him", "me") match nothing, rather than everything."""
    call = await a_call(memory)
    await say(call, DOG)
    gone = await forget_named(call, "him, me")
    assert not gone.turns and not gone.facts and (await known(memory))[0] == [DOG]


@pytest.mark.parametrize(
    ("said", "what", "code"),
    [
        ("Mein Hund heißt Xylquor.", "meinen Hund", "de"),
        ("我的狗叫小白。", "狗", "zh"),
        ("犬の名前はポチです。", "犬", "ja"),
        ("मेरे कुत्ते का नाम शेरू है।", "कुत्ते", "hi"),
        ("My sister's wedding is in May.", "my sister's wedding", "en"),
    ],
)
async def test_what_is_named_is_found_in_its_language(memory, said, what, code):
    """By the forms of its words, or where a script has no spaces, as it is written."""
    call = await a_call(memory)
    await say(call, said, "Mein Partner heißt Tom.", "我的猫叫小黑。")
    gone = await forget_named(call, what, code)
    assert len(gone.turns) == 1 and said not in (await known(memory))[0]


TOGETHER = {
    "en": "my e-mail|the mail came late|my email is down|my e mail moved",
    "en 2": "my ex-husband|my husband is kind|my ex husband drinks|the ex-husband is Tom",
    "en 3": "AT&T|at a t junction|AT&T called",
    "en 4": "C++|vitamin C helps|I write C++",
    "en 5": "050-1234|050 cats and 1234 dogs|my number is 050 1234|call 0501234",
    "en 6": "24/7|24 dogs and 7 cats|they work 24/7",
    "pt": "o meu e-mail|o correio chegou|o meu email mudou|o e-mail novo",
    "fr": "mon rendez-vous|rendez cela|un rendez vous|le rendez-vous de lundi",
    "it": "l'Aquila|il falco|abito all'Aquila|L'Aquila è bella",
    "de": "meine U-Bahn|die Bahn kommt|die U Bahn fährt|die U-Bahn hält",
    "es": "O'Connor|el cóndor|el doctor OConnor|O'Connor llamó",
    "ru": "ЖК-телевизор|телевизор старый|купил ЖК телевизор",
    "nl": "mijn tv-gids|de tv is stuk|de tv gids ligt daar",
    "pl": "adres e-mail|adres domowy|mój adres email",
    "ja": "コカ・コーラ|コーラが好き|コカコーラで働く",
}


async def test_what_is_written_together_is_one_thing(memory):
    """Also where it is written in pieces, or without a hyphen; what a piece of it names is another."""
    for code, line in TOGETHER.items():
        call = await a_call(memory, code)
        what, other, *same = line.split("|")
        await say(call, other, *same)
        named = await find_named(call, what, languages()[code[:2]])
        assert {item.text for item in named.turns} == {*same} and named.sure, code


LEARNED = {
    "en": "that I'm allergic to peanuts|Has an allergy to peanuts|I'm allergic to peanuts. I row.",
    "de": "dass ich Vegetarier bin|Ernährt sich vegetarisch|Ich bin Vegetarier. Wir wohnen in Kiel.",
    "es": "que soy alérgica al marisco|Tiene alergia al marisco|Soy alérgica al marisco. Vivo en Cádiz.",
    "ru": "что я курю|Курильщик|Я курю. Живу в Твери.",
    "ja": "花粉症|花粉にアレルギーがある|花粉症なんです。京都に住んでいます。",
}


async def test_what_was_learned_in_other_words_goes_too(memory):
    """ "Done" would be untrue while a fact says the same; what was learned from its neighbour stays."""
    for code, line in LEARNED.items():
        call = await a_call(memory, code)
        what, paraphrase, said = line.split("|")
        (turn,) = await say(call, said)
        second = sentences(said)[1]
        quoted = {"user_id": code, "turn_ids": (turn,)}
        other = fact(f"B: {second}", evidence=(Evidence(turn, said),), **quoted)
        await put(memory, fact(paraphrase, evidence=(Evidence(turn, said),), **quoted), other)
        named = await find_named(call, what, languages()[code])
        assert [item.text for item in named.facts] == [paraphrase], code
        assert named.things == 1 and {turn} == named.turn_ids


async def test_a_fact_that_shares_no_word_with_what_is_named_is_asked_about(memory):
    """It may be another: the model quoted more than it rests on."""
    call = await a_call(memory)
    (turn,) = await say(call, "I gave up meat.")
    await put(memory, fact("Is vegetarian", turn_ids=(turn,), evidence=(Evidence(turn, "I gave up meat."),)))
    named = await find_named(call, "that I gave up meat", languages()["en"])
    assert len(named.facts) == 1 and not named.sure


@pytest.mark.parametrize(
    ("said", "what", "other", "code"),
    [
        ("My dog is four, and I live in Faro.", "my dog", "Lives in Faro", "en"),
        ("Mein Hund ist vier und ich wohne in Kiel.", "meinen Hund", "Wohnt in Kiel", "de"),
    ],
)
async def test_what_was_learned_from_the_clause_beside_it_stays(memory, said, what, other, code):
    """Though the model quoted the whole sentence."""
    call = await a_call(memory)
    (turn,) = await say(call, said)
    await put(memory, fact(other, turn_ids=(turn,), evidence=(Evidence(turn, said),)))
    gone = await forget_named(call, what, code)
    assert gone.turns == {turn} and not gone.facts


async def test_a_reply_that_repeats_it_goes_too(memory):
    """In other words than the caller's; what the agent said to something else stays."""
    call = await a_call(memory)
    await say(call, "I am allergic to peanuts.")
    replies = ("assistant", "An allergy to peanuts, noted."), ("user", TOWN), ("assistant", "Nuts!")
    for role, text in replies:
        await call.record(uuid4().hex, role, text)
    await settled(memory)
    await forget_named(call, "that I am allergic to peanuts")
    assert (await known(memory))[0] == [TOWN, "Nuts!"]


async def test_a_part_of_what_is_written_together_is_asked_about(memory):
    """A husband may be the ex-husband that memory knows; nobody can tell."""
    call = await a_call(memory)
    await say(call, "My ex-husband drinks.")
    named = await find_named(call, "my husband", languages()["en"])
    assert len(named.turns) == 1 and not named.sure


async def test_a_word_that_only_begins_alike_is_another(memory):
    """The party is over, and the partner stays."""
    call = await a_call(memory)
    await say(call, "My partner is called Tom.", "My phone is broken.")
    assert not (await forget_named(call, "the party")).turns
    assert not (await forget_named(call, "phone number")).turns


async def test_a_copy_that_arrives_later_does_not_come_back(memory):
    """From the spool of a dead process, and from a commit that is tried again."""
    call = await a_call(memory)
    late = Turn(uuid4(), "ana", "echoic", call.caller.call_id, 7, "user", DOG, call.began)
    await left_in_spool(memory, late)
    await memory.db.run(lambda c: c.execute("select 1"))
    said = await call.record("item-1", "user", DOG)
    await forget(call, ForgetRequest(frozenset({said.turn_id, late.turn_id})))
    assert await memory.spool.of_user("ana") == []
    assert await memory.turns.record(said) is False and await memory.turns.record(late) is False
    assert await call.record("item-1", "user", DOG) is None
    assert await known(memory) == ([], [])


async def test_named_words_in_the_spool_go_too(memory):
    """A turn that waits on the disk for Postgres is not replayed after it was forgotten."""
    call = await a_call(memory)
    await left_in_spool(memory, Turn(uuid4(), "ana", "echoic", "call", 0, "user", DOG, call.began))
    await left_in_spool(memory, Turn(uuid4(), "ana", "echoic", "call", 1, "user", TOWN, call.began))
    await forget_named(call, "my dog")
    await memory.spool.replay(memory.turns.record)
    assert (await known(memory))[0] == [TOWN]


async def test_a_batch_that_is_being_learned_learns_nothing_of_it(memory):
    """It is forgotten while the worker asks the model; the rest of its batch is learned afterwards."""
    call = await a_call(memory)
    dog, _ = await say(call, DOG, TOWN)
    extractor = Learns()
    learning = asyncio.create_task(Learner(memory, extractor).learn("ana"))
    await extractor.asked.wait()
    await forget(call, ForgetRequest(frozenset({dog})))
    extractor.go.set()
    await learning
    await learn(memory)
    assert await known(memory) == ([TOWN], [f"Said: {TOWN}"])


async def test_what_a_forgotten_fact_came_from_as_well_is_learned_again(memory):
    """A fact of two turns goes with one of them; the other turn is read once more, alone."""
    call = await a_call(memory)
    dog, _ = await say(call, DOG, TOWN)
    await learn(memory)
    both = "update facts set sources = (select array_agg(ref) from turns) where user_id = 'ana'"
    await memory.db.run(lambda c: c.execute(both))
    gone = await forget(call, ForgetRequest(frozenset({dog})))
    assert (len(gone.facts), gone.reopened) == (2, 1)
    await learn(memory)
    assert await known(memory) == ([TOWN], [f"Said: {TOWN}"])


async def test_without_postgres_it_is_gone_from_this_process_and_said_so(memory, monkeypatch):
    """The store's fault is raised, and this call repeats the words no more."""
    call = await a_call(memory)
    (dog,) = await say(call, DOG)

    async def down(*_args, **_options):
        raise StoreUnavailable

    monkeypatch.setattr(memory.db, "run", down)
    monkeypatch.setattr(memory.db, "transaction", down)
    with pytest.raises(StoreUnavailable):
        await forget(call, ForgetRequest(frozenset({dog})))
    assert "Xylquor" not in str([await call.recall("What is my dog called?"), call.recent.now])


async def test_erasing_and_exporting_a_person_includes_what_they_asked(memory):
    """Their answers go with the person; a "no" that was the last outlives them as a hash, and still holds."""
    for answer, left in ((True, "unknown"), (False, "off")):
        call = await a_call(memory)
        turns = await say(call, DOG)
        await forget(call, ForgetRequest(frozenset(turns)))
        for granted in (not answer, answer):
            await call.decide(granted=granted)
        exported = await export_user(memory, "ana")
        assert [one["granted"] for one in exported["consents"]] == [not answer, answer]
        assert exported["forgotten"]
        await call.end()
        await erase_user(memory, "ana")
        assert await memory.consents.read("ana") == left
        kept = await memory.db.run(lambda c: c.fetchval("select count(*) from consents"))
        assert kept == (left == "off")
        assert await memory.db.run(lambda c: c.fetchval("select count(*) from forgotten")) == 0


async def test_stop_counts_at_once_everywhere(memory, memory_settings):
    """Not recorded, looked up ahead or learned: in this call, in another, in another process, or later."""
    call, same = await a_call(memory), await a_call(memory)
    await say(call, TOWN)
    await call.decide(granted=False)
    assert (
        call.paused
        and await call.record("i", "user", DOG) is None
        and call.prefetch("Where is my dog?") is None
    )
    await same.record("j", "user", DOG)  # this call has not heard of it: the database refuses
    assert (await known(memory))[0] == [TOWN]
    assert await users_with_open_turns(memory.db, idle_s=0) == []
    await learn(memory)
    assert (await known(memory))[1] == []
    later = await a_call(memory)
    assert later.paused and await later.record("k", "user", DOG) is None
    assert "Porto" in str(await later.recall("Where do I live?"))
    await later.decide(granted=True)
    await say(later, "I like tea.")
    await learn(memory)
    assert await known(memory) == ([TOWN, "I like tea."], [f"Said: {TOWN}", "Said: I like tea."])


@pytest.mark.parametrize("later", [["on"], ["off"], ["on", "off"], ["off", "on"]], ids=" ".join)
async def test_what_was_said_after_a_no_stays_away_whenever_it_comes(memory, later):
    """It waited on the disk of a host without Postgres while they answered again, under another id."""
    await memory.links.add("ana", "web", made_by="a test")
    answers = ["off", *later]
    said = {"before": datetime.now(UTC)}
    for number, answer in enumerate(answers):
        await memory.consents.write(("ana", "web")[number % 2], answer)
        said[f"{number} {answer}"] = datetime.now(UTC)
        await asyncio.sleep(0.01)
    for position, (text, at) in enumerate(said.items()):
        await memory.spool.append(Turn(uuid4(), "ana", "echoic", "c", position, "user", text, at))
    memory.recorder.replay_soon()
    await memory.recorder._replaying
    assert (await known(memory))[0] == [text for text in said if not text.endswith("off")]


async def test_stop_reaches_a_batch_that_is_being_learned(memory):
    """The turn said before stays; what the model makes of it after the stop is not kept."""
    call = await a_call(memory)
    await say(call, DOG)
    extractor = Learns()
    learning = asyncio.create_task(Learner(memory, extractor).learn("ana"))
    await extractor.asked.wait()
    await call.decide(granted=False)
    extractor.go.set()
    await asyncio.wait_for(learning, 20)
    assert await known(memory) == ([DOG], [])


async def test_nothing_is_kept_until_a_yes_and_then_the_call_so_far(asking):
    """The agent remembers within the call meanwhile; who said yes is not asked again."""
    call = await a_call(asking)
    await say(call, DOG)
    assert call.consent_pending and await known(asking) == ([], [])
    assert "Xylquor" in str(call.recent.now)
    await call.decide(granted=True)
    await say(call, TOWN)
    assert (await known(asking))[0] == [DOG, TOWN]
    assert [turn.position for turn in await asking.turns.list("ana")] == [0, 1]
    later = await a_call(asking)
    assert not later.consent_pending and not later.paused


async def test_a_no_is_remembered_as_a_no(asking):
    """Nothing of the call is kept, and the next call keeps nothing without asking again."""
    call = await a_call(asking)
    await say(call, DOG)
    await call.decide(granted=False)
    await say(call, TOWN)
    await call.end()
    later = await a_call(asking)
    assert not later.consent_pending and later.paused and await known(asking) == ([], [])


async def test_without_an_answer_nothing_is_kept_and_they_are_asked_again(asking):
    """Silence is not a yes."""
    call = await a_call(asking)
    await say(call, DOG)
    await call.end()
    assert (await a_call(asking)).consent_pending and await known(asking) == ([], [])


async def test_where_the_setting_is_off_nothing_is_kept(memory_settings):
    """No turn gets an id, and no row is written."""
    async with open_memory(
        memory_settings.model_copy(update={"consent": "off"}), embedder=WordEmbedder()
    ) as memory:
        call = await a_call(memory)
        assert call.paused and await say(call, DOG) == [] and await known(memory) == ([], [])
