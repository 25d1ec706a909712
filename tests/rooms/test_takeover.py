"""A call outlives its agent: processes are killed in real rooms, and the caller is spoken to again."""

import asyncio
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis
from livekit import api, rtc
from livekit.rtc.data_stream import StreamError

from echoic.local.dev.livekit_server import LiveKitServer
from echoic.local.servers.stores import Stores
from echoic.memory.config import MemorySettings
from tests.processes import state_of
from tests.rooms.harness import LOUD_RMS, Caller
from tests.rooms.worker import AgentWorker, agent_worker, environment_of

pytestmark = pytest.mark.timeout(180)  # a worker needs 6-21 s to register, and some tests need two
ENTRY = "tests/rooms/takeover_worker.py"
BACK = "I am back"
HUNG_S = 15.0  # how fast it is, 3 s at most on a quiet machine, is for evals/takeover.py
FADES_S = 0.5  # what was sent before the agent died is heard for so long

Start = Callable[..., AgentWorker]


class Listener(Caller):
    """A caller who knows which agent each sound is from."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.loud: defaultdict[str, list[float]] = defaultdict(list)
        self.most_agents = 0

    async def _tell(self) -> None:
        self.most_agents = max(self.most_agents, len(self.agents))
        await super()._tell()

    async def _read(self, reader: rtc.TextStreamReader, identity: str) -> None:
        with suppress(StreamError):  # its agent was removed in the middle of a sentence
            await super()._read(reader, identity)

    def _on_track(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        super()._on_track(track, publication, participant)
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._hold(self._listen_to(track, participant.identity), "listener")

    async def _listen_to(self, track: rtc.Track, identity: str) -> None:
        stream = rtc.AudioStream(track, sample_rate=8_000, num_channels=1)
        try:
            async for event in stream:
                if identity not in self.room.remote_participants:
                    return  # WebRTC gives the next agent's sound to the same receiver
                if max(map(abs, memoryview(event.frame.data).cast("B").cast("h")), default=0) > LOUD_RMS:
                    self.loud[identity].append(time.monotonic())
        finally:
            await stream.aclose()


@pytest.fixture
def start(
    livekit: LiveKitServer, memory_settings: MemorySettings, tmp_path: Path, room: str
) -> Iterator[Start]:
    """Starts workers of this test's own stores; the agent's name is the room's."""
    with ExitStack() as started:
        logs = iter(tmp_path / f"worker-{number}.log" for number in range(9))

        def start_one(*, dev: bool = False, name: str = room) -> AgentWorker:
            env = environment_of(memory_settings, LIVEKIT_AGENT_NAME=name)
            return started.enter_context(agent_worker(livekit, env, next(logs), entry=ENTRY, dev=dev))

        yield start_one


@pytest.fixture
def alice(livekit: LiveKitServer, room: str) -> Callable[..., Listener]:
    return lambda name=room: Listener(
        livekit, room, "alice", agent_name=name or None, job_metadata='{"a": 1}'
    )


def process_in_call(*workers: AgentWorker) -> psutil.Process:
    """The one call process that has a room open; media goes over UDP."""
    (found,) = [one for worker in workers for one in worker.descendants() if one.net_connections("udp")]
    return found


async def wait_warm(worker: AgentWorker, count: int) -> None:
    """Return once that many call processes have been made ready; the last of them is idle."""
    async with asyncio.timeout(60):
        while worker.output().count('"process initialized"') < count:
            await asyncio.sleep(0.05)


async def wait_true(true: Callable[[], object], limit_s: float = 20.0) -> None:
    async with asyncio.timeout(limit_s):
        while not true():
            await asyncio.sleep(0.05)


async def spoken_with(caller: Listener, words: str) -> str:
    """Say the first words of a call; returns who answered."""
    await caller.wait_agent()
    await caller.chat(words)
    return (await caller.wait_text("You said 1")).identity


async def went_on(caller: Listener, old: str, since: float) -> float:
    """One other agent, which knows the call, spoke to the caller; returns the silence in seconds."""
    heard = await caller.wait_heard(since + FADES_S)
    back = await caller.wait_text(BACK, after=since)
    await caller.chat("again")
    said = await caller.wait_text("You said 2: My dog is Biscuit / again", after=since)
    assert said.identity == back.identity != old
    assert len(caller.agents) == 1 == caller.most_agents
    print(f"silence {heard - since:.2f} s")
    return heard - since


