"""The worker beside a talk: it learns in the background, and outlives the talk until what was said is
learned."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from echoic.local.llm.grade import grade_sentence
from echoic.local.llm.models import ModelChoice
from echoic.memory.config import MemorySettings


@contextmanager
def learner_beside(
    settings: MemorySettings, choice: ModelChoice, env: Mapping[str, str] = os.environ
) -> Iterator[str]:
    """Have facts learned from a talk while the block runs and after it; gives a sentence that says by whom.

    On embedded stores that is `echoic worker`, detached, with a pipe from us as its standard input: however
    we end, even killed, it reads the end of it, learns what waits, and goes. Stores that others share have
    workers of their own.
    """
    if not choice.can_extract or settings.data_dir is None:
        yield f"Everything said is remembered word for word; facts are not extracted ({choice.why_not})."
    elif env.get("ECHOIC_DATABASE_URL"):
        yield "Everything said is remembered; facts are learned by whoever runs `echoic worker`."
    else:
        grade = asyncio.run(grade_sentence(settings, choice.url, choice.model))
        with _worker(settings.data_dir):
            yield f"Everything said is remembered; facts are learned in the background. The model: {grade}"


@contextmanager
def _worker(data_dir: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "echoic", "worker", "--until-eof", "--data-dir", str(data_dir)]
    learner = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        assert learner.stdin is not None
        learner.stdin.close()
        learner.returncode = 0  # not ours to wait for: Python would warn that it still runs


async def standard_input_ended() -> None:
    """Return when whoever holds our standard input has closed it, or is gone."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def read_all() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            continue
        with suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(ended.cancel)

    threading.Thread(target=read_all, name="standard-input", daemon=True).start()
    await asyncio.wait({ended})
