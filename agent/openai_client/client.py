"""`echoic.openai_memory`: a copy of an OpenAI client whose requests are remembered.

The copy is of a class made from the client's own, so it is one of its kind. Whatever the client can do
(stream, parse, raw responses, Azure's addresses) ends in `request` and `_process_response`: memory stands
there, once.
"""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from echoic.agent.openai_client.background import Background, Work, background_around, background_of
from echoic.agent.openai_client.exchange import Exchange
from echoic.memory.call import check_user_id
from echoic.memory.chat.conversations import Conversations, Said, Whom
from echoic.memory.chat.messages import FIELDS, asked_in
from echoic.memory.config import MemorySettings
from echoic.memory.errors import ConfigInvalid
from echoic.memory.service import Memory
from echoic.memory.text.ids import check_agent_id

log = logging.getLogger("echoic.openai")
C = TypeVar("C")
T = TypeVar("T")
MARK = "x-echoic-user"
"""Carries `user_id` from a method to `request`, which takes it off: it never leaves the process."""
METHODS = ("create", "parse", "stream")
OPENING_S = 10.0
"""Longest that `get_memory_prompt` and `flush` wait for a memory that is only being opened."""
_exchange: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class _Default:
    def __repr__(self) -> str:
        return "the client's"


DEFAULT: Final[Any] = _Default()
"""No `user_id` was given with this call: the client's counts."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a client knows of its memory."""

    background: Callable[[], Background]
    user_id: str | None
    scope: str

    def begun(self, options: Any) -> tuple[Any, Exchange | None]:
        """The options without our mark, and the exchange that begins with them, if one does."""
        user_id = self.user_id
        headers = options.headers
        if isinstance(headers, Mapping) and MARK in headers:
            user_id = headers[MARK]
            kept = {name: value for name, value in headers.items() if name != MARK}
            options = options.model_copy(update={"headers": kept})
        try:
            return options, self._exchange_of(options, user_id)
        except Exception as exc:  # whatever it is, the request goes out
            log.error("openai.not_remembered", extra={"error": type(exc).__name__})
            return options, None

    def whom(self, user_id: Any) -> Whom | None:
        """None: nobody in particular."""
        chosen = self.user_id if user_id is DEFAULT else user_id
        if chosen is None:
            return None
        if not isinstance(chosen, str):
            raise ConfigInvalid(f"A user id is text, not {type(chosen).__name__}.")
        check_user_id(chosen)
        return Whom(chosen, self.scope)

    def _exchange_of(self, options: Any, user_id: Any) -> Exchange | None:
        field = FIELDS.get("/" + options.url.partition("?")[0].strip("/"))
        if field is None or options.method.lower() != "post" or not isinstance(options.json_data, Mapping):
            return None
        whom, asked = self.whom(user_id), asked_in(field, options.json_data)
        return None if whom is None or asked is None else Exchange(self.background(), Said(whom, asked))


class _Remembering:
    """Stands before the class of the client."""

    _echoic: Binding

    @functools.cached_property
    def chat(self) -> Any:
        chat = super().chat  # type: ignore[misc]
        _take_user_id(chat.completions)
        return chat

    @functools.cached_property
    def responses(self) -> Any:
        return _take_user_id(super().responses)  # type: ignore[misc]

    @functools.cached_property
    def beta(self) -> Any:
        beta = super().beta  # type: ignore[misc]
        _take_user_id(beta.chat.completions)
        _take_user_id(getattr(beta, "responses", None))  # there since 3.0
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
        Empty where nothing is, or memory does not answer."""
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
        Empty where nothing is, or memory does not answer."""
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
            return await asyncio.wait_for(asyncio.wrap_future(done), timeout_s)
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


def _take_user_id(resource: Any) -> Any:
    """Its methods, and the raw ones made of them, take a `user_id` from now on."""
    for name in METHODS:
        if (method := getattr(resource, name, None)) is not None:
            setattr(resource, name, _named(method))
    return resource


def _named(method: Callable[..., Any]) -> Callable[..., Any]:
    def marked(user_id: Any, options: dict[str, Any]) -> dict[str, Any]:
        if user_id is DEFAULT:
            return options
        return {**options, "extra_headers": {**(options.get("extra_headers") or {}), MARK: user_id}}

    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def awaited(*args: Any, user_id: Any = DEFAULT, **options: Any) -> Any:
            return await method(*args, **marked(user_id, options))

        return awaited

    @functools.wraps(method)
    def called(*args: Any, user_id: Any = DEFAULT, **options: Any) -> Any:
        return method(*args, **marked(user_id, options))

    return called


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