def leases_of(settings: MemorySettings) -> dict[str, str]:
    with redis.Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True) as client:
        return client.hgetall("echoic:{calls}:beats")


def turns_of(settings: MemorySettings) -> list[tuple[str, str]]:
    with psycopg.connect(settings.database_url.get_secret_value()) as database:
        return database.execute("select role, text from turns order by said_at, position").fetchall()


@pytest.mark.parametrize("named", [True, False])
async def test_job_killed(
    named: bool, start: Start, alice: Callable[..., Listener], room: str, memory_settings: MemorySettings
):
    """Another agent speaks and knows the call, dispatched by name or automatically."""
    worker = start(name=room if named else "")
    async with alice(room if named else "") as caller:
        old = await spoken_with(caller, "My dog is Biscuit")
        await wait_warm(worker, 2)
        killed = time.monotonic()
        process_in_call(worker).kill()
        assert await went_on(caller, old, killed) < HUNG_S
    await wait_true(lambda: not leases_of(memory_settings))
    said = [text for role, text in turns_of(memory_settings) if role == "user"]
    assert said == ["My dog is Biscuit", "again"]
    assert worker.output().count('"received job request"') == 2


async def test_worker_killed(start: Start, alice: Callable[..., Listener]):
    """The worker dies with its calls: another one finds their beat standing still, and takes them."""
    first = start()
    async with alice() as caller:
        old = await spoken_with(caller, "My dog is Biscuit")
        second = await asyncio.to_thread(start)
        killed = time.monotonic()
        first.send(signal.SIGKILL)
        assert await went_on(caller, old, killed) < HUNG_S
        assert second.output().count('"call.rescued"') == 1


