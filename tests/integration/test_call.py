"""Whose memory a call is, on real stores: nobody's, a known caller's, another's when the link moves."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import jwt
import pytest
import redis
from livekit import rtc
from livekit.agents import ConversationItemAddedEvent, llm

from echoic.agent.assistant import MemoryAgent
from echoic.agent.call.call import Call
from echoic.agent.call.callers import Callers
from echoic.agent.call.capture import Capture
from echoic.agent.identity.identity import USER_TOKEN, Identified, Rules, anonymous
from echoic.memory.config import MemorySettings
from echoic.memory.errors import ConfigInvalid, StoreUnavailable
from echoic.memory.service import Memory, open_memory
from echoic.memory.types import Caller, Fact
from tests.agents import ScriptedLLM, text_session
from tests.remembered import said_of

SECRET, KEY = "s" * 32, "k" * 32
STANDARD, SIP = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD, rtc.ParticipantKind.PARTICIPANT_KIND_SIP
RULES = Rules(identity_secret=SECRET, phone_key=KEY)
TABLES = ("turns", "turn_index", "facts", "postings")


@pytest.fixture
async def memory(memory_settings: MemorySettings) -> AsyncIterator[Memory]:
    async with open_memory(memory_settings) as opened:
        yield opened


async def call_of(memory: Memory, who: Identified, scope: str = "echoic", **options: Any) -> Call:
    call_memory = await memory.open_call(Caller(who.user_id, scope, uuid4().hex), persistent=who.persistent)
    return Call(call_memory, who, **options)


def known(user_id: str) -> Identified:
    return Identified(user_id, "token", proven=True, persistent=True)


def said(capture: Capture, *texts: str, role: str = "user", at: float | None = None) -> None:
    for text in texts:
        item = llm.ChatMessage(role=role, content=[text], created_at=at or time.time())  # type: ignore[arg-type]
        capture.on_item(ConversationItemAddedEvent.model_construct(item=item))


async def texts(memory: Memory, user_id: str) -> list[str]:
    return [text for _, text, _ in await said_of(memory, user_id)]


async def recalled(call: Call, question: str) -> str:
    return (await call.call_memory.recall(question)).block


async def rows(memory: Memory) -> int:
    return sum(
        [
            await memory.db.run(
                lambda connection, table=table: connection.fetchval(f"select count(*) from {table}")
            )
            for table in TABLES
        ]
    )


async def test_of_an_anonymous_caller_nothing_is_written(memory: Memory, redis_url: str):
    """Known to this call, found in it, and gone with it: no row, no line in the spool, no job, no lookup."""
    call = await call_of(memory, anonymous())
    async with Capture(call.call_memory) as call.capture:
        said(call.capture, "My dog is called Biscuit.", "What is he called?")
        await call.capture.drained()
        recall = await call.call_memory.recall("What is my dog called?")
        assert "Biscuit" in recall.block and recall.tiers["facts"].status == "skipped"
        assert call.call_memory.prefetch("What is my dog called?") is None
        await call.hang_up()
    assert await rows(memory) == 0 and memory.spool.waiting == 0 and call.call_memory not in memory.calls
    assert "Biscuit" not in (await call.call_memory.recall("What is my dog called?")).block
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys() == []


async def test_words_said_before_the_caller_was_confirmed_become_theirs(memory: Memory):
    """In the order they were said, before later ones; and the agent knows at once what was told earlier."""
    before = await memory.open_call(Caller("maya", "echoic", "earlier"))
    await before.record("1", "user", "My dog is called Biscuit.")
    await before.end()
    call = await call_of(memory, anonymous())
    async with Capture(call.call_memory) as call.capture:
        said(call.capture, "Hello, my cat is called Tom.", "I live in Lisbon.")
        confirming = asyncio.create_task(call.confirm("maya"))
        await asyncio.sleep(0)
        said(call.capture, "My parrot is called Rio.")
        await confirming
        await call.capture.drained()
        assert "Biscuit" in await recalled(call, "What is my dog called?")
        assert call.call_memory.persistent and call.shown(
            [llm.ChatMessage(role="user", content=["x"], created_at=1.0)]
        )
        await call.hang_up()
    assert (await texts(memory, "maya"))[1:] == [
        "Hello, my cat is called Tom.",
        "I live in Lisbon.",
        "My parrot is called Rio.",
    ]
    assert [turn.position for turn in (await memory.turns.list("maya"))[1:]] == [0, 1, 2]


async def test_what_an_anonymous_caller_told_each_agent_becomes_theirs(memory: Memory):
    """A desk that greets hands over to one that confirms who is calling."""
    call = await call_of(memory, anonymous(), "front")
    async with Capture(call.call_memory) as call.capture:
        said(call.capture, "I am allergic to peanuts.")
        call.enter_scope("identity")
        said(call.capture, "I like tea.")
        await call.confirm("maya")
        assert sorted(await texts(memory, "maya")) == ["I am allergic to peanuts.", "I like tea."]
        await call.hang_up()
    turns = {turn.text: (turn.agent_id, turn.call_id) for turn in await memory.turns.list("maya")}
    assert [agent_id for agent_id, _ in turns.values()] == ["front", "identity"]
    assert len({call_id for _, call_id in turns.values()}) == 2


async def test_words_before_the_confirmation_are_dropped_if_the_setting_says_so(memory: Memory):
    """Only what is said after the caller is known becomes theirs."""
    call = await call_of(memory, anonymous(), keep_before_confirmed=False)
    async with Capture(call.call_memory) as call.capture:
        said(call.capture, "My cat is called Tom.")
        await call.confirm("maya")
        said(call.capture, "I live in Lisbon.")
        await call.capture.drained()
        await call.hang_up()
    assert await texts(memory, "maya") == ["I live in Lisbon."]


async def test_words_that_could_not_be_stored_at_the_confirmation_are_stored_with_the_next(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
):
    """Database and disk refuse just then: the application is told, the caller is known, no word is lost."""
    record = memory.recorder.record

    async def refuse(_turn: object) -> bool:
        raise StoreUnavailable("The disk is full.")

    call = await call_of(memory, anonymous())
    async with Capture(call.call_memory) as call.capture:
        said(call.capture, "My cat is called Tom.")
        await call.capture.drained()
        monkeypatch.setattr(memory.recorder, "record", refuse)
        with pytest.raises(StoreUnavailable):
            await call.confirm("maya")
        monkeypatch.setattr(memory.recorder, "record", record)
        said(call.capture, "I live in Lisbon.")
        await call.capture.drained()
        await call.hang_up()
    assert await texts(memory, "maya") == ["My cat is called Tom.", "I live in Lisbon."]


async def test_a_phone_caller_who_is_confirmed_is_the_same_person(memory: Memory):
    """What was said stays with the number that said it; what follows is the user's, in the same talk."""
    call = await call_of(memory, Identified("phone:1", "phone", proven=False, persistent=True))
    async with Capture(call.call_memory) as call.capture:
        said(call.capture, "My cat is called Tom.")
        await call.confirm("maya")
        said(call.capture, "I live in Lisbon.")
        await call.hang_up()
    assert call.since is None
    assert (await texts(memory, "phone:1"), await texts(memory, "maya")) == (
        ["My cat is called Tom."],
        ["I live in Lisbon."],
    )


