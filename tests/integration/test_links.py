"""One person under several ids: what a call sees, and that a link taken back leaves nothing behind."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid5

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.agents import AgentSession
from typer.testing import CliRunner

import echoic
from echoic.cli import app
from echoic.memory.call import CallMemory
from echoic.memory.direct import OpenMemory
from echoic.memory.errors import ConfigInvalid
from echoic.memory.privacy.erase import erase_person, erase_user
from echoic.memory.privacy.export import export_user
from echoic.memory.privacy.forget import forget
from echoic.memory.review import people
from echoic.memory.review.facts import FactFilter, facts
from echoic.memory.service import open_memory
from echoic.memory.settings.links import MOST_IDS, LinkStore, TooManyIds
from echoic.memory.settings.personal import PersonalStore
from echoic.memory.types import Caller, Fact, ForgetRequest, Turn
from tests.embedders import WordEmbedder
from tests.livekits.scripted import ScriptedLLM
from tests.remembered import caller, fact, learn, say

IDS = ("phone:a1", "web", "wa", "device")
NAMES = UUID("5f0f2f5e-6f6c-4c33-9c7e-3f3a0a5b6f11")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
one_id = st.sampled_from(IDS)
pair = st.tuples(one_id, one_id).filter(lambda ids: ids[0] != ids[1])
acts = st.tuples(st.sampled_from(["say", "learn", "forget", "refuse"]), st.tuples(one_id, one_id))
joins = st.tuples(st.sampled_from(["link", "link", "unlink"]), pair)
histories = st.lists(acts | joins, min_size=4, max_size=14)
_numbers = count(1)


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder()) as opened:
        yield opened


@dataclass
class World:
    """What should be known of each id, and who is linked with whom."""

    said: dict[str, set[str]] = field(default_factory=lambda: {one: set() for one in IDS})
    known: dict[str, set[UUID]] = field(default_factory=lambda: {one: set() for one in IDS})
    refused: set[str] = field(default_factory=set)
    links: set[frozenset[str]] = field(default_factory=set)

    def person(self, user_id: str) -> set[str]:
        """All ids that a chain of links joins with this one."""
        found: set[str] = {user_id}
        while more := {one for link in self.links if link & found for one in link} - found:
            found |= more
        return found

    def seen(self, user_id: str) -> tuple[set[str], set[UUID], bool]:
        """What is said and known of the person, and whether they refused."""
        ids = self.person(user_id)
        said, known = (set().union(*(of[one] for one in ids)) for of in (self.said, self.known))
        return said, known, bool(ids & self.refused)


async def live(memory, world: World, history, prefix: str) -> None:
    """Do it all, and note what should come of it."""
    store = LinkStore(memory.db)
    for number, (what, (whom, other)) in enumerate(history):
        name, unique, at = (
            prefix + whom,
            uuid5(NAMES, f"{prefix}{number}"),
            LONG_AGO + timedelta(hours=number),
        )
        link = frozenset((whom, other))
        if what == "link":
            made = await store.add(name, prefix + other, made_by="a test")
            assert made == (link not in world.links)
            world.links.add(link)
        elif what == "unlink":
            assert await store.remove(name, prefix + other) == (link in world.links)
            world.links.discard(link)
        elif what == "say":
            words = f"words {number}"
            await memory.turns.record(Turn(unique, name, "echoic", f"{prefix}{number}", 0, "user", words, at))
            world.said[whom].add(words)
        elif what == "learn":
            await learn(memory, Fact(unique, name, f"Fact {number}", "t", 0.5, "user", "echoic", at))
            world.known[whom].add(unique)
        elif what == "refuse":
            await memory.consents.write(name, "off")
            world.refused.add(whom)
        elif known := world.seen(whom)[1]:  # a call forgets what it sees, whichever id it is of
            gone = min(known)
            call = await memory.open_call(Caller(name, "echoic", f"{prefix}forgets {number}"))
            await forget(call, ForgetRequest(fact_ids=frozenset({gone})))
            await call.end(hurry=False)
            for of in world.known.values():
                of.discard(gone)


async def seen(memory, user_id: str) -> tuple[set[str], set[UUID], bool]:
    """What the lists, a call, and an export show of one id: all must say the same."""
    page = await facts(memory.db, user_id, FactFilter(validity="all"), LONG_AGO, None, 200)
    known = {one.fact.fact_id for one in page}
    said = {one.turn.text for one in await people.turns(memory.db, user_id, None, None, 200)}
    call = await memory.open_call(Caller(user_id, "echoic", f"look at {user_id}"))
    await memory.search.wait_held(call.caller.call_id)
    rows = memory.search._holds[call.caller.key].memory._rows.values()
    assert {row["id"] for row in rows if row["payload"]} == known
    assert {row["text"] for row in rows if not row["payload"]} == said
    assert {item.id for item in call.recent.profile} <= known and bool(call.recent.profile) == bool(known)
    await call.end(hurry=False)
    if known or said:
        whole = await export_user(memory, user_id)
        assert {UUID(one["id"]) for one in whole["facts"]} == known
        assert {one["text"] for one in whole["turns"]} == said
    return said, known, call.consent == "off"


@pytest.mark.timeout(300)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories)
async def test_whatever_happened_while_linked_each_id_is_left_with_its_own(memory, history):
    """While ids are linked each shows all; when the links are gone, each is as if there had been none."""
    prefix, world = f"{next(_numbers)}:", World()
    await live(memory, world, history, prefix)
    for one in IDS:
        assert await seen(memory, prefix + one) == world.seen(one)
    for link in list(world.links):
        assert await LinkStore(memory.db).remove(*(prefix + one for one in link))
    world.links.clear()
    for one in IDS:
        assert await seen(memory, prefix + one) == world.seen(one)


async def test_a_call_recalls_what_was_said_under_another_id(memory):
    """By the phone what was said on the web; under its own id alone before, and again when unlinked."""
    await learn(memory, fact("Has a dog called Biscuit", "web"))
    await say(memory, "My boat is called Ada.", user_id="web", call_id="w")

    async def asked(text):
        call = await memory.open_call(caller("phone:1"))
        await memory.search.wait_held(call.caller.call_id)
        found = await call.recall(text, budget_s=10)
        await call.end(hurry=False)
        return {item.text for item in found.used}

    async def both():
        return await asked("What is my dog called?"), await asked("What is my boat called?")

    assert await both() == (set(), set())
    await memory.links.add("phone:1", "web", made_by="a test")
    dog, boat = await both()
    assert "Has a dog called Biscuit" in dog and "My boat is called Ada." in boat
    direct = await OpenMemory(memory).recall("phone:1", "What is my dog called?", budget_s=10)
    assert "Biscuit" in direct.block
    await memory.links.remove("web", "phone:1")
    assert await both() == (set(), set())


async def test_recall_of_a_linked_caller_asks_no_store(memory, monkeypatch):
    """The ids are resolved once, when the call opens: each question is answered from what is held."""
    await learn(memory, fact("Has a dog called Biscuit", "web"))
    await memory.links.add("phone:1", "web", made_by="a test")
    call = await memory.open_call(caller("phone:1"))
    await memory.search.wait_held(call.caller.call_id)
    asked = Counter()

    async def run(work, **_options):
        asked["run"] += 1

    monkeypatch.setattr(memory.db, "run", run)
    found = await call.recall("What is my dog called?", budget_s=10)
    assert "Biscuit" in found.block and not asked
    monkeypatch.undo()
    await call.end(hurry=False)


async def wait_until(true):
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_link_taken_back_ends_what_a_running_call_sees(memory):
    """At once, not with its next call: somebody may have been linked by mistake."""
    await learn(memory, fact("Has a dog called Biscuit", "web"))
    await memory.links.add("phone:1", "web", made_by="a test")
    call = await memory.open_call(caller("phone:1"))
    await memory.search.wait_held(call.caller.call_id)
    await memory.versions.wait_heard()
    await memory.links.remove("phone:1", "web")
    await wait_until(lambda: not call.caller.also)
    await memory.search.wait_held(call.caller.call_id)
    assert "Biscuit" not in (await call.recall("What is my dog called?", budget_s=10)).block
    await call.end(hurry=False)


def hold_back(memory, monkeypatch):
    """The last of what a call begins with is not read until `go`."""
    read, go, asked = memory.facts.names, asyncio.Event(), asyncio.Event()

    async def names(*args):
        asked.set()
        await go.wait()
        return await read(*args)

    monkeypatch.setattr(memory.facts, "names", names)
    return go, asked


def told(memory, monkeypatch, what):
    """Set once this process has heard of it."""
    carry_out, heard = getattr(memory.versions, f"on_{what}"), asyncio.Event()
    monkeypatch.setattr(memory.versions, f"on_{what}", lambda *args: (carry_out(*args), heard.set()))
    return heard


@pytest.mark.parametrize("what", ["unlinked", "erased", "forgotten"])
async def test_what_is_taken_back_while_a_call_loads_does_not_come_in_behind(memory, monkeypatch, what):
    """What had been read before is read again: it would have stayed for the whole call."""
    safe = fact("Has a safe with the code Xylquor", "web" if what == "unlinked" else "phone:1")
    await learn(memory, safe)
    await memory.links.add("phone:1", "web", made_by="a test")
    await memory.versions.wait_heard()
    (go, asked), heard = hold_back(memory, monkeypatch), told(memory, monkeypatch, what)
    call = memory.start_call(caller("phone:1"))
    await asked.wait()
    if what == "unlinked":
        await memory.links.remove("phone:1", "web")
    elif what == "erased":
        await erase_user(memory, "phone:1")
    else:
        wanted = ForgetRequest(fact_ids=frozenset({safe.fact_id}))
        await forget(CallMemory(memory, caller("phone:1")), wanted)
    await heard.wait()
    go.set()
    await call.wait_loaded()
    assert "Xylquor" not in (await call.recall("What is the code of my safe?", budget_s=10)).block
    await call.end(hurry=False)


async def test_who_is_erased_is_gone_from_the_calls_of_their_other_ids(memory):
    """One id is erased with its links, the others stay; the person is erased only when that is asked for."""
    for one in ("phone:1", "web", "device"):
        await learn(memory, fact(f"Is known as {one}", one))
    for ids in (("phone:1", "web"), ("web", "device")):
        await memory.links.add(*ids, made_by="a test")
    call = await memory.open_call(caller("phone:1"))
    await memory.search.wait_held(call.caller.call_id)
    assert len(call.recent.profile) == 3
    await memory.versions.wait_heard()
    assert (await erase_user(memory, "web")).facts == 1
    await wait_until(lambda: not call.caller.also)
    assert "known as web" not in (await call.recall("Who is known as web?", budget_s=10)).block
    await call.end(hurry=False)
    store = LinkStore(memory.db)
    assert await store.of("phone:1") == await store.of("device") == []
    assert len(await memory.facts.list("phone:1")) == len(await memory.facts.list("device")) == 1
    await store.add("phone:1", "device", made_by="a test")
    assert (await erase_person(memory, "phone:1")).facts == 2
    assert await memory.facts.list("device") == [] == await store.of("phone:1")


async def test_the_last_answer_about_being_remembered_is_the_persons(memory):
    """A no on the web counts on the phone, and a later yes there counts again; unlinked, each has its own."""
    await memory.links.add("phone:1", "web", made_by="a test")
    await memory.consents.write("web", "off")
    assert await memory.consents.read("phone:1") == "off"
    assert await say(memory, "I am on the phone.", user_id="phone:1") and not await memory.turns.list(
        "phone:1"
    )
    await memory.consents.write("phone:1", "on")
    assert await memory.consents.read("web") == "on"
    await memory.links.remove("phone:1", "web")
    assert (await memory.consents.read("phone:1"), await memory.consents.read("web")) == ("on", "off")


async def test_memory_turned_off_under_one_id_is_not_read_under_another(memory):
    """Neither kept nor recalled, whoever asks."""
    await learn(memory, fact("Has a dog called Biscuit", "web"))
    await memory.links.add("phone:1", "web", made_by="a test")
    store = PersonalStore(memory.db)
    await store.change("web", {"memory": False}, version=(await store.read("web")).version)
    call = await memory.open_call(caller("phone:1"))
    assert call.caller.ids == ("phone:1",) and not call.recent.profile and call.consent == "off"
    await call.end(hurry=False)


async def test_nothing_is_linked_by_mistake(memory):
    """Not with oneself, not nobody in particular, not a whole town; two who link at once stay within it."""
    store = LinkStore(memory.db)
    for ids in (("ana", "ana"), ("ana", ""), ("ana", "anonymous:1"), ("ana", "x" * 201)):
        with pytest.raises(ConfigInvalid):
            await store.add(*ids, made_by="a test")
    links = (store.add("ana", f"device {number}", made_by="a test") for number in range(MOST_IDS + 4))
    made = await asyncio.gather(*links, return_exceptions=True)
    assert sum(isinstance(one, TooManyIds) for one in made) == 5
    assert len(await store.ids("ana")) == MOST_IDS


def session():
    return AgentSession(llm=ScriptedLLM("Hello."), vad=None, turn_handling={"turn_detection": None})


async def test_an_application_links_a_caller_whom_it_has_confirmed(memory):
    """In the call, from a tool that asked for a code; nobody in particular cannot be linked."""
    async with session() as one, await echoic.remember(one, user_id="phone:1", memory=memory) as handle:
        await handle.link("web")
    (link,) = await LinkStore(memory.db).of("web")
    assert (link.user_id, link.other_id, link.made_by) == ("phone:1", "web", "caller")
    async with session() as one, await echoic.remember(one, memory=memory) as nobody:
        with pytest.raises(ConfigInvalid, match="nobody's in particular"):
            await nobody.link("web")


def test_the_command_links_lists_and_takes_back(memory_settings, monkeypatch):
    """A phone by its number, which stands nowhere; each answer in a sentence."""
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(f"ECHOIC_{name.upper()}", getattr(memory_settings, name).get_secret_value())
    monkeypatch.setenv("ECHOIC_DATA_DIR", str(memory_settings.data_dir))
    monkeypatch.setenv("ECHOIC_PHONE_KEY", "a key of thirty-two characters !")

    def run(*words):
        return CliRunner().invoke(app, ["link", *words])

    assert "Linked: one person" in run("add", "web", "tel:+4930901820").output
    assert "already" in run("add", "tel:+4930901820", "web").output
    shown = json.loads(run("list", "web", "--json").output)
    assert shown["ids"][0] == "web" and shown["ids"][1].startswith("phone:") and "901820" not in str(shown)
    assert "2 ids, one person." in run("list", "web").output
    assert run("remove", "web", "tel:+4930901820").output == "Unlinked.\n"
    assert isinstance(run("remove", "web", "tel:+4930901820").exception, ConfigInvalid)
    assert isinstance(run("add", "web", "tel:110").exception, ConfigInvalid)
    assert run("list", "web").output == "Linked with no other id.\n"
