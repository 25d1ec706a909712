"""What both clients have in common: the address and the key, and what the written routes ask of a client."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from echoic.client.errors import Unreachable
from echoic.client.events import Event
from echoic.client.request import Ask

ADDRESS = "http://127.0.0.1:8090"
TIMEOUT_S = 30.0
"""Longest wait for a part of an answer; an export reads every store before its first byte."""


class Routes(ABC):
    """What `written` asks of the client that waits."""

    @abstractmethod
    def _ask(self, ask: Ask, hint: Any) -> Any: ...

    @abstractmethod
    def _pages(self, ask: Ask, hint: Any) -> Iterator[Any]: ...

    @abstractmethod
    def _bytes(self, ask: Ask) -> Iterator[bytes]: ...

    @abstractmethod
    def _follow(self, ask: Ask, last_event_id: str | None) -> Iterator[Event]: ...


class AsyncRoutes(ABC):
    """What `written` asks of the client for asyncio."""

    @abstractmethod
    async def _ask(self, ask: Ask, hint: Any) -> Any: ...

    @abstractmethod
    def _pages(self, ask: Ask, hint: Any) -> AsyncIterator[Any]: ...

    @abstractmethod
    def _bytes(self, ask: Ask) -> AsyncIterator[bytes]: ...

    @abstractmethod
    def _follow(self, ask: Ask, last_event_id: str | None) -> AsyncIterator[Event]: ...


def options(base_url: str, key: str | None, timeout_s: float) -> dict[str, Any]:
    """How httpx is opened."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {"base_url": base_url, "headers": headers, "timeout": timeout_s}


@contextmanager
def reached() -> Iterator[None]:
    """Raises Unreachable for whatever httpx calls a failed connection."""
    try:
        yield
    except httpx.TransportError as exc:
        raise Unreachable(f"The memory API cannot be reached ({type(exc).__name__}).") from exc