async def test_an_impossible_user_is_refused_and_nothing_changes(memory: Memory):
    """The caller stays who they were."""
    call = await call_of(memory, known("maya"))
    with pytest.raises(ConfigInvalid):
        await call.confirm("m" * 201)
    assert call.identified.user_id == "maya"
    await call.hang_up()


async def test_when_another_person_speaks_nothing_of_the_one_before_is_there(memory: Memory):
    """Tier 1 is empty at once; words on their way are stored for who said them.

    Also a reply that ends after they left.
    """
    call = await call_of(memory, known("maya"))
    async with Capture(call.call_memory) as call.capture:
        said(call.capture, "My dog is called Biscuit.")
        began = time.time()
        switching = asyncio.create_task(call.switch(known("ben"), same_person=False))
        await asyncio.sleep(0)
        assert call.call_memory.caller.user_id == "ben" and call.call_memory.recent.now == ()
        said(call.capture, "Biscuit is a", role="assistant", at=began)
        said(call.capture, "My cat is called Tom.")
        await switching
        assert "Biscuit" not in await recalled(call, "What is my dog called?")
        await call.switch(known("maya"), same_person=False)
        assert "Tom" not in await recalled(call, "What is my cat called?") and "Biscuit" in await recalled(
            call, "What is my dog called?"
        )
        said(call.capture, "I live in Lisbon.")
        await call.capture.drained()
        await call.hang_up()
    assert await texts(memory, "maya") == ["My dog is called Biscuit.", "Biscuit is a", "I live in Lisbon."]
    assert await texts(memory, "ben") == ["My cat is called Tom."]
    assert not memory.calls


