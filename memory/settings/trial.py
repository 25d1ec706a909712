"""One cheap question to a model or a graph server, and what came of it in words."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import httpx
import openai

from echoic.memory.config import OPENAI_MODEL, QUOTE, MemorySettings
from echoic.memory.embedding.embedder import open_embedder
from echoic.memory.errors import MemoryFault, ModelUnavailable
from echoic.memory.graph.backend import open_backend
from echoic.memory.settings.overrides import shown

T = TypeVar("T")
Part = Literal["learning", "embedding", "graph"]
ANSWER_S = 20.0
"""A model of this machine that has just been loaded needs that long for its first word."""
QUESTION = "Answer with the one word yes."
REFUSALS = {
    400: "refused the question (400): is the name of the model right?",
    401: "refused the key (401): is it the right one?",
    403: "refused the key (403): may it use this model?",
    404: "knows no such model or address (404).",
    429: "is over its quota or too busy (429): try again later.",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it."""

    ok: bool
    sentence: str
    elapsed_ms: float


async def try_part(settings: MemorySettings, part: Part) -> Trial:
    """Ask, and say what happened; never raises for what the other side does, and never tells its own text."""
    began = time.perf_counter()
    try:
        ok, sentence = True, await _PARTS[part](settings)
    except MemoryFault as exc:
        ok, sentence = False, str(exc)
    return Trial(ok, sentence, round((time.perf_counter() - began) * 1000, 1))


async def _learning(settings: MemorySettings) -> str:
    if settings.extractor == "off":
        return "Learning is off: no model is asked for facts."
    if settings.llm_model == QUOTE or not (settings.llm_url or settings.llm_api_key.get_secret_value()):
        raise ModelUnavailable("No language model is set: name an address, or a key for OpenAI.")
    model = settings.llm_model or OPENAI_MODEL
    if settings.llm_url and not settings.llm_model:
        model = await _asked(settings, _first_model)
    await _asked(settings, lambda client: _say_yes(client, model))
    return f"{model} at {shown(settings.llm_url) or 'OpenAI'} answered."


async def _embedding(settings: MemorySettings) -> str:
    embedder = open_embedder(settings)
    try:
        await embedder.embed("hello")
    finally:
        await embedder.close()
    where = shown(settings.embedding_url) or "this machine"
    return f"{embedder.name} at {where} answered with {embedder.dimensions} numbers for a text."


async def _graph(settings: MemorySettings) -> str:
    backend = open_backend(settings)
    if backend is None:
        return "The graph is off: nothing is asked."
    try:
        return f"{await backend.ping()} answered."
    finally:
        await backend.close()


_PARTS: dict[Part, Callable[[MemorySettings], Awaitable[str]]] = {
    "learning": _learning,
    "embedding": _embedding,
    "graph": _graph,
}


async def _first_model(client: openai.AsyncOpenAI) -> str:
    async for model in client.models.list():
        return model.id
    raise ModelUnavailable("The address lists no models: name one.")


async def _say_yes(client: openai.AsyncOpenAI, model: str) -> None:
    question: list[Any] = [{"role": "user", "content": QUESTION}]
    answer = await client.chat.completions.create(model=model, messages=question)
    if not getattr(answer, "choices", None):
        raise ModelUnavailable("The address answers something that is no completion.")


async def _asked(settings: MemorySettings, question: Callable[[openai.AsyncOpenAI], Awaitable[T]]) -> T:
    """The answer; what the provider's client raises becomes a sentence without the provider's own text."""
    where = shown(settings.llm_url) or "OpenAI"
    key = settings.llm_api_key.get_secret_value() or "none"
    client = openai.AsyncOpenAI(
        base_url=settings.llm_url or None, api_key=key, timeout=ANSWER_S, max_retries=0
    )
    try:
        return await question(client)
    except openai.APIStatusError as exc:
        says = REFUSALS.get(exc.status_code, f"failed ({exc.status_code}).")
        raise ModelUnavailable(f"{where} {says}") from exc
    except openai.APITimeoutError as exc:
        raise ModelUnavailable(f"{where} did not answer within {ANSWER_S:g} s.") from exc
    except (openai.APIConnectionError, httpx.InvalidURL) as exc:
        raise ModelUnavailable(
            f"{where} cannot be reached: is it running, and is its address right?"
        ) from exc
    except (openai.OpenAIError, ValueError, TypeError, AttributeError) as exc:
        raise ModelUnavailable(f"{where} answers something that is no model ({type(exc).__name__}).") from exc
    finally:
        await client.close()
