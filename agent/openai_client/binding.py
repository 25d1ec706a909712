"""Who is answered: what a client knows of its memory, and how a call's `user_id` travels to its request."""

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from echoic.agent.openai_client.background import Background
from echoic.agent.openai_client.exchange import Exchange
from echoic.memory.chat.conversations import Said, Whom
from echoic.memory.chat.messages import FIELDS, asked_in
from echoic.memory.errors import ConfigInvalid
from echoic.memory.identity.ids import check_user_id

log = logging.getLogger("echoic.openai")
MARK = "x-echoic-user"
"""Carries `user_id` from a method to `request`, which takes it off: it never leaves the process."""
METHODS = ("create", "parse", "stream")


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


def take_user_id(resource: Any) -> Any:
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