async def test_the_model_is_not_shown_what_the_one_before_said(memory: Memory):
    """Their words stay in the session's history, and in no prompt after the link moved.

    What the agent was told to be still is there.
    """
    model = ScriptedLLM("Nice.", "I do not know.")
    call = await call_of(memory, known("maya"))
    async with Capture(call.call_memory) as call.capture, text_session(model, call=call) as session:
        call.capture.listen(session)
        await session.start(MemoryAgent(instructions="Be kind.", context_tokens=2_000), record=False)
        await session.run(user_input="My dog is called Biscuit.")
        await call.switch(known("ben"), same_person=False)
        await session.run(user_input="What did you just hear about a dog?")
        await call.hang_up()
    assert model.texts() == ["Be kind.", "What did you just hear about a dog?"]
    assert (
        len(await texts(memory, "maya")) == 2
        and (await texts(memory, "ben"))[0] == "What did you just hear about a dog?"
    )


async def test_a_promise_that_is_due_opens_the_call(memory: Memory):
    """The first prompt names it, for a mere greeting too, until the caller's first words are answered."""
    now = datetime.now(UTC)
    whose = (uuid4(), "maya", "Call back about the boiler", "promises", 0.5, "agent", "echoic", now)
    promise = Fact(*whose, kind="promise", due=now - timedelta(hours=1))
    vectors = await memory.embedder.embed_batch([promise.text])
    await memory.db.transaction(lambda connection: memory.facts.add(connection, [promise], vectors))
    call = await call_of(memory, known("maya"))
    assert "boiler" in await recalled(call, "hello")
    await call.call_memory.record("1", "user", "hello")
    assert "boiler" in await recalled(call, "hello")
    await call.call_memory.record("2", "assistant", "Hello! I call about the boiler.")
    assert not await recalled(call, "hello")
    await call.hang_up()


async def test_what_is_said_in_a_pause_is_kept_nowhere(memory: Memory):
    """By when it was said, not by when it came to be stored; what was known before is still recalled."""
    call = await call_of(memory, known("maya"))
    async with Capture(call.call_memory) as call.capture:
        said(call.capture, "My dog is called Biscuit.")
        call.call_memory.pause()
        assert call.paused and call.call_memory.prefetch("What is my cat called?") is None
        said(call.capture, "My cat is called Tom.")
        call.call_memory.resume()
        said(call.capture, "I live in Lisbon.")
        await call.capture.drained()
        assert "Biscuit" in await recalled(call, "What is my dog called?") and "Tom" not in await recalled(
            call, "my cat"
        )
        await call.hang_up()
    assert await texts(memory, "maya") == ["My dog is called Biscuit.", "I live in Lisbon."]


async def test_a_pause_outlives_the_confirmation_of_who_paused(memory: Memory):
    """And it is the pause of one person: another one's words are kept."""
    call = await call_of(memory, anonymous())
    async with Capture(call.call_memory) as call.capture:
        call.call_memory.pause()
        said(call.capture, "My dog is called Biscuit.")
        await call.confirm("maya")
        said(call.capture, "My cat is called Tom.")
        assert call.paused
        await call.switch(known("ben"), same_person=False)
        said(call.capture, "I live in Lisbon.")
        await call.capture.drained()
        await call.hang_up()
    assert (await texts(memory, "maya"), await texts(memory, "ben")) == ([], ["I live in Lisbon."])


async def test_an_answer_about_being_remembered_is_one_for_every_agent(memory: Memory):
    """Stopped with the first agent, taken back with the second: what the first is told after that is kept."""
    call = await call_of(memory, known("maya"), "front")
    async with Capture(call.call_memory) as call.capture:
        await call.call_memory.decide(granted=False)
        call.enter_scope("billing")
        await call.call_memory.decide(granted=True)
        call.enter_scope("front")
        said(call.capture, "I live in Porto.")
        await call.capture.drained()
        await call.hang_up()
    assert await memory.consents.read("maya") == "on"
    assert await texts(memory, "maya") == ["I live in Porto."]


async def test_a_yes_keeps_what_every_agent_was_told(memory_settings: MemorySettings):
    """Where nothing is stored before it; the first agent need not ask again."""
    settings = memory_settings.model_copy(update={"consent": "ask"})
    async with open_memory(settings) as asking:
        call = await call_of(asking, known("maya"), "front")
        async with Capture(call.call_memory) as call.capture:
            said(call.capture, "I am allergic to peanuts.")
            await call.capture.drained()
            call.enter_scope("billing")
            said(call.capture, "I want to pay.")
            await call.capture.drained()
            await call.call_memory.decide(granted=True)
            call.enter_scope("front")
            assert not call.call_memory.consent_pending
            await call.hang_up()
        assert sorted(await texts(asking, "maya")) == ["I am allergic to peanuts.", "I want to pay."]


