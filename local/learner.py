"""The worker beside a talk: it learns in the background, and outlives the talk until what was said is learned."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def learner_beside(command_line: str, data_dir: Path) -> Iterator[None]:
    """Run `echoic worker` for a data folder, detached, its standard input a pipe from us.

    However we end, even killed, it reads the end of that pipe, learns what waits, and goes.

    Args:
        command_line: the file of the command line, `cli.py`.
    """
    command = [sys.executable, command_line, "worker", "--until-eof", "--data-dir", str(data_dir)]
    learner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
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
