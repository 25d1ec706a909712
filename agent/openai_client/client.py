"""`echoic.openai_memory`: a copy of an OpenAI client whose requests are remembered.

The copy is of a class made from the client's own, so it is one of its kind. Whatever the client can do
(stream, parse, raw responses, Azure's addresses) ends in `request` and `_process_response`: memory stands
there, once.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

from echoic.agent.openai_client.background import Background, Work, background_around, background_of
from echoic.agent.openai_client.binding import DEFAULT, Binding, take_user_id
from echoic.agent.openai_client.exchange import Exchange
from echoic.memory.chat.conversations import Conversations
from echoic.memory.config import MemorySettings
from echoic.memory.identity.ids import check_agent_id, check_user_id
from echoic.memory.service import Memory

log = logging.getLogger("echoic.openai")
C = TypeVar("C")
T = TypeVar("T")
OPENING_S = 10.0
"""Longest that `get_memory_prompt` and `flush` wait for a memory that is only being opened."""
_exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class _Remembering:
    """Stands before the class of the client."""

    _echoic: Binding

    @functools.cached_property
    def chat(self) -> Any:
        chat = super().chat  # type: ignore[misc]
        take_user_id(chat.completions)
        return chat

    @functools.cached_property
    def responses(self) -> Any:
        return take_user_id(super().responses)  # type: ignore[misc]

    @functools.cached_property
    def beta(self) -> Any:
        beta = super().beta  # type: ignore[misc]
        take_user_id(beta.chat.completions)
        take_user_id(getattr(beta, "responses", None))  # there since 3.0
        return beta

    def copy(self, **options: Any) -> Any:
        made = super().copy(**options)  # type: ignore[misc]
        made._echoic = self._echoic
        return made

    with_options = copy


class _Sync(_Remembering):
    def request(self, cast_to: Any, options: Any, **how: Any) -> Any:
        options, exchange = self._echoic.begun(options)
        if exchange is None:
            return super().request(cast_to, options, **how)  # type: ignore[misc]
        options = exchange.with_block(options, exchange.recalled())
        with _answering(exchange):
            return super().request(cast_to, options, **how)  # type: ignore[misc]

    def _process_response(self, **about: Any) -> Any:
        _follow(about.get("response"), is_async=False)
        return super()._process_response(**about)  # type: ignore[misc]

    def get_memory_prompt(self, text: str = "", user_id: Any = DEFAULT) -> str:
        """The block that a reply to these words would be given; without words, what is known of the person.
        Empty where nothing is, or memory does not answer.

        Raises:
            ConfigInvalid: the user id cannot be one.
        """
        whom = self._echoic.whom(user_id)
        if whom is None:
            return ""
        return self._waited(lambda conversations: conversations.prompt(whom, text), OPENING_S) or ""

    def flush(self, timeout_s: float = OPENING_S) -> bool:
        """Wait until everything said so far is durable, and have it learned now; False: not in this time."""
        return self._waited(_settled, timeout_s) or False

    def _waited(self, work: Work[T], timeout_s: float) -> T | None:
        background = self._echoic.background()
        if background.is_here:
            return None
        done = background.submit(work)
        with suppress(Exception):
            return done.result(timeout_s)
        return None


class _Async(_Remembering):
    async def request(self, cast_to: Any, options: Any, **how: Any) -> Any:
        options, exchange = self._echoic.begun(options)
        if exchange is None:
            return await super().request(cast_to, options, **how)  # type: ignore[misc]
        options = exchange.with_block(options, await exchange.recalled_async())
        with _answering(exchange):
            return await super().request(cast_to, options, **how)  # type: ignore[misc]

    async def _process_response(self, **about: Any) -> Any:
        _follow(about.get("response"), is_async=True)
        return await super()._process_response(**about)  # type: ignore[misc]

    async def get_memory_prompt(self, text: str = "", user_id: Any = DEFAULT) -> str:
        """The block that a reply to these words would be given; without words, what is known of the person.
        Empty where nothing is, or memory does not answer.

        Raises:
            ConfigInvalid: the user id cannot be one.
        """
        whom = self._echoic.whom(user_id)
        if whom is None:
            return ""
        return await self._waited(lambda conversations: conversations.prompt(whom, text), OPENING_S) or ""

    async def flush(self, timeout_s: float = OPENING_S) -> bool:
        """Wait until everything said so far is durable, and have it learned now; False: not in this time."""
        return await self._waited(_settled, timeout_s) or False

    async def _waited(self, work: Work[T], timeout_s: float) -> T | None:
        done = self._echoic.background().submit(work)
        with suppress(Exception):
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(done)
        return None


async def _settled(conversations: Conversations) -> bool:
    await conversations.settle()
    return True


def openai_memory(
    client: C,
    user_id: str | None = None,
    *,
    scope: str | None = None,
    settings: MemorySettings | None = None,
    memory: Memory | None = None,
) -> C:
    """A client like this one that remembers who it answers: recalled before each request, stored after.

    ```python
    client = echoic.openai_memory(OpenAI(), user_id="maya")
    client.chat.completions.create(model="gpt-4.1-mini", messages=[{"role": "user", "content": "Hi!"}])
    ```

    `create`, `parse` and `stream` of chat completions and responses take a `user_id` of their own; None there
    is nobody. A request without one is sent as it would be without Echoic. The client has two methods more:
    `get_memory_prompt(text="", user_id=…)` and `flush()`, to be awaited where the client is.

    Args:
        client: an `OpenAI`, `AsyncOpenAI`, `AzureOpenAI` or `AsyncAzureOpenAI`; it stays as it is.
        user_id: who is answered where a call does not say it.
        scope: whose memory this is: `ECHOIC_AGENT_ID` by default.
        settings: instead of those of the environment.
        memory: an open one, instead of the one that the settings name.

    Raises:
        ConfigInvalid: ECHOIC_DATABASE_URL is not set, or a setting or an id is wrong. Stores that are away
            are no reason: requests then go out without memory.
        TypeError: this is no client of the `openai` package.
    """
    kind = _kind_of(client)
    if user_id is not None:
        check_user_id(user_id)
    if scope is not None:
        check_agent_id(scope)
    made: Any = object.__new__(_remembering(kind))
    made.__dict__.update({name: value for name, value in vars(client).items() if not _is_cached(kind, name)})
    made._echoic = Binding(_background(settings, memory), user_id, scope or "")
    return made


def _background(settings: MemorySettings | None, memory: Memory | None) -> Callable[[], Background]:
    """Where memory is, asked anew with each request: a process may have been forked."""
    if memory is None:
        background_of(settings)  # opens it: the first request need not wait for that
        return functools.partial(background_of, settings)
    around = background_around(memory)
    return lambda: around


def _is_cached(kind: type, name: str) -> bool:
    """Parts of a client are made once, and belong to the one that made them."""
    return isinstance(getattr(kind, name, None), functools.cached_property)


def _kind_of(client: Any) -> type:
    from openai import AsyncOpenAI, OpenAI  # half a second, which others need not wait

    kind: type = getattr(client, "_echoic_kind", type(client))  # one that remembers is bound anew
    if not issubclass(kind, (OpenAI, AsyncOpenAI)):
        raise TypeError(f"openai_memory takes a client of the `openai` package, not {kind.__name__}.")
    return kind


@functools.cache
def _remembering(kind: type) -> type:
    from openai import OpenAI

    before = _Sync if issubclass(kind, OpenAI) else _Async
    about = {"__module__": kind.__module__, "__doc__": kind.__doc__, "_echoic_kind": kind}
    return type(kind.__name__, (before, kind), about)


@contextmanager
def _answering(exchange: Exchange) -> Iterator[None]:
    before = _exchange.set(exchange)
    try:
        yield
    except BaseException:
        exchange.finish()  # it was said, whatever became of the answer
        raise
    finally:
        _exchange.reset(before)


def _follow(response: Any, *, is_async: bool) -> None:
    exchange = _exchange.get()
    if exchange is None or response is None:
        return
    try:
        exchange.follow(response, is_async=is_async)
    except Exception as exc:
        log.error("openai.reply_not_heard", extra={"error": type(exc).__name__})
        exchange.finish()
