"""Whole calls with the worker as it ships: real voices, room and stores; only the model is scripted."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psutil
import psycopg
import pytest

from echoic.local.dev.livekit_server import LiveKitServer
from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.service import open_memory
from echoic.memory.types import Turn
from tests.fakes import Request, ScriptedModel
from tests.processes import command_of, state_of
from tests.rooms.harness import Caller
from tests.rooms.speech import CALLER_RATE, Voice, silence
from tests.rooms.worker import AgentWorker, agent_worker, environment_of

AGENT = "echoic"
NUMBER = "+14155550137"
LONG = "Well, " + ", and then ".join(f"here comes part {n} of a long story" for n in range(1, 30)) + "."
pytestmark = pytest.mark.timeout(300)  # the first call starts a worker, two stores and two voices


def what_it_sees(request: Request) -> str:
    """The model names the dog if it was told about one, in this call or by memory."""
    said = str([message["content"] for message in request["messages"] if message["role"] == "user"]).lower()
    if "story" in str(request["messages"][-1]["content"]).lower():
        return LONG
    return "Your dog is Biscuit." if "biscuit" in said else "I do not know that."


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Of this module's own: they are stopped here."""
    with open_stores(tmp_path_factory.mktemp("calls")) as opened:
        yield opened


@pytest.fixture(scope="module")
def settings(stores: Stores) -> MemorySettings:
    return load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )


@pytest.fixture(scope="module")
def worker(
    livekit: LiveKitServer, settings: MemorySettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentWorker]:
    """One worker for all calls, as in production."""
    with ScriptedModel(otherwise=what_it_sees) as model:
        told = {"LIVEKIT_AGENT_NAME": AGENT, "ECHOIC_TURN_DETECTION": "vad", "ECHOIC_PHONE_KEY": "k" * 32}
        env = environment_of(settings, llm_url=model.url, **told)
        with agent_worker(livekit, env, tmp_path_factory.mktemp("worker") / "log") as running:
            yield running


@asynccontextmanager
async def call(livekit: LiveKitServer, user_id: str = "", **options: Any) -> AsyncIterator[Caller]:
    """A call of this user to the agent, in a room of its own."""
    metadata = f'{{"user_id": "{user_id}"}}' if user_id else ""
    identity = options.pop("identity", f"caller-{uuid4().hex[:6]}")
    options = {"agent_name": AGENT, "job_metadata": metadata} | options
    async with Caller(livekit, f"room-{uuid4().hex[:8]}", identity, **options) as caller:
        await caller.wait_agent(60)
        yield caller


async def say(caller: Caller, words: bytes, reply: str) -> None:
    """Speak, and hear and read the reply."""
    began = time.monotonic()
    ended = await caller.say(words)
    await caller.wait_text(reply, after=began)
    await caller.wait_quiet(ended)


async def turns_of(settings: MemorySettings, user_id: str, until: Callable[[list[Turn]], bool]) -> list[Turn]:
    """What is stored of this user, once it is as it should be."""
    async with open_memory(settings) as memory, asyncio.timeout(30):
        while not until(turns := await memory.turns.list(user_id)):
            await asyncio.sleep(0.1)
        return turns


def a_user() -> str:
    return f"user-{uuid4().hex[:8]}"


async def test_a_web_caller_is_remembered_in_the_next_call(
    livekit: LiveKitServer, worker: AgentWorker, voice: Voice, settings: MemorySettings
):
    """By voice both times: what is heard in the first call answers a question in the second."""
    user = a_user()
    async with call(livekit, user) as caller:
        await say(caller, await voice("My dog is called Biscuit."), "Biscuit")
    await turns_of(settings, user, lambda turns: len(turns) == 2)
    async with call(livekit, user) as caller:
        await say(caller, await voice("What is the name of my dog?"), "Your dog is Biscuit")


async def test_a_phone_caller_is_known_by_number(
    livekit: LiveKitServer, worker: AgentWorker, voice: Voice, stores: Stores
):
    """The same number, written in another way, in another call; no store holds the number itself."""
    for identity, number, words in (
        ("sip_1", NUMBER, "My dog is called Biscuit."),
        ("sip_2", "+1 (415) 555-0137", "What is the name of my dog?"),
    ):
        phone = {"sip.phoneNumber": number, "sip.callID": uuid4().hex}
        async with call(livekit, identity=identity, kind="sip", attributes=phone) as caller:
            await say(caller, await voice(words), "Biscuit")
        await asyncio.to_thread(wait_stored, stores, words.split()[-1].strip("?.").lower())
    dump = await asyncio.to_thread(everything_stored, stores)
    assert "phone:" in dump and NUMBER not in dump and NUMBER[1:] not in dump and "5550137" not in dump


