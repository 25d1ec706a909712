"""A busy worker says so: it refuses by the real load, loudly; in development it refuses nothing."""

import logging
import threading

import pytest
from livekit.agents import JobRequest
from livekit.protocol.agent import Job

from echoic.agent.worker.load import REPORTED_AT_MOST, SAMPLES, Load


class Processor:
    """A load set by hand; a sample is taken when the test wants one."""

    def __init__(self, load: float) -> None:
        self.load = load
        self._wanted = threading.Semaphore(0)
        self._taken = threading.Semaphore(0)

    def __call__(self) -> float:
        self._taken.release()
        self._wanted.acquire()
        return self.load

    def sample(self, load: Load, count: int = SAMPLES) -> None:
        load.current()
        for _ in range(count):
            self._taken.acquire()
            self._wanted.release()
        self._taken.acquire()  # it asks for the next: the last one stands
        self._taken.release()


def asked() -> tuple[JobRequest, list[object]]:
    answers: list[object] = []

    async def reject(terminate: bool) -> None:
        answers.append(("rejected", terminate))

    async def accept(_arguments: object) -> None:
        answers.append("accepted")

    return JobRequest(job=Job(id="j1"), on_reject=reject, on_accept=accept), answers


async def test_below_the_limit_a_call_is_taken():
    """Half the processors in use of a limit of 0.8: nothing is refused, nor counted as such."""
    processor = Processor(0.5)
    load = Load(0.8, sample=processor)
    processor.sample(load)
    request, answers = asked()
    await load.answer(request)
    assert answers == ["accepted"] and load.refused == 0


async def test_a_refused_call_is_logged_counted_and_left_to_another_worker(caplog):
    """Refused without ending the job, so that LiveKit asks the next worker."""
    processor, counted = Processor(0.9), []
    load = Load(0.8, sample=processor, on_refused=lambda: counted.append(1))
    processor.sample(load)
    request, answers = asked()
    with caplog.at_level(logging.WARNING, "echoic.load"):
        await load.answer(request)
    assert answers == [("rejected", False)]
    assert load.refused == len(counted) == 1
    assert [record.message for record in caplog.records] == ["call.refused"]


async def test_in_development_nothing_is_refused():
    """At full load a call is still taken, and the load told to LiveKit is none."""
    processor = Processor(1.0)
    load = Load(0.8, sample=processor)
    load.never_refuse = True
    processor.sample(load)
    request, answers = asked()
    await load.answer(request)
    assert answers == ["accepted"] and load.reported() == 0.0


@pytest.mark.parametrize("used", [0.0, 0.4, 0.8, 1.0])
def test_a_busy_worker_is_still_asked(used):
    """LiveKit passes over a worker that reports 0.7 or more, and nobody would know of the call."""
    processor = Processor(used)
    load = Load(0.8, sample=processor)
    processor.sample(load)
    assert load.reported() == pytest.approx(min(used / 0.8, 1) * REPORTED_AT_MOST)
    assert load.reported() < 0.7


def test_one_busy_moment_is_not_a_busy_machine():
    """A single sample moves the load by its fifth only."""
    processor = Processor(0.2)
    load = Load(0.8, sample=processor)
    processor.sample(load)
    processor.load = 1.0
    processor.sample(load, 1)
    assert load.current() == pytest.approx(0.36)
