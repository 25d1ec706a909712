"""A lease that beats from a thread of its own: an event loop that is busy importing for two seconds is not a
dead agent.

One whose loop stands still for longer is as good as dead to its caller, and is not vouched for any more.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from livekit import rtc
from livekit.agents import JobContext

from echoic.agent.takeover.call_lease import Claim, Lease
from echoic.agent.takeover.lease import Leases

T = TypeVar("T")

TICK_S = 0.25
HANDED_OVER = ("parent process shutdown", "job crashed")
"""LiveKit's reasons for the end of a job that its caller did not ask for: the worker drained too long or had
to stop at once, or the entrypoint raised."""
STANDS_STILL_S = 6.0
"""Importing a plugin took up to 5 s on a machine busy fivefold (0.6 s on an idle one); a caller who hears
nothing for longer hangs up."""


class LeaseThread:
    """Runs one `Lease` in a thread, for a job that runs in this event loop; the same methods, to be called
    from here.

    Args:
        on_lost: called once, in this loop, when another agent has the call.
    """

    def __init__(self, redis_url: str, claim: Claim, *, on_lost: Callable[[], None]) -> None:
        self._here, self._there = asyncio.get_running_loop(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._there.run_forever, name="lease", daemon=True)
        self._thread.start()
        self._ticked = time.monotonic()
        self._ticking = asyncio.create_task(self._tick(), name="lease.tick")
        leases = Leases(redis_url) if redis_url and claim.name else None

        def lost() -> None:
            self._here.call_soon_threadsafe(on_lost)

        self._lease = Lease(leases, claim, on_lost=lost, alive=self._moves)

    @property
    def call_id(self) -> str:
        """The call's id; a resumed call keeps that of the agent before."""
        return self._lease.call_id

    @property
    def resumed(self) -> bool:
        """Another agent began this call and is gone."""
        return self._lease.resumed

    @property
    def notes(self) -> dict[str, str]:
        """What the agent before noted, and this one."""
        return self._lease.notes

    async def note(self, **notes: str) -> None:
        """As `Lease.note`."""
        await self._do(self._lease.note(**notes))

    async def take(self) -> None:
        """As `Lease.take`; beats from then on.

        Raises:
            CallTaken: another agent has the call.
        """
        await self._do(self._lease.take())
        self._there.call_soon_threadsafe(self._lease.keep)

    async def let_go(self, *, hand_over: bool = False) -> None:
        """As `Lease.let_go`; the thread ends with it."""
        self._ticking.cancel()
        try:
            await self._do(self._lease.let_go(hand_over=hand_over))
        finally:
            self._there.call_soon_threadsafe(self._there.stop)
            await asyncio.to_thread(self._thread.join)
            self._there.close()

    async def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._there))

    async def _tick(self) -> None:
        while True:
            self._ticked = time.monotonic()
            await asyncio.sleep(TICK_S)

    def _moves(self) -> bool:
        return time.monotonic() - self._ticked < STANDS_STILL_S


async def hold(job: JobContext, redis_url: str) -> LeaseThread:
    """Take the job's call, and keep it until the job ends; an agent that loses its call shuts its job down.

    The lease is let go after the agent has left the room: at a normal end for good, else to the next agent.
    Call it before `job.connect()`: an agent that may not have the call is never seen in the room.

    Raises:
        CallTaken: another agent has the call. Shut the job down.
    """
    claim = Claim.of(job)
    lease = LeaseThread(redis_url, claim, on_lost=lambda: job.shutdown("another agent has this call"))
    sent_away = False

    def on_disconnected(reason: int) -> None:
        nonlocal sent_away
        # the room is closed, or somebody removed the agent: as they wish
        sent_away = reason != rtc.DisconnectReason.CLIENT_INITIATED

    async def ended(reason: str) -> None:
        await lease.let_go(hand_over=reason in HANDED_OVER and not sent_away)

    job.room.on("disconnected", on_disconnected)
    job.add_shutdown_callback(ended)
    await lease.take()
    return lease
