"""What call processes and the two speech servers say to each other: one question and one answer a connection,
on a Unix socket.

A message is four bytes of length, JSON, and as many bytes of audio as its `bytes` says. Who hangs up is not
answered any more: the server stops the work at once. A server that dies is started again by its keeper;
questions are whole, so they are simply put again.
"""

import asyncio
import json
import logging
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from echoic.memory.errors import ModelUnavailable

log = logging.getLogger("echoic.speech")

HEARING_RATE = 16_000  # Hz, of everything that is listened to
VOICE_RATE = 22_050  # Hz, of everything that is spoken; the server refuses a voice of another rate
SAMPLE_BYTES = 2  # signed 16-bit, one channel
LENGTH = struct.Struct("!I")
MOST_JSON = 64_000
MOST_AUDIO = 16_000_000
RESTART_S = 15.0  # a server that was killed answers again after 2-4 s; both at once, on busy cores, after 10
POLL_S = 0.05
MOST_BREAKS = 2  # a question during which the server died twice is what kills it

Message = tuple[dict[str, Any], bytes]
Answer = Callable[[dict[str, Any], bytes], Awaitable[Message]]


async def ask(socket: Path, question: dict[str, Any], audio: bytes = b"") -> Message:
    """Put one question and wait for its answer; cancelling it stops the work on the other side.

    A server that is just being started again is waited for, up to 15 s.

    Raises:
        ModelUnavailable: it does not come back, dies of this question, or says why it cannot answer.
    """
    deadline, breaks = time.monotonic() + RESTART_S, 0
    while True:
        reader, writer = await _connect(socket, deadline)
        try:
            return await _exchange(reader, writer, question, audio)
        except (OSError, asyncio.IncompleteReadError) as exc:
            breaks += 1
            log.warning("speech.server_died", extra={"server": socket.stem, "breaks": breaks})
            if breaks >= MOST_BREAKS:
                raise ModelUnavailable("The local speech server died twice of the same work.") from exc
        finally:
            writer.close()


async def _connect(socket: Path, deadline: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    away = False
    while True:
        try:
            return await asyncio.open_unix_connection(socket)
        except OSError as exc:
            if time.monotonic() > deadline:
                raise ModelUnavailable(
                    f"The local speech server does not answer; its log is beside {socket.name}."
                ) from exc
            if not away:
                log.warning("speech.server_away", extra={"server": socket.stem})
            away = True
            await asyncio.sleep(POLL_S)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: dict[str, Any], audio: bytes
) -> Message:
    await _write(writer, question, audio)
    answer, heard = await _read(reader)
    if fault := answer.get("fault"):
        raise ModelUnavailable(f"Local speech failed: {fault}.")
    return answer, heard


async def _write(writer: asyncio.StreamWriter, message: dict[str, Any], audio: bytes) -> None:
    header = json.dumps(message | {"bytes": len(audio)}).encode()
    writer.write(LENGTH.pack(len(header)) + header)
    writer.write(audio)
    await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Message:
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if length > MOST_JSON:
        raise ConnectionError("not our protocol")
    message = json.loads(await reader.readexactly(length))
    if not 0 <= message["bytes"] <= MOST_AUDIO:
        raise ConnectionError("not our protocol")
    return message, await reader.readexactly(message["bytes"])


async def serve(socket: Path, answer: Answer) -> None:
    """Answer questions on `socket` until a signal ends the process.

    `answer` is cancelled when the one who asked hangs up. An exception of it becomes an answer that names its
    class only: its text may quote the caller.
    """

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question, audio = await _read(reader)
            await _write(writer, *await _unless_gone(reader, answer(question, audio)))
        except (OSError, asyncio.IncompleteReadError):
            log.debug("speech.asker_gone")
        except Exception as exc:
            log.error("speech.failed", extra={"error": type(exc).__name__})
            await _write(writer, {"fault": type(exc).__name__}, b"")
        finally:
            writer.close()

    server = await asyncio.start_unix_server(attend, socket)
    async with server:
        await server.serve_forever()


async def _unless_gone(reader: asyncio.StreamReader, work: Awaitable[Message]) -> Message:
    """The work's result, unless the one who asked for it hangs up before.

    Raises:
        ConnectionError: nobody waits any more; the work was cancelled.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ConnectionError("the one who asked hung up")
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
