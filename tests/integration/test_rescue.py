"""What a watch does, look by look, on a real Redis.

LiveKit's side of it is scripted here, and real in tests/rooms/test_takeover.py.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from livekit import api

from echoic.agent.takeover.lease import LEFT, MISSED_POLLS, RESCUE, Heartbeat, LeaseInfo, Leases
from echoic.agent.takeover.rescue import COMING_LOOKS, MOST_RESCUES, Watch
from echoic.local.servers.stores import Stores
from tests.processes import state_of

NAME, ROOM = "a-name", "call-_+15550100"
FACTS = LeaseInfo(call_id="call-1", room_sid="RM_1", dispatch_id="AD_1", identity="agent-1")
HELD = Heartbeat(1000, "job-1", 7)
AGENT, PERSON, PHONE = api.ParticipantInfo.AGENT, api.ParticipantInfo.STANDARD, api.ParticipantInfo.SIP


@dataclass
class ScriptedLiveKit:
    """One room as a LiveKit server would tell it, and what was asked of the server."""

    rooms: dict[str, str] = field(default_factory=lambda: {"RM_1": ROOM})
    kinds: list[Any] = field(default_factory=lambda: [PERSON, AGENT])
    dispatches: dict[str, api.AgentDispatch] = field(
        default_factory=lambda: {
            "AD_1": api.AgentDispatch(id="AD_1", agent_name="memo", room=ROOM, metadata='{"a":1}')
        }
    )
    done: list[str] = field(default_factory=list)
    sent: list[api.CreateAgentDispatchRequest] = field(default_factory=list)
    fault: Exception | None = None

    @property
    def room(self) -> "ScriptedLiveKit":
        return self

    agent_dispatch = room

    async def list_rooms(self, _request: object) -> api.ListRoomsResponse:
        if self.fault:
            raise self.fault
        return api.ListRoomsResponse(rooms=[api.Room(name=name, sid=sid) for sid, name in self.rooms.items()])

    async def list_participants(self, request: api.ListParticipantsRequest) -> api.ListParticipantsResponse:
        assert request.room == ROOM
        return api.ListParticipantsResponse(
            participants=[api.ParticipantInfo(kind=kind) for kind in self.kinds]
        )

    async def get_dispatch(self, dispatch_id: str, room: str) -> api.AgentDispatch | None:
        assert room == ROOM
        return self.dispatches.get(dispatch_id)

    async def remove_participant(self, request: api.RoomParticipantIdentity) -> None:
        self.done.append(f"remove {request.identity}")

    async def create_dispatch(self, request: api.CreateAgentDispatchRequest) -> None:
        self.done.append("dispatch")
        self.sent.append(request)


@pytest.fixture
async def leases(redis_url: str) -> AsyncIterator[Leases]:
    opened = Leases(redis_url)
    yield opened
    await opened.close()


@pytest.fixture
def livekit() -> ScriptedLiveKit:
    return ScriptedLiveKit()


@pytest.fixture
def watch(leases: Leases, livekit: ScriptedLiveKit) -> Callable[..., Watch]:
    return lambda running=frozenset: Watch(leases, livekit, running=running)  # type: ignore[arg-type]


async def looked(watch: Watch, times: int) -> None:
    for _ in range(times):
        await watch.look()
        await watch.idle()


async def stands(leases: Leases) -> Heartbeat | None:
    return (await leases.beats()).get(NAME)


async def test_a_dead_agent_is_replaced(
    leases: Leases, livekit: ScriptedLiveKit, watch: Callable[..., Watch]
):
    """After six looks at the same beat the ghost is removed, then the same agent sent, once."""
    await leases.swap(NAME, None, HELD, FACTS)
    watching = watch()
    await looked(watching, MISSED_POLLS)
    assert not livekit.done
    await looked(watching, 1 + MISSED_POLLS)
    assert livekit.done == ["remove agent-1", "dispatch"]
    assert livekit.sent[0] == api.CreateAgentDispatchRequest(agent_name="memo", room=ROOM, metadata='{"a":1}')
    beat, facts = await leases.read(NAME)
    assert beat and (beat.epoch, beat.owner) == (1001, RESCUE) and facts == replace(FACTS, rescues=1)


async def test_a_living_agent_is_left_alone(
    leases: Leases, livekit: ScriptedLiveKit, watch: Callable[..., Watch]
):
    """A beat that moves, however slowly within six looks, means that its agent lives."""
    await leases.swap(NAME, None, HELD, FACTS)
    watching, beat = watch(), HELD
    for _ in range(6):
        await looked(watching, MISSED_POLLS - 1)
        assert await leases.swap(NAME, beat, beat.next) == beat.next
        beat = beat.next
    assert not livekit.done


async def test_own_child_is_replaced_at_the_first_look(
    leases: Leases, livekit: ScriptedLiveKit, watch: Callable[..., Watch]
):
    """A worker knows when a process of its own is gone: nobody waits for the beat.

    A job that let its call go is not rescued.
    """
    await leases.swap(NAME, None, HELD, FACTS)
    running = {"job-1", "job-2"}
    watching = watch(lambda: running)
    await looked(watching, 2)
    running.clear()
    await looked(watching, 1)
    assert livekit.done == ["remove agent-1", "dispatch"]


async def test_a_call_left_by_a_stopped_worker_is_taken_at_once(
    leases: Leases, livekit: ScriptedLiveKit, watch: Callable[..., Watch]
):
    """Its worker said that it goes: the first look sends another agent."""
    await leases.swap(NAME, None, Heartbeat(1000, LEFT), FACTS)
    await looked(watch(), 1)
    assert livekit.done[-1] == "dispatch"


async def test_two_watches_send_one_agent(
    leases: Leases, livekit: ScriptedLiveKit, watch: Callable[..., Watch]
):
    """Ten watches find the same dead agent in the same moment; one sends another."""
    await leases.swap(NAME, None, HELD, FACTS)
    watches = [watch() for _ in range(10)]
    for _ in range(2 * MISSED_POLLS):
        await asyncio.gather(*(looked(one, 1) for one in watches))
    assert livekit.done == ["remove agent-1", "dispatch"]


@pytest.mark.parametrize("why", ["room closed", "room empty", "dispatch deleted"])
async def test_nobody_is_sent_where_nobody_waits(
    why: str, leases: Leases, livekit: ScriptedLiveKit, watch: Callable[..., Watch]
):
    """A closed room, one without people, or an agent the application sent away: only the lease goes."""
    await leases.swap(NAME, None, HELD, FACTS)
    match why:
        case "room closed":
            livekit.rooms = {"RM_2": ROOM}
        case "room empty":
            livekit.kinds = [AGENT, api.ParticipantInfo.EGRESS]
        case _:
            livekit.dispatches.clear()
    await looked(watch(), MISSED_POLLS + 1)
    assert not livekit.done
    assert await leases.read(NAME) == (None, None)


async def test_a_phone_caller_is_people(
    leases: Leases, livekit: ScriptedLiveKit, watch: Callable[..., Watch]
):
    """A room with nobody but a telephone in it is a call that is worth a rescue."""
    livekit.kinds = [PHONE]
    await leases.swap(NAME, None, HELD, FACTS)
    await looked(watch(), MISSED_POLLS + 1)
    assert livekit.done[-1] == "dispatch"


async def test_an_agent_that_does_not_come_is_sent_again_more_and_more_rarely(
    leases: Leases, livekit: ScriptedLiveKit, watch: Callable[..., Watch]
):
    """No worker was free: the next is sent after 8 s, then 16 s; and after five the call is given up."""
    await leases.swap(NAME, None, Heartbeat(1000, LEFT), FACTS)
    watching = watch()
    await looked(watching, 1)
    for number in range(1, MOST_RESCUES):
        await looked(watching, COMING_LOOKS * 2 ** (number - 1))
        assert livekit.done.count("dispatch") == number
        await looked(watching, 1)
        assert livekit.done.count("dispatch") == number + 1
    await looked(watching, COMING_LOOKS * 2 ** (MOST_RESCUES - 1) + 1)
    assert livekit.done.count("dispatch") == MOST_RESCUES
    assert await stands(leases) is None


async def test_a_call_that_kills_its_agents_is_given_up(
    leases: Leases, livekit: ScriptedLiveKit, watch: Callable[..., Watch], caplog: pytest.LogCaptureFixture
):
    """Each agent takes the call and dies: five are sent, then none, and the log names no room."""
    beat, running = HELD, {"job-1"}
    await leases.swap(NAME, None, beat, FACTS)
    watching = watch(lambda: running)
    with caplog.at_level("INFO", logger="echoic.rescue"):
        for number in range(2, 20):
            await looked(watching, 2)
            running.clear()
            await looked(watching, 1)
            left, facts = await leases.read(NAME)
            if left is None or facts is None:
                break
            running.add(f"job-{number}")
            beat = Heartbeat(left.epoch + 1, f"job-{number}")
            await leases.swap(NAME, left, beat, replace(facts, identity=f"agent-{number}"))
    assert livekit.done.count("dispatch") == MOST_RESCUES
    assert livekit.done[-1] == f"remove agent-{MOST_RESCUES + 1}"
    assert [record.getMessage() for record in caplog.records] == ["call.rescued"] * MOST_RESCUES + [
        "call.given_up"
    ]
    assert "15550100" not in "".join(str(vars(record)) for record in caplog.records)


async def test_redis_hangs_and_nobody_is_dead(
    leases: Leases,
    livekit: ScriptedLiveKit,
    watch: Callable[..., Watch],
    stores: Stores,
    caplog: pytest.LogCaptureFixture,
):
    """What stood still while Redis hung proves nothing: counting begins anew, so that agents can beat."""
    await leases.swap(NAME, None, HELD, FACTS)
    watching, pid = watch(), state_of(stores.data_dir).pids["redis"]
    await looked(watching, MISSED_POLLS)
    with caplog.at_level("INFO", logger="echoic.rescue"):
        os.kill(pid, signal.SIGSTOP)
        try:
            await looked(watching, 2)
        finally:
            os.kill(pid, signal.SIGCONT)
        await looked(watching, MISSED_POLLS)
        assert not livekit.done
        await looked(watching, 1)
    assert livekit.done[-1] == "dispatch"
    assert [record.getMessage() for record in caplog.records] == [
        "rescue.cannot_watch",
        "rescue.watches_again",
        "call.rescued",
    ]


async def test_livekit_does_not_answer(
    leases: Leases, livekit: ScriptedLiveKit, watch: Callable[..., Watch], caplog: pytest.LogCaptureFixture
):
    """A watch that cannot reach LiveKit leaves the call to others: it neither counts nor takes a rescue."""
    await leases.swap(NAME, None, HELD, FACTS)
    livekit.fault = aiohttp.ClientConnectionError("refused")
    await looked(watch(), MISSED_POLLS + 3)
    assert (await leases.read(NAME)) == (HELD, FACTS)
    assert caplog.text.count("call.not_rescued") == 1
    livekit.fault = None
    await looked(watch(), MISSED_POLLS + 1)
    assert livekit.done[-1] == "dispatch"
