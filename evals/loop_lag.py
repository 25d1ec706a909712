"""How long the event loop is kept from its callbacks, and by which one: what a caller hears as a stutter."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

TICK_S = 0.005


@dataclass(slots=True)
class LoopLag:
    """What was seen while `watched()` was open."""

    stalls_ms: list[float] = field(default_factory=list)
    """How much later than asked each 5 ms timer fired: waiting for other callbacks, or for a processor."""
    slowest_ms: float = 0.0
    """The longest single callback, by the clock on the wall."""
    slowest_cpu_ms: float = 0.0
    """How much of that it computed; the rest it waited for a processor or for the interpreter's lock."""
    slowest_name: str = ""


@contextmanager
def watched() -> Iterator[LoopLag]:
    """Time every callback of the running loop, and a timer beside them."""
    lag = LoopLag()
    ticking = asyncio.create_task(_tick(lag), name="bench.tick")
    original = asyncio.Handle._run
    asyncio.Handle._run = _timed(original, lag)  # type: ignore[method-assign]
    try:
        yield lag
    finally:
        asyncio.Handle._run = original  # type: ignore[method-assign]
        ticking.cancel()


async def _tick(lag: LoopLag) -> None:
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(TICK_S)
        lag.stalls_ms.append((time.perf_counter() - asked - TICK_S) * 1000)


def _timed(original, lag: LoopLag):  # type: ignore[no-untyped-def]
    def run(handle: asyncio.Handle) -> None:
        began, computed = time.perf_counter(), time.thread_time()
        original(handle)
        took_ms = (time.perf_counter() - began) * 1000
        if took_ms > lag.slowest_ms:
            lag.slowest_ms, lag.slowest_cpu_ms = took_ms, (time.thread_time() - computed) * 1000
            lag.slowest_name = _name(handle)

    return run


def _name(handle: asyncio.Handle) -> str:
    callback = handle._callback  # type: ignore[attr-defined]
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"{owner.get_name()} ({getattr(owner.get_coro(), '__qualname__', '?')})"
    return str(getattr(callback, "__qualname__", type(callback).__name__))
