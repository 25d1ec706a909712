"""Finding calls whose agent is dead, and sending another: every worker's parent process watches the leases of
all calls."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
from livekit import api
from livekit.agents import AgentServer
from livekit.agents.job import DEFAULT_PARTICIPANT_KINDS

from echoic.agent.takeover.lease import LEFT, MISSED_POLLS, POLL_S, RESCUE, Heartbeat, LeaseInfo, Leases
from echoic.memory.errors import StoreUnavailable

log = logging.getLogger("echoic.rescue")

MOST_RESCUES = 5  # a call that kills each agent, or for which none comes, is given up
COMING_LOOKS = 32  # 8 s: a cold process needs 4-6; doubled with each rescue
ANSWER_S = 3.0
LIMIT_S = 10.0
PAUSE_S = 2.0  # after LiveKit did not answer

PEOPLE = frozenset(int(kind) for kind in DEFAULT_PARTICIPANT_KINDS)


@dataclass(slots=True)
class Seen:
    """One call's last beat, and how often it was found unchanged."""

    beat: Heartbeat
    looks: int = 0


class Watch:
    """Looks at all leases four times a second.

    Any number of watches may look at the same ones: one of them wins each call.

    Args:
        running: ids of the jobs that this process runs; one that is gone without having let its call go is
            dead, and nobody waits.
    """

    def __init__(
        self, leases: Leases, livekit: api.LiveKitAPI, *, running: Callable[[], Collection[str]]
    ) -> None:
        self._leases, self._livekit, self._running = leases, livekit, running
        self._seen: dict[str, Seen] = {}
        self._ran: set[str] = set()
        self._died: set[str] = set()
        self._rescues: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, float] = {}
        self._deaf = False

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(POLL_S)
        finally:
            for task in self._rescues.values():
                task.cancel()
            await asyncio.gather(*self._rescues.values(), return_exceptions=True)

    async def look(self) -> None:
        """Look once, and begin the rescues that are due.

        While Redis does not answer nothing is due, and counting begins anew.
        """
        now = set(self._running())
        self._died |= self._ran - now  # before the leases are read: a job lets go before its process ends
        self._ran = now
        try:
            beats = await self._leases.beats()
        except StoreUnavailable as exc:
            self._seen.clear()
            self._tell_deaf(exc)
            return
        self._tell_deaf(None)
        self._died &= {beat.owner for beat in beats.values()}
        self._seen = {name: self._counted(name, beat) for name, beat in beats.items()}
        for name, seen in self._seen.items():
            if (
                name not in self._rescues
                and time.monotonic() >= self._not_before.get(name, 0.0)
                and self._may_be_dead(seen)
            ):
                self._begin(name, seen)

    async def idle(self) -> None:
        """Return once no rescue is under way."""
        while self._rescues:
            await asyncio.wait(set(self._rescues.values()))

    def _counted(self, name: str, beat: Heartbeat) -> Seen:
        seen = self._seen.get(name)
        return Seen(beat, seen.looks + 1) if seen is not None and seen.beat == beat else Seen(beat)

    def _may_be_dead(self, seen: Seen) -> bool:
        if seen.beat.owner == RESCUE:
            return seen.looks >= COMING_LOOKS
        return seen.looks >= MISSED_POLLS or seen.beat.owner == LEFT or seen.beat.owner in self._died

    def _begin(self, name: str, seen: Seen) -> None:
        task = asyncio.create_task(self._rescue_within_limit(name, seen), name="rescue")
        self._rescues[name] = task
        task.add_done_callback(lambda _: self._rescues.pop(name, None))

    async def _rescue_within_limit(self, name: str, seen: Seen) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._rescue(name, seen)
        except Exception as exc:  # whatever is wrong with one call, the others are watched
            self._not_before[name] = time.monotonic() + PAUSE_S
            log.warning("call.not_rescued", extra={"error": type(exc).__name__})
        else:
            self._not_before.pop(name, None)

    async def _rescue(self, name: str, seen: Seen) -> None:
        _, facts = await self._leases.read(name)
        if facts is None or not _is_due(seen, facts):
            return
        room = await self._room_of(facts.room_sid)
        dispatch = await self._dispatch_of(facts, room) if room else None
        if dispatch is None or not await self._has_people(room):
            if await self._leases.swap(name, seen.beat, None) is None:
                log.info("call.over", extra={"call_id": facts.call_id})
        elif facts.rescues >= MOST_RESCUES:
            if await self._leases.swap(name, seen.beat, None) is None:
                await self._remove(room, facts.identity)
                log.error("call.given_up", extra={"call_id": facts.call_id, "rescues": facts.rescues})
        else:
            await self._send(name, seen.beat, facts, dispatch)

    async def _send(self, name: str, dead: Heartbeat, facts: LeaseInfo, dispatch: api.AgentDispatch) -> None:
        """First the lease, so that the old agent is silent and other watchers stay away; then the ghost; then
        the new agent."""
        begun = time.monotonic()
        # two watches must not write the same: both would think they had won
        taken = Heartbeat(dead.epoch + 1, RESCUE, secrets.randbits(48))
        if await self._leases.swap(name, dead, taken, replace(facts, rescues=facts.rescues + 1)) != taken:
            return  # it lives, or another watcher was first
        await self._remove(dispatch.room, facts.identity)
        await self._livekit.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(
                agent_name=dispatch.agent_name,
                room=dispatch.room,
                metadata=dispatch.metadata,
                attributes=dict(dispatch.attributes),
                deployment=dispatch.deployment,
                restart_policy=dispatch.restart_policy,
            )
        )
        fields = {
            "call_id": facts.call_id,
            "rescues": facts.rescues + 1,
            "elapsed_ms": round((time.monotonic() - begun) * 1000),
        }
        log.warning("call.rescued", extra=fields)

    async def _room_of(self, sid: str) -> str:
        """The room's name, which is kept nowhere; empty when the room is closed."""
        rooms = (await self._livekit.room.list_rooms(api.ListRoomsRequest())).rooms
        return next((room.name for room in rooms if room.sid == sid), "")

    async def _dispatch_of(self, facts: LeaseInfo, room: str) -> api.AgentDispatch | None:
        """What brought the dead agent here; None when somebody has deleted it, which is how an agent is sent
        away."""
        return await self._livekit.agent_dispatch.get_dispatch(facts.dispatch_id, room)

    async def _has_people(self, room: str) -> bool:
        found = await self._livekit.room.list_participants(api.ListParticipantsRequest(room=room))
        return any(
            int(one.kind) in PEOPLE and one.state != api.ParticipantInfo.DISCONNECTED
            for one in found.participants
        )

    async def _remove(self, room: str, identity: str) -> None:
        try:
            await self._livekit.room.remove_participant(
                api.RoomParticipantIdentity(room=room, identity=identity)
            )
        except api.ServerError as exc:
            if exc.code != api.ServerErrorCode.NOT_FOUND:  # it has left by itself
                raise

    def _tell_deaf(self, exc: StoreUnavailable | None) -> None:
        if exc is not None and not self._deaf:
            log.warning("rescue.cannot_watch", extra={"error": type(exc).__name__})
        elif exc is None and self._deaf:
            log.info("rescue.watches_again")
        self._deaf = exc is not None


