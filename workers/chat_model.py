"""One question to an OpenAI-compatible chat model, answered in JSON or refused with one of our errors."""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import openai

from echoic.memory.config import OPENAI_MODEL, MemorySettings
from echoic.memory.errors import ModelAnswerInvalid, ModelUnavailable

log = logging.getLogger("echoic.model")

ANSWER_TOKENS = 1_500
Message = dict[str, str]
FORMATS = ("json_schema", "json_object", "none")
"""How JSON is asked for, strictest first; an endpoint that refuses one is asked with the next from then on.
"""


class AnswerTooLong(ModelAnswerInvalid):
    """The model did not finish its answer, or the question did not fit; fewer turns at once may help."""


@dataclass(slots=True)
class Cost:
    """What has been asked of a model."""

    calls: int = 0
    tokens: int = 0
    """Of questions and answers together, as the address counts them; 0 where it does not."""


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
        self._format = 0

    async def ask(
        self, messages: Sequence[Message], name: str, schema: dict[str, Any], cost: Cost | None = None
    ) -> dict[str, Any]:
        """The model's answer as a JSON object that the caller still has to check. `cost`: is added to.

        Raises:
            ModelUnavailable: down, slow, over quota, or refusing the key: costs no attempt.
            ModelAnswerInvalid: prose, or not an object. AnswerTooLong: cut off.
        """
        model = await self.served_name()
        while True:
            try:
                answer = await self._client.chat.completions.create(
                    model=model,
                    messages=list(messages),  # type: ignore[arg-type]
                    **self._options,
                    **self._response_format(name, schema),
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
                self._give_way(exc)
                continue
            except openai.OpenAIError as exc:
                raise unavailable(exc) from exc
            if cost is not None:
                _count(answer, cost)
            return _object(answer)

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

    def _response_format(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        if FORMATS[self._format] == "json_schema":
            return {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": name, "strict": True, "schema": schema},
                }
            }
        return {"response_format": {"type": "json_object"}} if FORMATS[self._format] == "json_object" else {}

    def _give_way(self, exc: openai.APIStatusError) -> None:
        """The endpoint refused the request: ask the next time without what it names.

        Raises when nothing is left to give up.
        """
        said = str(exc).lower()
        if "context" in said or "too long" in said or "exceed" in said:
            raise AnswerTooLong("The turns do not fit into the model's context.") from exc
        if "max_tokens" in said and "max_tokens" in self._options:
            self._options["max_completion_tokens"] = self._options.pop("max_tokens")
        elif "temperature" in said and "temperature" in self._options:
            del self._options["temperature"]
        elif self._format + 1 < len(FORMATS):
            self._format += 1
            log.info("model.format", extra={"format": FORMATS[self._format]})
        else:
            raise ModelAnswerInvalid(
                f"The language model refuses the request (HTTP {exc.status_code})."
            ) from exc


def unavailable(exc: openai.OpenAIError) -> ModelUnavailable:
    """Our error for a client's, without what the provider says: it may quote the request."""
    status = f", HTTP {exc.status_code}" if isinstance(exc, openai.APIStatusError) else ""
    return ModelUnavailable(
        f"The language model does not answer ({type(exc).__name__}{status}): check ECHOIC_LLM_URL, its key "
        "and quota."
    )


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object in a model's text, also when it thinks aloud first or wraps it in a code fence.

    Raises:
        ModelAnswerInvalid: there is none.
    """
    text = re.sub(r"(?s)<think>.*?</think>", "", text)
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder(strict=False).raw_decode(text[start:]) if start >= 0 else (None, 0)
    except ValueError as exc:
        raise ModelAnswerInvalid("The language model answered broken JSON.") from exc
    except RecursionError as exc:
        raise ModelAnswerInvalid("The language model answered JSON without end.") from exc
    if not isinstance(found, dict):
        raise ModelAnswerInvalid("The language model answered prose instead of JSON.")
    return found


def _count(answer: Any, cost: Cost) -> None:
    tokens = getattr(getattr(answer, "usage", None), "total_tokens", None)
    cost.calls += 1
    cost.tokens += tokens if isinstance(tokens, int) else 0


def _object(answer: Any) -> dict[str, Any]:
    try:
        choice = answer.choices[0]
        text, cut = choice.message.content or "", choice.finish_reason == "length"
    except (AttributeError, LookupError, TypeError) as exc:
        raise ModelAnswerInvalid("The language model answered without a choice.") from exc
    try:
        return parse_object(text)
    except ModelAnswerInvalid as exc:
        if cut:
            raise AnswerTooLong("The language model's answer was cut off.") from exc
        raise