async def test_another_number_knows_nothing(livekit: LiveKitServer, worker: AgentWorker, voice: Voice):
    """Asked for what the first caller told, the agent says that it does not know."""
    async with call(livekit, kind="sip", attributes={"sip.phoneNumber": "+14155550199"}) as caller:
        await say(caller, await voice("What is the name of my dog?"), "I do not know")


async def test_two_callers_at_once_never_see_each_other(
    livekit: LiveKitServer, worker: AgentWorker, voice: Voice, settings: MemorySettings
):
    """Both speak at once: each one's words are theirs, and only the one with the dog hears of it."""
    one, two = a_user(), a_user()
    async with call(livekit, one) as first, call(livekit, two) as second:
        await asyncio.gather(
            say(first, await voice("My dog is called Biscuit."), "Biscuit"),
            say(second, await voice("I like to go sailing."), "I do not know"),
        )
        await say(second, await voice("What is the name of my dog?"), "I do not know")
    theirs = await turns_of(settings, two, lambda turns: len(turns) == 4)
    assert not any("biscuit" in turn.text.lower() for turn in theirs)


async def test_a_second_voice_in_the_room_is_nobodys(
    livekit: LiveKitServer, worker: AgentWorker, voice: Voice, settings: MemorySettings
):
    """LiveKit links the agent's ears to the caller: who else speaks there, before them and at once with them,
    is not answered and not stored, so nothing of it can be learned, whoever they say they are."""
    user, sailing = a_user(), await voice("I like to go sailing.")
    async with call(livekit, user) as caller:
        guest = Caller(livekit, caller.room_name, "guest", attributes={"user_id": user})
        async with guest:
            await guest.say(sailing)
            await say(caller, await voice("My dog is called Biscuit."), "Your dog is Biscuit")
            spoken = guest.say(sailing), say(caller, await voice("What is the name of my dog?"), "Biscuit")
            await asyncio.gather(*spoken)
    turns = await turns_of(settings, user, lambda turns: len(turns) >= 4)
    assert [turn.role for turn in turns] == ["user", "assistant"] * 2
    assert not any("sail" in turn.text.lower() for turn in turns)
    async with open_memory(settings) as memory:
        rows = await memory.db.run(
            lambda connection: connection.fetch("select user_id from turns where text ilike '%sail%'")
        )
    assert not [row for row in rows if row["user_id"] == user or "guest" in row["user_id"]]


async def test_barge_in_stores_only_what_was_heard(
    livekit: LiveKitServer, worker: AgentWorker, voice: Voice, settings: MemorySettings
):
    """A long reply is cut off by the caller: what is stored of it ends where it was cut, and is marked."""
    user = a_user()
    async with call(livekit, user) as caller:
        began = time.monotonic()
        await caller.say(await voice("Please tell me a story."))
        await caller.wait_heard(began + 1.0)
        await asyncio.sleep(2.0)  # of the story is heard
        await say(caller, await voice("My dog is called Biscuit."), "Biscuit")
    turns = await turns_of(settings, user, lambda turns: len(turns) >= 4)
    story = next(turn for turn in turns if turn.role == "assistant")
    assert (
        story.interrupted
        and story.text.startswith("Well, here comes part")
        and len(story.text) < len(LONG) / 2
    )


async def test_written_today_known_on_the_phone_tomorrow(
    livekit: LiveKitServer, worker: AgentWorker, voice: Voice, settings: MemorySettings
):
    """Text in the room is the same conversation: same memory, same capture."""
    user = a_user()
    async with call(livekit, user, microphone=False) as caller:
        await caller.chat("My dog is called Biscuit.")
        await caller.wait_text("Your dog is Biscuit")
    await turns_of(settings, user, lambda turns: len(turns) == 2)
    async with call(livekit, user) as caller:
        await say(caller, await voice("What is the name of my dog?"), "Your dog is Biscuit")


