"""One question to an OpenAI-compatible chat model, answered in JSON or refused with one of our errors."""

import logging
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice

from echoic.memory.config import OPENAI_MODEL, MemorySettings
from echoic.memory.errors import ModelAnswerInvalid, ModelUnavailable
from echoic.workers.model.answer import parse

log = logging.getLogger("echoic.model")

ANSWER_TOKENS = 2_000
Message = dict[str, str]
FORMATS = ("json_schema", "json_object", "none")
"""How JSON is asked for, strictest first. What an endpoint understands is found once per model."""
_TOO_LONG = ("context", "too long", "exceed", "maximum length")
_NO_CREDIT = ("quota", "billing", "credit", "balance", "payment", "insufficient funds", "suspended")


class AnswerTooLong(ModelAnswerInvalid):
    """The model did not finish its answer, or the question did not fit; fewer turns at once may help."""

    def __init__(self, message: str, partial: Any = None) -> None:
        super().__init__(message)
        self.partial = partial
        """The elements that were whole, if any."""


@dataclass(slots=True)
class Cost:
    """What has been asked of a model."""

    calls: int = 0
    tokens: int = 0
    """Of questions and answers together, as the address counts them; 0 where it does not."""


@dataclass(slots=True)
class Spent:
    """What one piece of work asked of models, as their addresses count it."""

    tokens_in: int = 0
    tokens_out: int = 0


SPENT: ContextVar[Spent | None] = ContextVar("spent", default=None)
"""Where the questions of this task are counted, whichever model they go to."""


