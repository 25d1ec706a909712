"""Taking a call, keeping it, and letting it go: the job process's side of `agent/takeover/lease.py`."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from livekit.agents import JobContext

from echoic.agent.takeover.lease import (
    BEAT_S,
    LEFT,
    MISSED_POLLS,
    POLL_S,
    Heartbeat,
    LeaseInfo,
    Leases,
    first_epoch,
    lease_name,
)
from echoic.memory.errors import StoreUnavailable

log = logging.getLogger("echoic.lease")

STEADY_S = 60.0  # an agent that lived so long was not killed by the call: its rescues are forgiven
# a call that ends keeps its lease until its last turns are stored; who comes meanwhile waits for that
MOST_WAIT_S = 10.0


class CallTaken(Exception):
    """Another agent has this call and is alive."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The lease that a job asks for."""

    name: str
    job_id: str
    facts: LeaseInfo

    @classmethod
    def of(cls, job: JobContext) -> "Claim":
        """The room's sid names the call: a room's name may come again."""
        room, name = job.job.room, job.job.agent_name
        if job.is_fake_job():  # at the console: there is no room, and nobody who could take over
            return cls("", job.job.id, LeaseInfo(room.sid, room.sid, "", ""))
        identity = "" if job.is_fake_job() else job.local_participant_identity
        facts = LeaseInfo(room.sid, room.sid, job.job.dispatch_id, identity)
        return cls(lease_name(os.environ.get("LIVEKIT_API_SECRET", ""), room.name, name), job.job.id, facts)


class Lease:
    """One job's right to its call. `await take()`, then `keep()`, at the end `await let_go()`.

    Without Redis the call goes on, says so in the log, and is not rescued; the lease is taken as soon as
    Redis answers.

    Args:
        on_lost: called once when another agent has the call: leave, and say nothing more.
        alive: asked before each beat; while it says no, there is none.
    """

    def __init__(
        self,
        leases: Leases | None,
        claim: Claim,
        *,
        on_lost: Callable[[], None],
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        self._leases, self._name, self._on_lost, self._alive = leases, claim.name, on_lost, alive
        self._facts, self._unwritten = claim.facts, False
        self._mine = Heartbeat(first_epoch(), claim.job_id)
        self._stands: Heartbeat | None = None
        """What Redis held when it last answered us."""
        self._beating: asyncio.Task[None] | None = None
        self._turn, self._ending = asyncio.Lock(), asyncio.Event()
        self._held_since = time.monotonic()
        self._silent = False
        self.resumed = False
        """Another agent began this call and is gone."""
        self.lost = False

    @property
    def call_id(self) -> str:
        """The call's id; a resumed call keeps that of the agent before."""
        return self._facts.call_id

    @property
    def notes(self) -> dict[str, str]:
        """What the agent before noted, and this one."""
        return dict(self._facts.notes)

    async def note(self, **notes: str) -> None:
        """Leave word for the agent that may have to take over; an empty text takes a note away.

        Ids and switches, never names or words.

        Raises nothing: while Redis is away it is kept, and written with the first beat that is heard.
        """
        kept = {key: text for key, text in (self._facts.notes | notes).items() if text}
        self._facts, self._unwritten = replace(self._facts, notes=kept), True
        await self._beat()

    async def take(self) -> None:
        """Take the call: it is nobody's, or its agent is dead, was sent away or left.

        Raises:
            CallTaken: its agent is alive.
        """
        if self._leases is None:
            return
        try:
            await self._take(self._leases)
        except StoreUnavailable as exc:
            self._silence(exc)

    def keep(self) -> None:
        """Beat from now on."""
        if self._leases is not None:
            self._beating = asyncio.create_task(self._beat_on(), name="lease.beat")

    async def let_go(self, *, hand_over: bool = False) -> None:
        """The agent has left the room.

        With `hand_over` the next one is sent at once, if there is still somebody to speak with.
        """
        if self._leases is None:
            return
        self._ending.set()
        if self._beating is not None:
            await self._beating
        try:
            async with self._turn:
                if not self.lost:
                    await self._put(self._leases, Heartbeat(self._mine.epoch, LEFT) if hand_over else None)
        except StoreUnavailable as exc:
            # a watcher will find that nobody is in the room
            log.warning("lease.not_released", extra={"error": type(exc).__name__})
        finally:
            await self._leases.close()

    async def _take(self, leases: Leases) -> None:
        deadline, seen, looks = time.monotonic() + MOST_WAIT_S, None, 0
        while True:
            beat, facts = await leases.read(self._name)
            looks = looks + 1 if beat == seen else 1
            seen = beat
            if self._may_take(beat, facts, looks):
                mine = self._claimed(beat, facts)
                if await leases.swap(self._name, beat, mine, self._facts) == mine:
                    self._mine = self._stands = mine
                    return
            elif time.monotonic() > deadline:
                self.lost = True
                raise CallTaken
            else:
                await asyncio.sleep(POLL_S)

    def _may_take(self, beat: Heartbeat | None, facts: LeaseInfo | None, looks: int) -> bool:
        return (
            beat is None
            or facts is None
            or not self._is_same_call(facts)
            or not beat.held
            or looks > MISSED_POLLS
        )

    def _is_same_call(self, facts: LeaseInfo) -> bool:
        return facts.room_sid == self._facts.room_sid

    def _claimed(self, beat: Heartbeat | None, facts: LeaseInfo | None) -> Heartbeat:
        """Take over what is known of the call, and the epoch that a rescuer set."""
        if beat is None:
            return self._mine
        if facts is not None and self._is_same_call(facts):
            self.resumed = True
            self._facts = replace(
                self._facts, call_id=facts.call_id, rescues=facts.rescues, notes=facts.notes
            )
        return Heartbeat(max(self._mine.epoch, beat.epoch + 1), self._mine.owner)

    async def _beat_on(self) -> None:
        while not self.lost and not await self._ends_within(BEAT_S):
            if self._facts.rescues and time.monotonic() - self._held_since > STEADY_S:
                self._facts, self._unwritten = replace(self._facts, rescues=0), True
            if self._alive():
                await self._beat()

    async def _ends_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        return self._ending.is_set()

    async def _beat(self) -> None:
        if self._leases is None or self.lost:
            return
        try:
            async with self._turn:
                await self._put(self._leases, self._mine.next)
        except StoreUnavailable as exc:
            self._silence(exc)
        else:
            if self._silent:
                log.info("lease.heard_again", extra={"call_id": self.call_id})
            self._silent = False

    async def _put(self, leases: Leases, new: Heartbeat | None) -> None:
        """Write one change as the owner, whatever became of the one before; or find another owner."""
        expected = self._stands
        while True:
            facts = self._facts if self._unwritten or expected is None else None
            stands = await leases.swap(self._name, expected, new, facts)
            if stands == new:
                self._stands, self._unwritten = stands, False
                self._mine = new or self._mine
                return
            if not self._is_mine(stands):
                self._lose()
                return
            # ours, or what a Redis without its data or an earlier owner left
            expected, self._unwritten = (
                stands,
                True,
            )

    def _is_mine(self, stands: Heartbeat | None) -> bool:
        return (
            stands is None
            or stands.epoch < self._mine.epoch
            or (stands.epoch, stands.owner) == (self._mine.epoch, self._mine.owner)
        )

    def _lose(self) -> None:
        self.lost = True
        log.warning("lease.lost", extra={"call_id": self.call_id})
        self._on_lost()

    def _silence(self, exc: StoreUnavailable) -> None:
        if not self._silent:
            log.warning("lease.not_held", extra={"call_id": self.call_id, "error": type(exc).__name__})
        self._silent = True
