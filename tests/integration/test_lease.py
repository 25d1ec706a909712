"""Who has a call, on a real Redis: one agent at a time, whatever was stopped, hung or lost meanwhile."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from unittest.mock import MagicMock

import pytest
import redis
from livekit import rtc
from livekit.protocol.agent import Job as Job_
from livekit.protocol.models import Room

from echoic.agent.takeover import call_lease
from echoic.agent.takeover.call_lease import CallTaken, Claim, Lease
from echoic.agent.takeover.lease import LEFT, RESCUE, Heartbeat, LeaseInfo, Leases
from echoic.agent.takeover.lease_thread import hold
from echoic.local.servers.stores import Stores
from tests.processes import state_of

NAME = "a-room"
FACTS = LeaseInfo(call_id="call-1", room_sid="RM_1", dispatch_id="AD_1", identity="agent-1")


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch):
    """Beats and looks ten times as fast."""
    monkeypatch.setattr(call_lease, "BEAT_S", 0.05)
    monkeypatch.setattr(call_lease, "POLL_S", 0.025)


@pytest.fixture
async def leases(redis_url: str) -> AsyncIterator[Leases]:
    opened = Leases(redis_url)
    yield opened
    await opened.close()


@pytest.fixture
def job(redis_url: str) -> Callable[..., "Job"]:
    return lambda job_id="job-1", facts=FACTS, url=redis_url: Job(url, job_id, facts)


class Job:
    """One agent's side of a call."""

    def __init__(self, redis_url: str, job_id: str, facts: LeaseInfo) -> None:
        self.lost = asyncio.Event()
        self.lease = Lease(Leases(redis_url), Claim(NAME, job_id, facts), on_lost=self.lost.set)

    @asynccontextmanager
    async def holding(self, *, hand_over: bool = False) -> AsyncIterator[Lease]:
        try:
            await self.lease.take()
            self.lease.keep()
            yield self.lease
        finally:
            await self.lease.let_go(hand_over=hand_over)

    async def die(self) -> None:
        """As by `kill -9`: it beats no more, and lets nothing go."""
        assert self.lease._beating
        self.lease._beating.cancel()
        await asyncio.wait({self.lease._beating})
        assert self.lease._leases
        await self.lease._leases.close()


async def beat_of(leases: Leases) -> Heartbeat | None:
    return (await leases.beats()).get(NAME)