# --- the room, as far as it says who is linked


class Room(rtc.EventEmitter):
    """What is read of LiveKit's room."""

    name = "room-1"

    def __init__(self, *people: Any) -> None:
        super().__init__()
        self.remote_participants = {person.identity: person for person in people}
        self.isconnected = lambda: True

    def join(self, person: Any) -> None:
        self.remote_participants[person.identity] = person
        self.emit("participant_connected", person)

    def show(self, identity: str, **attributes: str) -> None:
        person = self.remote_participants[identity]
        person._info.attributes.update(attributes)
        self.emit("participant_attributes_changed", attributes, person)


class Session:
    """What is used of a session in a room: the link, and that it can be made to stop."""

    def __init__(self, room: Room) -> None:
        self.room_io, self._room = self, room
        self.linked_participant: Any = None
        self.stopped: list[str] = []

    def set_participant(self, participant_identity: str | None) -> None:
        self.linked_participant = self._room.remote_participants.get(participant_identity)

    def clear_user_turn(self) -> None:
        self.stopped.append("turn")

    def interrupt(self, *, force: bool) -> None:
        self.stopped.append("reply" if force else "maybe")

    def on(self, _event: str, _handler: object) -> None:
        """Nothing is emitted here."""


class Person(rtc.RemoteParticipant):
    """Somebody in the room, without a server."""

    def __init__(self, identity: str, kind: int = STANDARD, **attributes: str) -> None:
        self._info = SimpleNamespace(identity=identity, kind=kind, attributes=attributes)  # type: ignore[assignment]

    def __del__(self) -> None:
        """There is no handle to give back."""


def token(user_id: str, **claims: Any) -> str:
    return jwt.encode(
        {"sub": user_id, "aud": "echoic", "exp": time.time() + 60, **claims}, SECRET, algorithm="HS256"
    )


async def in_room(
    memory: Memory, room: Room, first: str, metadata: str = ""
) -> tuple[Callers, Session, Call]:
    """As the entrypoint does it: identify the first caller, open their call, follow the link."""
    callers, session = Callers(room, RULES, metadata), Session(room)  # type: ignore[arg-type]
    call = await call_of(memory, callers.identify(room.remote_participants[first]))
    session.set_participant(first)
    callers.follow(session, call)  # type: ignore[arg-type]
    return callers, session, call


async def test_the_memory_follows_the_link(memory: Memory):
    """Two known people and a telephone in one room: each is heard as themselves.

    What is said to one stops for the other.
    """
    room = Room(
        Person("web-1", **{USER_TOKEN: token("maya")}),
        Person("line", SIP, **{"sip.phoneNumber": "+4930123456"}),
    )
    callers, session, call = await in_room(memory, room, "web-1")
    room.join(Person("web-2", **{USER_TOKEN: token("ben")}))
    assert call.identified.user_id == "maya" and session.stopped == []
    session.set_participant("web-2")
    assert call.call_memory.caller.user_id == "ben" and session.stopped == ["turn", "reply"]
    session.set_participant("line")
    assert call.identified.how == "phone" and "30123456" not in call.identified.user_id
    session.set_participant(None)
    assert call.identified.how == "phone"
    session.set_participant("web-1")
    assert call.call_memory.caller.user_id == "maya"
    await call.hang_up()
    callers.close()


async def test_a_reply_is_its_callers_though_the_next_became_known_before_it_ended(memory: Memory):
    """The link moves to somebody, and a service names them a moment later: two changes within one reply."""
    room = Room(Person("web-1", **{USER_TOKEN: token("maya")}))
    callers, session, call = await in_room(memory, room, "web-1")
    async with Capture(call.call_memory) as call.capture:
        began = time.time()
        room.join(Person("web-2"))
        session.set_participant("web-2")
        room.show("web-2", **{USER_TOKEN: token("ben", participant="web-2")})
        assert call.identified.user_id == "ben"
        said(call.capture, "Your safe's code is", role="assistant", at=began)
        await call.hang_up()
    assert (await texts(memory, "maya"), await texts(memory, "ben")) == (["Your safe's code is"], [])
    callers.close()