async def test_a_forged_user_id_is_nobody(
    livekit: LiveKitServer, worker: AgentWorker, voice: Voice, settings: MemorySettings
):
    """What a caller can set freely says nothing: they are anonymous, and see and leave no memory."""
    victim = a_user()
    async with call(livekit, victim, microphone=False) as caller:
        await caller.chat("My dog is called Biscuit.")
        await caller.wait_text("Biscuit")
    await turns_of(settings, victim, lambda turns: len(turns) == 2)
    forged = {
        "attributes": {"user_id": victim, "echoic.user_token": victim},
        "metadata": f'{{"user_id": "{victim}"}}',
        "identity": victim,
    }
    async with call(livekit, microphone=False, **forged) as caller:
        await caller.chat("What is the name of my dog?")
        await caller.wait_text("I do not know")
    assert len(await turns_of(settings, victim, lambda turns: True)) == 2


async def test_every_reply_comes_while_postgres_hangs(
    livekit: LiveKitServer, worker: AgentWorker, voice: Voice, settings: MemorySettings, stores: Stores
):
    """Stopped in mid-call: the caller hears every reply, and what was said is stored when it goes on."""
    user = a_user()
    async with call(livekit, user) as caller:
        await say(caller, await voice("My dog is called Biscuit."), "Biscuit")
        with stopped(stores, "postgres"):
            await say(caller, await voice("What is the name of my dog?"), "Biscuit")
            await say(caller, await voice("I like to go sailing."), "Biscuit")
    turns = await turns_of(settings, user, lambda turns: len(turns) == 6)
    assert [turn.role for turn in turns] == ["user", "assistant"] * 3


async def test_silence_noise_and_garbage_leave_a_working_worker(
    livekit: LiveKitServer, worker: AgentWorker, voice: Voice, settings: MemorySettings
):
    """Silence, noise with garbage for metadata, a track that stops in mid-word, 50 who come and go."""
    noise = (np.random.default_rng(1).normal(0, 400, CALLER_RATE * 2)).astype(np.int16).tobytes()
    async with call(livekit, a_user()) as caller:
        await caller.say(silence(1.0))
    async with Caller(
        livekit,
        f"room-{uuid4().hex[:8]}",
        "x",
        agent_name=AGENT,
        job_metadata='{"user_id": 7, ',
        metadata="\x00{[",
    ) as caller:
        await caller.wait_agent(60)
        await caller.say(noise)
    async with call(livekit, a_user()) as caller:
        words = await voice("My dog is called Biscuit.")
        await caller.say(words[: len(words) // 2])
    room = f"room-{uuid4().hex[:8]}"
    for number in range(50):
        async with Caller(livekit, room, f"guest-{number}", agent_name=AGENT, microphone=False):
            pass
    user = a_user()
    async with call(livekit, user) as caller:
        await say(caller, words, "Biscuit")
    await turns_of(settings, user, lambda turns: len(turns) == 2)
    await asyncio.to_thread(wait_few_processes, worker)


def wait_few_processes(worker: AgentWorker) -> None:
    """Processes of ended calls are gone: left are the fork server and two warm ones.

    Whether the servers of speech and embedding are the worker's depends on who needed them first.
    """
    deadline = time.monotonic() + 40
    while len(left := [one for one in worker.descendants() if "forkserver" in " ".join(command_of(one))]) > 3:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def wait_stored(stores: Stores, word: str) -> None:
    deadline = time.monotonic() + 20
    while word not in everything_stored(stores).lower():
        assert time.monotonic() < deadline, f"never stored: {word}"
        time.sleep(0.1)


def everything_stored(stores: Stores) -> str:
    """Every row of every table, as text."""
    with psycopg.connect(stores.database_url) as connection:
        tables = connection.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
        ).fetchall()
        rows = [connection.execute(f'select t::text from "{name}" t').fetchall() for (name,) in tables]
    return "\n".join(text for table in rows for (text,) in table if text)


class stopped:
    """A store's processes, stopped while the block runs."""

    def __init__(self, stores: Stores, name: str) -> None:
        self._pid = state_of(Path(stores.data_dir)).pids[name]

    def __enter__(self) -> None:
        self._all = [self._pid, *(child.pid for child in psutil.Process(self._pid).children(recursive=True))]
        for pid in self._all:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        for pid in reversed(self._all):
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGCONT)
