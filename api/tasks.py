"""What takes a while and is done in a thread of its own: how far it is, and how it ended."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID, uuid4

from echoic.memory.errors import MemoryFault
from echoic.memory.settings.model_files import OnProgress

log = logging.getLogger("echoic.api")
KEPT = 100
"""Tasks that are remembered; the oldest ended ones are forgotten first."""


class Stopped(BaseException):
    """The API ends: whatever runs goes on with the next start."""


@dataclass(slots=True)
class Task:
    """One of them."""

    what: str
    task_id: UUID = field(default_factory=uuid4)
    state: Literal["running", "done", "failed"] = "running"
    done: int = 0
    total: int | None = None
    sentence: str = ""


class Tasks:
    """Those of this process. The same thing is done once at a time: who asks again gets the running task."""

    def __init__(self) -> None:
        self._tasks: dict[UUID, Task] = {}
        self._closing = threading.Event()

    def start(self, what: str, work: Callable[[OnProgress], object]) -> Task:
        """Begin `work`, which is told how to say how far it is; returns at once."""
        running = (one for one in self._tasks.values() if one.what == what and one.state == "running")
        if (task := next(running, None)) is not None:
            return task
        task = Task(what)
        self._forget_old()
        self._tasks[task.task_id] = task
        # a daemon: an API that is stopped does not wait for a download
        threading.Thread(target=self._run, args=(task, work), name=f"task {what}", daemon=True).start()
        return task

    def find(self, task_id: UUID) -> Task | None:
        """The task, as long as it is remembered."""
        return self._tasks.get(task_id)

    def close(self) -> None:
        """Whatever runs ends with its next step; what it has done so far stays."""
        self._closing.set()

    def _run(self, task: Task, work: Callable[[OnProgress], object]) -> None:
        def on_progress(done: int, total: int) -> None:
            task.done, task.total = done, total
            if self._closing.is_set():
                raise Stopped

        try:
            work(on_progress)
            task.state = "done"
        except MemoryFault as exc:
            task.sentence, task.state = str(exc), "failed"
        except Stopped:
            task.sentence, task.state = "The API was stopped.", "failed"
        except Exception as exc:
            log.error("task.failed", extra={"error": type(exc).__name__})
            task.sentence, task.state = f"It failed ({type(exc).__name__}).", "failed"

    def _forget_old(self) -> None:
        ended = [one.task_id for one in self._tasks.values() if one.state != "running"]
        for task_id in ended[: max(0, len(self._tasks) - KEPT + 1)]:
            del self._tasks[task_id]