async def test_who_is_confirmed_while_another_is_heard_is_known_when_they_are_heard_again(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
):
    """A tool that takes its time: what they said is theirs, and the other is told nothing of it."""
    before = await memory.open_call(Caller("maya", "echoic", "earlier"))
    await before.record("1", "user", "My dog is called Biscuit.")
    await before.end()
    room = Room(Person("web-1"), Person("web-2"))
    callers, session, call = await in_room(memory, room, "web-1")
    async with Capture(call.call_memory) as call.capture:
        speech: Any = type("Speech", (), {})()
        call.on_speech(SimpleNamespace(speech_handle=speech))  # type: ignore[arg-type]
        said(call.capture, "I live in Lisbon.")
        session.set_participant("web-2")
        other = call.call_memory
        with monkeypatch.context() as patch:
            patch.setattr("echoic.agent.call.call.current_speech", lambda: speech)
            await call.confirm("maya")
            assert call.memory_of_turn.caller.user_id == "maya"
        assert call.call_memory is other and call.identified.how == "anonymous"
        session.set_participant("web-1")
        assert call.identified.user_id == "maya"
        assert "Biscuit" in await recalled(call, "What is my dog called?")
        await call.capture.drained()
        await call.hang_up()
    assert await texts(memory, "maya") == ["My dog is called Biscuit.", "I live in Lisbon."]
    callers.close()


async def test_a_dispatch_is_about_the_first_caller_not_about_the_next(memory: Memory):
    """Whoever is linked later is a stranger, also when the link comes back to them a second time."""
    room = Room(Person("web-1"), Person("web-2"))
    _, session, call = await in_room(memory, room, "web-1", '{"user_id": "maya"}')
    assert call.identified.user_id == "maya"
    session.set_participant("web-2")
    stranger = call.identified
    assert stranger.how == "anonymous" and not call.call_memory.persistent
    session.set_participant("web-1")
    session.set_participant("web-2")
    assert call.identified == stranger
    await call.hang_up()


async def test_a_caller_who_comes_back_is_in_the_same_call(memory: Memory):
    """Also one whom the application has confirmed meanwhile, and whose attributes say less."""
    room = Room(Person("web-1"))
    _, session, call = await in_room(memory, room, "web-1")
    await call.confirm("maya")
    held = call.call_memory
    session.linked_participant = None
    back = Person("web-1")
    session.linked_participant = back
    room.join(back)
    await asyncio.sleep(0)
    assert call.call_memory is held and session.stopped == []
    await call.hang_up()


async def test_a_token_shown_in_the_call_confirms_the_caller(memory: Memory):
    """The application, or the caller's own page, sets it; forged ones and other people's change nothing."""
    room = Room(Person("line", SIP), Person("web-2"))
    _, session, call = await in_room(memory, room, "line")
    assert call.identified.how == "anonymous"
    room.show("line", user_id="maya")
    room.show("line", **{USER_TOKEN: token("maya", room="room-2")})
    room.show("web-2", **{USER_TOKEN: token("ben")})
    assert call.identified.how == "anonymous"
    room.show("line", **{USER_TOKEN: token("maya")})
    assert call.identified == known("maya") and call.since is None and session.stopped == []
    room.show("line", **{USER_TOKEN: token("ben", participant="line")})
    assert call.identified == known("ben") and call.since is not None and session.stopped == ["turn", "reply"]
    await call.hang_up()


@pytest.mark.parametrize("spelled", ["{}", "{}="], ids=["as it is", "padded"])
async def test_a_token_that_was_read_off_another_participant_counts_for_nobody_else(
    memory: Memory, spelled: str
):
    """Everyone in a room can read everyone's attributes, and spell the same signature otherwise."""
    mine = token("maya")
    read_off = spelled.format(mine)
    room = Room(Person("web-1", **{USER_TOKEN: mine}))
    _, session, call = await in_room(memory, room, "web-1")
    room.join(Person("web-2", **{USER_TOKEN: read_off}))
    session.set_participant("web-2")
    assert call.identified.how == "anonymous"
    await call.hang_up()
    room = Room(Person("web-1", **{USER_TOKEN: mine}), Person("web-2", **{USER_TOKEN: read_off}))
    callers = Callers(room, RULES, "")  # type: ignore[arg-type]
    assert [callers.identify(person).how for person in room.remote_participants.values()] == ["anonymous"] * 2


async def test_fifty_who_come_and_go_leave_nothing_behind(memory: Memory):
    """Nobody of them is linked: no memory is opened, and no token that does not count is kept in mind."""
    room = Room(Person("web-1", **{USER_TOKEN: token("maya")}))
    callers, _, call = await in_room(memory, room, "web-1")
    for number in range(50):
        room.join(Person(f"guest-{number}", **{USER_TOKEN: f"garbage {number}", "user_id": "maya"}))
        del room.remote_participants[f"guest-{number}"]
    await asyncio.sleep(0)
    assert len(memory.calls) == 1 and len(callers._holders) == 1 and len(callers._known) == 1
    await call.hang_up()
    assert not memory.calls