async def test_agent_stopped_and_continued(start: Start, alice: Callable[..., Listener]):
    """An agent that hangs in mid-sentence is replaced; when it goes on, it is not heard, and leaves."""
    first, second = start(), start()
    async with alice() as caller:
        old = await spoken_with(caller, "My dog is Biscuit")
        await caller.chat("story")
        await wait_true(lambda: len(caller.loud[old]) > 100)
        stopped, process = time.monotonic(), process_in_call(first, second)
        process.suspend()
        try:
            back = await caller.wait_text(BACK, after=stopped)
            await caller.wait_heard(stopped + FADES_S)
        finally:
            process.resume()
        await wait_true(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
        assert back.identity != old
        assert not [at for at in caller.loud[old] if at > stopped + 1.0]
        assert [one.identity for one in caller.agents] == [back.identity]
        assert caller.most_agents == 1
    assert (
        "lease.lost" in first.output() + second.output()
        or "room disconnected" in first.output() + second.output()
    )


async def test_two_watchers_send_one_agent(start: Start, alice: Callable[..., Listener]):
    """Three workers watch: the killed call gets one agent."""
    workers = [start(), start(), start()]
    async with alice() as caller:
        old = await spoken_with(caller, "My dog is Biscuit")
        killed = time.monotonic()
        process_in_call(*workers).kill()
        await went_on(caller, old, killed)
        logs = "".join(worker.output() for worker in workers)
        assert logs.count('"received job request"') == 2 and logs.count('"call.rescued"') == 1


async def test_drained_worker(start: Start, alice: Callable[..., Listener]):
    """A draining worker keeps its call; if that call's process dies, the agent comes from another."""
    first = start()
    async with alice() as caller:
        old = await spoken_with(caller, "My dog is Biscuit")
        second = await asyncio.to_thread(start)
        first.send(signal.SIGTERM)
        first.wait_said('"draining worker"')
        await caller.chat("still there?")
        assert (await caller.wait_text("You said 2")).identity == old
        killed = time.monotonic()
        process_in_call(first).kill()
        said = await caller.wait_text(BACK, after=killed)
        assert said.identity != old and caller.most_agents == 1
        assert second.output().count('"received job request"') == 1
        assert first.wait(20) == 0


async def test_worker_told_to_stop_at_once_hands_over(start: Start, alice: Callable[..., Listener]):
    """In development SIGTERM ends every call: another worker takes it, or the same one started again."""
    first = start(dev=True)
    async with alice() as caller:
        old = await spoken_with(caller, "My dog is Biscuit")
        first.send(signal.SIGTERM)
        first.wait(20)
        left = time.monotonic()
        await asyncio.to_thread(start)
        print("restarted in", time.monotonic() - left)
        await went_on(caller, old, left)


async def test_emptied_room(start: Start, alice: Callable[..., Listener], memory_settings: MemorySettings):
    """The caller hangs up while the agent is dead: nobody is sent, and nothing is left of the call."""
    worker = start()
    async with alice() as caller:
        await spoken_with(caller, "My dog is Biscuit")
        process = process_in_call(worker)
        process.suspend()
    process.kill()
    await wait_true(lambda: not leases_of(memory_settings))
    assert worker.output().count('"received job request"') == 1


async def test_hang_up_ends_the_call(
    start: Start, alice: Callable[..., Listener], memory_settings: MemorySettings
):
    """A caller who hangs up leaves no lease, and nobody is sent to the empty room."""
    worker = start()
    async with alice() as caller:
        await spoken_with(caller, "My dog is Biscuit")
    left = time.monotonic()
    await wait_true(lambda: not leases_of(memory_settings))
    assert time.monotonic() - left < HUNG_S
    print("ended in", time.monotonic() - left)
    await asyncio.sleep(2.0)  # eight looks
    assert "call.rescued" not in worker.output() and worker.output().count('"received job request"') == 1


async def test_removed_agent_stays_away(
    livekit: LiveKitServer, start: Start, alice: Callable[..., Listener], memory_settings: MemorySettings
):
    """An application that removes the agent, or deletes its dispatch, is obeyed."""
    worker = start()
    async with (
        alice() as caller,
        api.LiveKitAPI(livekit.url, livekit.api_key, livekit.api_secret) as livekit_api,
    ):
        old = await spoken_with(caller, "My dog is Biscuit")
        room = caller.room_name
        (dispatch,) = await livekit_api.agent_dispatch.list_dispatch(room)
        await livekit_api.agent_dispatch.delete_dispatch(dispatch.id, room)
        await caller.wait_agent_gone()
        await wait_true(lambda: not leases_of(memory_settings))
        await livekit_api.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(agent_name=room, room=room)
        )
        new = await caller.wait_agent()
        assert new.identity != old
        await livekit_api.room.remove_participant(
            api.RoomParticipantIdentity(room=room, identity=new.identity)
        )
        await caller.wait_agent_gone()
        await wait_true(lambda: not leases_of(memory_settings))
        await asyncio.sleep(1.0)
        assert not caller.agents
    assert "call.rescued" not in worker.output()


async def test_deadly_call_is_given_up(
    start: Start, alice: Callable[..., Listener], memory_settings: MemorySettings
):
    """A question that kills each agent: after five nobody is sent, and the worker takes other calls."""
    worker = start()
    async with alice() as caller:
        await caller.wait_agent()
        await caller.chat("die")
        await asyncio.to_thread(worker.wait_said, "call.given_up", 90)
        assert worker.output().count('"call.rescued"') == 5
        assert not leases_of(memory_settings)
        await caller.wait_agent_gone()


async def test_redis_hangs(
    start: Start, alice: Callable[..., Listener], stores: Stores, memory_settings: MemorySettings
):
    """While Redis hangs the call goes on, nobody else comes, and afterwards it is held again."""
    worker, pid = start(), state_of(stores.data_dir).pids["redis"]
    async with alice() as caller:
        old = await spoken_with(caller, "My dog is Biscuit")
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(4.0)
            await caller.chat("and now")
            assert (await caller.wait_text("You said 2")).identity == old
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.to_thread(worker.wait_said, "lease.heard_again")
        await asyncio.sleep(2.0)  # eight looks
        assert [one.identity for one in caller.agents] == [old] and caller.most_agents == 1
        assert "call.rescued" not in worker.output()
        before = leases_of(memory_settings)
        await asyncio.sleep(1.0)
        assert before and before != leases_of(memory_settings)
