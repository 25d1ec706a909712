"""The client that waits for each answer."""

import time
from collections.abc import Iterator
from typing import Any, Self

import httpx

from echoic.client.connection import ADDRESS, TIMEOUT_S, options, reached
from echoic.client.events import SILENCE_S, Event, Following
from echoic.client.request import Ask, page_of, read, refusal
from echoic.client.written.facts import Facts
from echoic.client.written.people import People
from echoic.client.written.profile import Profile
from echoic.client.written.setup import Setup
from echoic.client.written.system import System


class MemoryClient(People, Facts, Profile, Setup, System):
    """The memory API over one pool of connections; close it, or use it in a `with`."""

    def __init__(
        self,
        base_url: str = ADDRESS,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            key: as `echoic keys add` printed it; None: for `echoic api --dev`.
            transport: another way to the server than httpx's own, such as a test's.
        """
        self._http = httpx.Client(**options(base_url, key, timeout_s), transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def _ask(self, ask: Ask, hint: Any) -> Any:
        with reached():
            answer = self._http.request(**ask.sent())
        return read(ask, answer, hint)

    def _pages(self, ask: Ask, hint: Any) -> Iterator[Any]:
        cursor = None
        while True:
            page = self._ask(page_of(ask, cursor), hint)
            yield from page.items
            if (cursor := page.next) is None:
                return

    def _bytes(self, ask: Ask) -> Iterator[bytes]:
        with reached(), self._http.stream(**ask.sent()) as answer:
            if not answer.is_success:
                answer.read()
                raise refusal(answer)
            yield from answer.iter_bytes()

    def _follow(self, ask: Ask, last_event_id: str | None) -> Iterator[Event]:
        following = Following(ask, last_event_id)
        while True:
            fault = None
            try:
                yield from self._events(following)
            except Exception as exc:
                fault = exc
            time.sleep(following.pause_s(fault))

    def _events(self, following: Following) -> Iterator[Event]:
        take = following.reader()
        sent = following.ask().sent() | {"timeout": SILENCE_S}
        with reached(), self._http.stream(**sent) as answer:
            if not answer.is_success:
                answer.read()
                raise refusal(answer)
            for line in answer.iter_lines():
                yield from take(line)