async def wait_for(true: Callable[[], object], limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not true():
            await asyncio.sleep(0.01)


async def test_held_and_let_go(leases: Leases, job: Callable[..., Job]):
    """A held call shows a beat that moves; a call that ended shows nothing."""
    async with job().holding() as lease:
        first = await beat_of(leases)
        assert first
        async with asyncio.timeout(5):
            while (later := await beat_of(leases)) is None or later.count <= first.count + 2:
                await asyncio.sleep(0.01)
        assert first.owner == later.owner == "job-1"
        assert not lease.resumed and lease.call_id == "call-1"
    assert await leases.read(NAME) == (None, None)


async def test_nothing_but_ids_is_kept(redis_url: str, job: Callable[..., Job]):
    """A room's name may be a phone number: neither it nor an agent's or a caller's name reaches Redis."""
    async with job().holding() as lease:
        await lease.note(user="u1")
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            fields = set(client.hgetall("echoic:{calls}:facts").values())
        assert fields == {
            '{"call_id": "call-1", "room_sid": "RM_1", "dispatch_id": "AD_1", "identity": "agent-1", '
            '"rescues": 0, "notes": {"user": "u1"}}'
        }
    assert "+15550100" not in call_lease.lease_name("secret", "call-_+15550100", "")


async def test_second_agent_is_refused_while_the_first_lives(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
):
    """Two agents never speak in one room: who comes second leaves, and takes nothing with it."""
    monkeypatch.setattr(call_lease, "MOST_WAIT_S", 0.5)
    first, second = job("job-1"), job("job-2")
    async with first.holding():
        with pytest.raises(CallTaken):
            async with second.holding():
                pytest.fail("two agents have the call")
        await asyncio.sleep(0.2)
        assert not first.lost.is_set()
    assert not second.lost.is_set()


async def test_second_agent_waits_for_a_call_that_ends(job: Callable[..., Job]):
    """A caller who returns while the old agent stores its last turns gets a new call, not a resumed one."""
    first, second = job("job-1"), job("job-2")
    async with first.holding():
        taking = asyncio.create_task(second.lease.take())
        await asyncio.sleep(0.3)
        assert not taking.done()
    await taking
    assert not second.lease.resumed
    await second.lease.let_go()


async def test_a_dead_agents_call_is_resumed(job: Callable[..., Job]):
    """An agent that comes by itself finds the call of a dead one, with what was noted of it."""
    first = job("job-1", replace(FACTS, call_id="began-here"))
    await first.lease.take()
    first.lease.keep()
    await first.lease.note(user="u1", paused="yes")
    await first.lease.note(paused="")
    await first.die()
    async with job("job-2").holding() as lease:
        assert lease.resumed and lease.call_id == "began-here" and lease.notes == {"user": "u1"}


async def test_the_same_room_name_in_another_call_is_not_resumed(job: Callable[..., Job], leases: Leases):
    """A room with another sid is another call, taken at once; an agent that still lives leaves it."""
    first = job("job-1")
    async with (
        first.holding(),
        job("job-2", replace(FACTS, call_id="RM_2", room_sid="RM_2")).holding() as lease,
    ):
        assert not lease.resumed and lease.call_id == "RM_2"
        await wait_for(first.lost.is_set)
        now = await beat_of(leases)
        assert now and now.owner == "job-2"
    assert await beat_of(leases) is None


async def test_a_stopped_worker_hands_over(job: Callable[..., Job], leases: Leases):
    """The lease of a call whose worker was stopped says so, and the next agent goes on with the call."""
    async with job("job-1").holding(hand_over=True):
        pass
    left = await beat_of(leases)
    assert left and left.owner == LEFT
    async with job("job-2").holding() as lease:
        assert lease.resumed


async def test_an_agent_that_was_stopped_finds_its_call_taken(job: Callable[..., Job], leases: Leases):
    """The old agent's first beat after SIGCONT is refused: it leaves, and lets go of nothing of others."""
    first = job("job-1")
    async with first.holding():
        mine = await beat_of(leases)
        assert mine
        taken = Heartbeat(mine.epoch + 1, RESCUE)
        while (stands := await leases.swap(NAME, mine, taken)) != taken:
            assert stands
            mine = stands
        await wait_for(first.lost.is_set)
    assert await beat_of(leases) == taken
    async with job("job-2").holding() as lease:
        assert lease.resumed
        now = await beat_of(leases)
        assert now and now.epoch > taken.epoch


async def test_two_who_want_a_call_one_gets_it(job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch):
    """Of ten agents sent for one call by mistake one has it."""
    monkeypatch.setattr(call_lease, "MOST_WAIT_S", 0.5)
    jobs = [job(f"job-{number}") for number in range(10)]

    async def hold(one: Job) -> bool:
        try:
            async with one.holding():
                await asyncio.sleep(1.0)
                return not one.lost.is_set()
        except CallTaken:
            return False

    assert sorted(await asyncio.gather(*map(hold, jobs))) == [False] * 9 + [True]


@pytest.mark.parametrize(
    ("odd", "facts"),
    [
        *(("", "[]"), ("x", "null"), ("1 job", "{"), ("one job-1 2", '{"call_id": 1}')),
        *(("1 job-1 2 3", "[" * 100_000), (b"\xff\xfe", b"\xff")),
    ],
)
async def test_a_lease_that_cannot_be_read_is_none(
    job: Callable[..., Job], leases: Leases, redis_url: str, odd: str | bytes, facts: str | bytes
):
    """Written by another version, say: the other calls are watched, and the call itself has an agent."""
    with redis.Redis.from_url(redis_url) as client:
        async with job().holding():
            beats, known = sorted(client.keys("echoic:{calls}:*"))
            client.hset(beats, "another", odd)
            client.hset(known, "another", facts)
            assert set(await leases.beats()) == {NAME}
            assert await leases.read("another") == (None, None)
        client.hset(beats, NAME, odd)
        client.hset(known, NAME, facts)
    async with asyncio.timeout(5), job("job-2").holding() as lease:
        assert not lease.lost and (await leases.beats())[NAME].owner == "job-2"


async def test_redis_that_lost_its_data(job: Callable[..., Job], leases: Leases, redis_url: str):
    """The holder writes its lease again; an agent that lost its call before cannot get it back so."""
    first = job("job-1")
    async with first.holding():
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
        async with asyncio.timeout(5):
            while None in (held := await leases.read(NAME)):
                await asyncio.sleep(0.01)
        again, facts = held
        assert again and again.owner == "job-1" and facts == FACTS and not first.lost.is_set()
        newer = Heartbeat(again.epoch + 5, "job-2")
        with redis.Redis.from_url(redis_url) as client:
            client.hset("echoic:{calls}:beats", NAME, str(newer))
        await wait_for(first.lost.is_set)


async def test_redis_hangs_and_the_call_goes_on(
    job: Callable[..., Job], leases: Leases, stores: Stores, caplog: pytest.LogCaptureFixture
):
    """A hung Redis is said once in the log; the call keeps its lease when Redis goes on."""
    first, pid = job("job-1"), state_of(stores.data_dir).pids["redis"]
    with caplog.at_level("INFO", logger="echoic.lease"):
        async with first.holding():
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(1.5)
            finally:
                os.kill(pid, signal.SIGCONT)
            await wait_for(lambda: "lease.heard_again" in caplog.text)
            assert not first.lost.is_set()
            assert caplog.text.count("lease.not_held") == 1
    assert await beat_of(leases) is None


async def test_no_redis_at_all(job: Callable[..., Job], tmp_path, caplog: pytest.LogCaptureFixture):
    """Without Redis a call begins, goes on and ends; the log says that it is not held."""
    with caplog.at_level("INFO", logger="echoic.lease"):
        async with job(url=f"unix://{tmp_path}/none").holding() as lease:
            await lease.note(user="u1")
            assert not lease.resumed and lease.call_id == "call-1"
            await asyncio.sleep(0.2)
    assert caplog.text.count("lease.not_held") == 1


@pytest.mark.parametrize(
    ("reason", "disconnected", "stays"),
    [
        ("parent process shutdown", rtc.DisconnectReason.CLIENT_INITIATED, True),
        ("job crashed", rtc.DisconnectReason.CLIENT_INITIATED, True),
        ("parent process shutdown", rtc.DisconnectReason.PARTICIPANT_REMOVED, False),
        ("parent process shutdown", rtc.DisconnectReason.ROOM_DELETED, False),
        ("the call ended", rtc.DisconnectReason.CLIENT_INITIATED, False),
    ],
)
async def test_who_gets_the_call_when_a_job_ends(
    reason: str, disconnected: int, stays: bool, redis_url: str, leases: Leases
):
    """A stopped worker or a raised entrypoint leaves the call to the next agent; a hang-up does not."""
    job, room = MagicMock(), rtc.EventEmitter[str]()
    job.job = Job_(id="AJ_1", dispatch_id="AD_1", room=Room(name="call-_+15550100", sid="RM_1"))
    job.local_participant_identity, job.room = "agent-1", room
    job.is_fake_job.return_value = False
    lease = await hold(job, redis_url)
    assert [beat.owner for beat in (await leases.beats()).values()] == ["AJ_1"] and lease.call_id == "RM_1"
    room.emit("disconnected", disconnected)
    await job.add_shutdown_callback.call_args.args[0](reason)
    assert [beat.owner for beat in (await leases.beats()).values()] == ([LEFT] if stays else [])


async def test_console_has_no_lease(redis_url: str, leases: Leases):
    """A job without a room of a server (`console`, `simulate_job`) cannot be rescued, and holds nothing."""
    job = MagicMock()
    job.job = Job_(id="AJ_1", room=Room(name="console", sid="SRM_1"))
    job.is_fake_job.return_value = True
    await hold(job, redis_url)
    assert not await leases.beats()
    await job.add_shutdown_callback.call_args.args[0]("the call ended")
