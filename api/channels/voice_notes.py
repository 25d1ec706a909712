"""Voice notes of WhatsApp: fetched from Meta, heard on this machine, and stored as what was said.

A delivery is answered with 200 only when its notes are stored: until then Meta keeps it, and brings it again.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from http import HTTPStatus

import httpx

from echoic.api.channels.storing import Written, store
from echoic.memory.errors import MemoryFault
from echoic.memory.service import Memory

log = logging.getLogger("echoic.whatsapp")
Hear = Callable[[bytes, str], Awaitable[str]]
"""A recording and its MIME type, as text; empty where nothing is said."""
PATIENCE_S = 8.0
"""How long an answer to Meta waits. A longer note is heard to its end all the same, and counts when the
delivery comes again."""
FETCH_S = 30.0
MOST_BYTES = 16 * 2**20
"""WhatsApp takes no longer recordings."""
AT_ONCE = 2
REMEMBERED = 1_000
"""Notes of which is known that nothing is left to do."""
LATER = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
"""Refusals that may end: the token is wrong, or too much was asked."""


class VoiceNotes:
    """Fetches and hears; opened with the app, and closed with it.

    Args:
        url: of Meta's Graph API.
        token: that may read this business's media.
    """

    def __init__(self, memory: Memory, url: str, token: str, hear: Hear) -> None:
        self._memory, self._url, self._hear = memory, url.rstrip("/"), hear
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(headers=headers, timeout=FETCH_S, follow_redirects=False)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._running: dict[str, asyncio.Task[bool]] = {}
        self._over: OrderedDict[str, None] = OrderedDict()

    async def take(self, notes: Sequence[tuple[Written, str]]) -> bool:
        """Whether nothing is left to do for these messages and ids of their recordings; else they go on, and
        are to be asked for again."""
        tasks = [self._task(said, audio) for said, audio in notes if said.message_id not in self._over]
        if not tasks:
            return True
        done, waiting = await asyncio.wait(tasks, timeout=PATIENCE_S)
        return not waiting and all(task.result() for task in done)

    async def close(self) -> None:
        """Stop; what was not stored is delivered again."""
        for task in self._running.values():
            task.cancel()
        await self._client.aclose()

    def _task(self, said: Written, audio: str) -> "asyncio.Task[bool]":
        name = said.message_id
        if name not in self._running:
            task = self._running[name] = asyncio.create_task(self._store(said, audio), name="voice note")
            task.add_done_callback(lambda _: self._running.pop(name, None))
        return self._running[name]

    async def _store(self, said: Written, audio: str) -> bool:
        try:
            async with self._turns:
                recording = await self._fetched(audio)
                text = await self._hear(*recording) if recording else ""
            if text:
                await store(self._memory, [replace(said, text=text)])
        except (httpx.HTTPError, MemoryFault) as exc:
            log.warning("whatsapp.note_waits", extra={"error": type(exc).__name__})
            return False
        if not text:
            log.warning("whatsapp.note_empty")
        self._over[said.message_id] = None
        while len(self._over) > REMEMBERED:
            self._over.popitem(last=False)
        return True

    async def _fetched(self, audio: str) -> tuple[bytes, str] | None:
        """The recording and its MIME type; None: Meta has none of this id any more.

        Raises:
            httpx.HTTPError: it cannot be had now, or came damaged.
        """
        about = await self._client.get(f"{self._url}/{audio}")
        if about.is_client_error and about.status_code not in LATER:
            return None
        about.raise_for_status()
        told = _object(about)
        content = bytearray()
        async with self._client.stream("GET", str(told.get("url"))) as answer:
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > MOST_BYTES:
                    return None
        if hashlib.sha256(content).hexdigest() != told.get("sha256"):
            raise httpx.DecodingError("another recording", request=answer.request)
        return bytes(content), str(told.get("mime_type"))


def _object(answer: httpx.Response) -> dict[str, object]:
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise httpx.DecodingError("no JSON object", request=answer.request)
    return told