class ChatModel:
    """A model at an address. Holds no state of a conversation."""

    def __init__(self, settings: MemorySettings, *, answer_tokens: int = ANSWER_TOKENS) -> None:
        self.url = settings.llm_url.rstrip("/")
        self.name = settings.llm_model
        self._client = openai.AsyncOpenAI(
            base_url=self.url or None,
            api_key=settings.llm_api_key.get_secret_value() or "none",
            timeout=settings.model_timeout_s,
            max_retries=0,
        )
        self._options: dict[str, Any] = {"temperature": 0, "max_tokens": answer_tokens}
        self._format = self._needed = 0
        self.cost = Cost()

    async def ask(self, messages: Sequence[Message], name: str, schema: dict[str, Any]) -> Any:
        """The JSON of the model's answer, an object or a list, which the caller still has to check.

        Raises:
            ModelUnavailable: down, slow, over quota, refusing the key, or answering something that is no
                completion: costs no attempt.
            ModelAnswerInvalid: prose, or a filter kept the answer back. AnswerTooLong: cut off.
        """
        answer = await self._completion(messages, name, schema)
        if isinstance(answer, str):
            answer = _unstreamed(answer)
        _count(answer, self.cost)
        return _json(answer)

    async def call_tool(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> str:
        """The name of the tool that the model calls; empty if it calls none, or the address knows no tools.

        Raises:
            ModelUnavailable: as `ask`.
        """
        try:
            answer = await self._client.chat.completions.create(
                model=await self.served_name(),
                messages=list(messages),  # type: ignore[arg-type]
                tools=list(tools),  # type: ignore[arg-type]
                **self._options,
            )
        except (openai.BadRequestError, openai.UnprocessableEntityError):
            return ""
        except openai.OpenAIError as exc:
            raise unavailable(exc) from exc
        calls = getattr(_choice(answer).message, "tool_calls", None) or []
        return str(calls[0].function.name) if calls else ""

    async def served_name(self) -> str:
        """The model's name; asks the address for its first one when the settings name none.

        Raises:
            ModelUnavailable: the address does not say.
        """
        if not self.name:
            self.name = await self._default_name()
        return self.name

    async def close(self) -> None:
        await self._client.close()

    async def _completion(self, messages: Sequence[Message], name: str, schema: dict[str, Any]) -> Any:
        """One answer, in the strictest format that the endpoint takes for it."""
        model, first = await self.served_name(), None
        options, form = dict(self._options), self._format
        while True:
            try:
                answer = await self._client.chat.completions.create(
                    model=model,
                    messages=list(messages),  # type: ignore[arg-type]
                    **options,
                    **_response_format(form, name, schema),
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
                first = first or exc
                form = _give_way(exc, options, form)
                if form >= len(FORMATS):
                    # whatever this request holds is refused: nothing is given up for the next one
                    raise ModelAnswerInvalid(
                        f"The language model refuses the request (HTTP {first.status_code})."
                    ) from first
                continue
            except openai.OpenAIError as exc:
                raise unavailable(exc) from exc
            except ValueError as exc:  # a body that says it is JSON and is none, or is empty
                raise ModelUnavailable(NO_COMPLETION) from exc
            self._options = options
            self._settle(form)
            return answer

    def _settle(self, form: int) -> None:
        """Keep a laxer format once two requests in a row needed it: one alone may have been filtered."""
        if form != self._format and form == self._needed:
            self._format = form
            log.info("model.format", extra={"format": FORMATS[form]})
        self._needed = form

    async def _default_name(self) -> str:
        if not self.url:
            return OPENAI_MODEL
        try:
            return (await self._client.models.list()).data[0].id
        except openai.OpenAIError as exc:
            raise unavailable(exc) from exc
        except (LookupError, TypeError, AttributeError) as exc:
            raise ModelUnavailable(
                "The language model's address lists no models: name one in ECHOIC_LLM_MODEL."
            ) from exc


NO_COMPLETION = (
    "The language model's address answered something that is no completion: its gateway or proxy may be "
    "down, or ECHOIC_LLM_URL names another service."
)


def unavailable(exc: openai.OpenAIError) -> ModelUnavailable:
    """Our error for a client's, without what the provider says: it may quote the request."""
    status = f", HTTP {exc.status_code}" if isinstance(exc, openai.APIStatusError) else ""
    return ModelUnavailable(
        f"The language model does not answer ({type(exc).__name__}{status}): check ECHOIC_LLM_URL, its key "
        "and quota."
    )


def _response_format(form: int, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    if FORMATS[form] == "json_schema":
        wanted = {"name": name, "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}
    return {"response_format": {"type": "json_object"}} if FORMATS[form] == "json_object" else {}


def _give_way(exc: openai.APIStatusError, options: dict[str, Any], form: int) -> int:
    """Leave out what the endpoint refused; returns the format to try next, past the last one for none.

    Raises:
        ModelUnavailable: it has nothing to do with the request: no credit is left.
        AnswerTooLong: the question does not fit.
    """
    said = str(exc).lower()
    if any(word in said for word in _NO_CREDIT):
        raise unavailable(exc) from exc
    if "max_tokens" in said and "max_tokens" in options:
        options["max_completion_tokens"] = options.pop("max_tokens")
        return form
    if "temperature" in said and "temperature" in options:
        del options["temperature"]
        return form
    if any(word in said for word in _TOO_LONG):
        raise AnswerTooLong("The turns do not fit into the model's context.") from exc
    return form + 1


def _count(answer: Any, cost: Cost) -> None:
    usage, spent = getattr(answer, "usage", None), SPENT.get()
    cost.calls += 1
    cost.tokens += _tokens(usage, "total_tokens")
    if spent is not None:
        spent.tokens_in += _tokens(usage, "prompt_tokens")
        spent.tokens_out += _tokens(usage, "completion_tokens")


def _tokens(usage: Any, name: str) -> int:
    tokens = getattr(usage, name, None)
    return tokens if isinstance(tokens, int) and tokens > 0 else 0


def _unstreamed(text: str) -> Any:
    """The completion in the events of a gateway that streams although it was not asked to; else the text."""
    events = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
    try:
        chunks = [ChatCompletionChunk.model_validate_json(one) for one in events if one != "[DONE]"]
    except ValueError:
        return text
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    if not choices:
        return text
    said = "".join(choice.delta.content or "" for choice in choices)
    message = ChatCompletionMessage(role="assistant", content=said)
    ended: Any = choices[-1].finish_reason or "stop"
    choice = Choice(index=0, message=message, finish_reason=ended)
    first = chunks[0]
    return ChatCompletion(
        id=first.id, created=first.created, model=first.model, object="chat.completion", choices=[choice]
    )


def _choice(answer: Any) -> Any:
    """The first choice of a completion.

    Raises:
        ModelUnavailable: with status 200 came an error, a page, or nothing: a gateway's outage.
    """
    choices = getattr(answer, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise ModelUnavailable(NO_COMPLETION)
    return choices[0]


def _text(message: Any) -> str:
    """What a message says: a text, a list of its parts, or what it would call a tool with."""
    content = message.content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(text for text in texts if isinstance(text, str))
    if isinstance(content, str) and content.strip():
        return content
    functions = [getattr(call, "function", None) for call in getattr(message, "tool_calls", None) or []]
    return next((one.arguments for one in functions if one is not None and one.arguments), "")


def _json(answer: Any) -> Any:
    choice = _choice(answer)
    text = _text(choice.message)
    if not text.strip():
        if choice.finish_reason == "content_filter":
            raise ModelAnswerInvalid("The language model's provider kept the answer back (content filter).")
        if choice.finish_reason == "length":
            raise AnswerTooLong("The language model's answer was cut off before it began.")
        raise ModelAnswerInvalid("The language model answered nothing.")
    try:
        parsed = parse(text)
    except ModelAnswerInvalid as exc:
        is_cut = choice.finish_reason == "length"
        raise (AnswerTooLong("The language model's answer was cut off.") if is_cut else exc) from exc
    if not parsed.complete:  # whatever the address says of how it ended
        raise AnswerTooLong("The language model's answer was cut off.", parsed.value)
    if parsed.repaired and choice.finish_reason == "length":  # its last sentence may be half a one
        raise AnswerTooLong("The language model's answer was cut off.")
    return parsed.value
