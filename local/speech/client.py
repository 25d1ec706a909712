"""How call processes ask the two speech servers: one question per connection, put again if its server dies.

If the client disconnects, its question is cancelled: the server stops the work at once.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from echoic.memory.errors import ModelUnavailable
from echoic.memory.hosting.wire import Connection, Message, ServerLost, connect

log = logging.getLogger("echoic.speech")

HEARING_RATE = 16_000  # Hz, of everything that is listened to
VOICE_RATE = 22_050  # Hz, of everything that is spoken
SAMPLE_BYTES = 2  # signed 16-bit, one channel
RESTART_S = 15.0  # a server that was killed answers again after 2-4 s; both at once, on busy cores, after 10
POLL_S = 0.05
MOST_BREAKS = 2  # a question during which the server died twice is what kills it


async def ask(socket: Path, question: dict[str, Any], audio: bytes = b"") -> Message:
    """Put one question and wait for its answer; cancelling it stops the work on the other side.

    A server that is just being started again is waited for, up to 15 s.

    Raises:
        ModelUnavailable: it does not come back, dies of this question, or says why it cannot answer.
    """
    deadline, breaks = time.monotonic() + RESTART_S, 0
    while True:
        connection = await _connect(socket, deadline)
        try:
            return await connection.ask(question, audio)
        except ServerLost as exc:
            breaks += 1
            log.warning("speech.server_died", extra={"server": socket.stem, "breaks": breaks})
            if breaks >= MOST_BREAKS:
                raise ModelUnavailable("The local speech server died twice of the same work.") from exc
        finally:
            connection.hang_up()


async def _connect(socket: Path, deadline: float) -> Connection:
    away = False
    while True:
        try:
            return await connect(socket, "Local speech")
        except OSError as exc:
            if time.monotonic() > deadline:
                raise ModelUnavailable(
                    f"The local speech server does not answer; its log is beside {socket.name}."
                ) from exc
            if not away:
                log.warning("speech.server_away", extra={"server": socket.stem})
            away = True
            await asyncio.sleep(POLL_S)