def _is_due(seen: Seen, facts: LeaseInfo) -> bool:
    """False while an agent that was sent may still come."""
    return seen.beat.owner != RESCUE or seen.looks >= COMING_LOOKS * 2 ** (facts.rescues - 1)


@asynccontextmanager
async def watching(server: AgentServer, redis_url: str) -> AsyncIterator[None]:
    """While the block runs, the server's process watches the calls of all workers; it begins when the server
    has started."""
    started = asyncio.Event()

    def on_started(*_: object) -> None:
        started.set()

    server.once("worker_started", on_started)
    task = asyncio.create_task(_watch(server, redis_url, started), name="rescue.watch")
    task.add_done_callback(_tell_ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _tell_ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (fault := task.exception()) is not None:
        log.error("rescue.stopped", extra={"error": type(fault).__name__})


async def _watch(server: AgentServer, redis_url: str, started: asyncio.Event) -> None:
    await started.wait()  # LiveKit's address stands in the environment by now, wherever it came from
    if not redis_url:
        log.warning("rescue.no_redis")
        return
    leases = Leases(redis_url)
    try:
        async with api.LiveKitAPI(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as livekit:
            await Watch(leases, livekit, running=lambda: {info.job.id for info in server.active_jobs}).run()
    finally:
        await leases.close()
