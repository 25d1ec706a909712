"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import httpx

from echoic.client.connection import ADDRESS, TIMEOUT_S, options, reached
from echoic.client.events import SILENCE_S, Event, Following
from echoic.client.request import Ask, page_of, read, refusal
from echoic.client.written.facts_async import AsyncFacts
from echoic.client.written.people_async import AsyncPeople
from echoic.client.written.profile_async import AsyncProfile
from echoic.client.written.setup_async import AsyncSetup
from echoic.client.written.system_async import AsyncSystem


class AsyncMemoryClient(AsyncPeople, AsyncFacts, AsyncProfile, AsyncSetup, AsyncSystem):
    """The memory API over one pool of connections; close it, or use it in an `async with`.

    An iterator that is left before its end holds a connection until it is closed: `contextlib.aclosing` does.
    """

    def __init__(
        self,
        base_url: str = ADDRESS,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Opens nothing yet; the arguments are those of `MemoryClient`."""
        self._http = httpx.AsyncClient(**options(base_url, key, timeout_s), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def _ask(self, ask: Ask, hint: Any) -> Any:
        with reached():
            answer = await self._http.request(**ask.sent())
        return read(ask, answer, hint)

    async def _pages(self, ask: Ask, hint: Any) -> AsyncIterator[Any]:
        cursor = None
        while True:
            page = await self._ask(page_of(ask, cursor), hint)
            for one in page.items:
                yield one
            if (cursor := page.next) is None:
                return

    async def _bytes(self, ask: Ask) -> AsyncIterator[bytes]:
        with reached():
            async with self._http.stream(**ask.sent()) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise refusal(answer)
                async for piece in answer.aiter_bytes():
                    yield piece

    async def _follow(self, ask: Ask, last_event_id: str | None) -> AsyncIterator[Event]:
        following = Following(ask, last_event_id)
        while True:
            fault = None
            try:
                async for event in self._events(following):
                    yield event
            except Exception as exc:
                fault = exc
            await asyncio.sleep(following.pause_s(fault))

    async def _events(self, following: Following) -> AsyncIterator[Event]:
        take = following.reader()
        sent = following.ask().sent() | {"timeout": SILENCE_S}
        with reached():
            async with self._http.stream(**sent) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise refusal(answer)
                async for line in answer.aiter_lines():
                    for event in take(line):
                        yield event
