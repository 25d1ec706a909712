"""The model behind the gateway: asked as the client asked, and its answer passed on as it comes."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from http import HTTPStatus
from typing import Any

import httpx
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.responses import Response

from echoic.api.problems import Problem
from echoic.memory.chat.reply import EVENTS, ReplyReader
from echoic.memory.config import OPENAI_MODEL, QUOTE, MemorySettings

log = logging.getLogger("echoic.api")
OPENAI = "https://api.openai.com/v1"
CONNECT_S, SILENCE_S = 10.0, 600.0
"""OpenAI's own client waits as long for the next byte: a model may think for minutes."""
AT_ONCE = 1_000
PASSED_ON = ("content-type", "x-request-id", "retry-after", "retry-after-ms")
"""Headers of the model's answer that the client sees, and every one about its limits."""
LIMITS = ("x-ratelimit-", "openai-")
BROKEN = {"message": "The model's answer broke off.", "type": "server_error", "code": "stream_broken"}
Over = Callable[[str, bool], None]
"""Told once, when an answer is over: what was said, and whether that is all."""
Gone = Callable[[], Awaitable[bool]]


async def _stays() -> bool:
    return False


class Model:
    """Asks the model; it is opened with the app, and closed with it."""

    def __init__(self, settings: MemorySettings) -> None:
        self._settings = settings
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=100)
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S), limits=limits)
        self._closing: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Close its connections."""
        if self._closing:
            await asyncio.wait(list(self._closing), timeout=1.0)
        await self._client.aclose()

    def body(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The request as the model is sent it: with the model of the settings where the client names none.

        Raises:
            Problem: 409; the settings name no model.
        """
        settings = self._settings
        self._check_set()
        model = asked.get("model") or settings.llm_model or (OPENAI_MODEL if not settings.llm_url else "")
        if not model:
            raise Problem(409, "no-model", "ECHOIC_LLM_MODEL is not set: name a `model`.")
        return {**asked, "model": model}

    async def names(self) -> Response:
        """The models that may be named, as OpenAI lists them: the server's own answer, or the model of the
        settings where it has none.

        Raises:
            Problem: 409 without a model, 502 or 504 where its server cannot be reached or does not answer.
        """
        self._check_set()
        with _reached():
            listed = await self._client.send(self._request("GET", "/models"))
        if listed.status_code != HTTPStatus.NOT_FOUND or not self._settings.llm_model:
            return Response(listed.content, listed.status_code, _headers(listed))
        one = {"id": self._settings.llm_model, "object": "model", "created": 0, "owned_by": "echoic"}
        return JSONResponse({"object": "list", "data": [one]})

    async def answer(self, body: Mapping[str, Any], over: Over, gone: Gone = _stays) -> Response:
        """The model's answer, also a refusal, as it gives it.

        Args:
            gone: whether nobody waits for it any more: then none of it was heard.

        Raises:
            Problem: 502 or 504; it cannot be reached, or does not answer.
        """
        try:
            asked = self._request("POST", "/chat/completions", body)
            with _reached():
                answered = await self._client.send(asked, stream=True)
                kind = answered.headers.get("content-type", "")
                if kind.startswith(EVENTS) and answered.is_success:
                    passed = self._passed(answered, over, gone)
                    headers = _headers(answered) | {"X-Accel-Buffering": "no"}
                    return StreamingResponse(passed, answered.status_code, headers)
                content = await answered.aread()
        except BaseException:  # the model is not there, or the client has gone
            over("", False)
            raise
        reader = ReplyReader(kind)
        if answered.is_success and not await gone():
            reader.feed(content)
        over(reader.text, reader.is_complete)
        return Response(content, answered.status_code, _headers(answered))

    async def complete(self, messages: list[dict[str, str]]) -> str:
        """What the model of the settings says to these messages.

        Raises:
            Problem: 409 without a model, 502 or 504 where it does not answer.
        """
        said: list[tuple[str, bool]] = []
        body = self.body({"messages": messages, "temperature": 0})
        try:
            async with asyncio.timeout(self._settings.model_timeout_s):
                answered = await self.answer(body, lambda text, whole: said.append((text, whole)))
        except TimeoutError:
            raise Problem(504, "model-silent", "The model did not answer in time.") from None
        text, whole = said[-1]
        if answered.status_code >= HTTPStatus.BAD_REQUEST or not whole:
            detail = f"The model gave no whole answer (HTTP {answered.status_code})."
            raise Problem(502, "model-refused", detail)
        return text

    def _check_set(self) -> None:
        settings = self._settings
        if settings.llm_model == QUOTE or not (settings.llm_url or settings.llm_api_key.get_secret_value()):
            detail = "No language model is set where the API runs: OPENAI_API_KEY, or ECHOIC_LLM_URL."
            raise Problem(409, "no-model", detail)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Request:
        settings = self._settings
        key = settings.llm_api_key.get_secret_value()
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        url = (settings.llm_url or OPENAI).rstrip("/") + path
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="replace")
        return self._client.build_request(method, url, content=content, headers=headers)

    async def _passed(self, answered: httpx.Response, over: Over, gone: Gone) -> AsyncGenerator[bytes]:
        """Each piece as it comes; what breaks off ends with an error that OpenAI's clients raise."""
        reader = ReplyReader(EVENTS)
        try:
            if await gone():
                return
            async for piece in answered.aiter_bytes():
                reader.feed(piece)
                yield piece
        except httpx.HTTPError as exc:
            log.warning("gateway.broken", extra={"error": type(exc).__name__})
            yield f"\n\ndata: {json.dumps({'error': BROKEN})}\n\n".encode()
        finally:
            over(reader.text, reader.is_complete)
            self._hold(answered.aclose())  # whoever has gone is not waited for here

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="gateway.close", context=Context())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


@contextmanager
def _reached() -> Iterator[None]:
    """A model that is not there, or says nothing, as a problem."""
    try:
        yield
    except httpx.TimeoutException:
        raise Problem(504, "model-silent", "The model did not answer in time.") from None
    except httpx.HTTPError as exc:
        log.warning("gateway.unreachable", extra={"error": type(exc).__name__})
        raise Problem(502, "model-unreachable", "The model cannot be reached, or broke off.") from None


def _headers(answered: httpx.Response) -> dict[str, str]:
    return {
        name: value
        for name, value in answered.headers.items()
        if name in PASSED_ON or name.startswith(LIMITS)
    }
