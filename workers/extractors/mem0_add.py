"""Mem0's pipeline as an extractor: its `add` finds the texts, one call of ours adds what Mem0 does not keep,
then the same guards."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import openai

from echoic.memory.config import MemorySettings
from echoic.memory.errors import MemoryFault, ModelAnswerInvalid
from echoic.memory.types import Fact, Turn
from echoic.workers.chat_model import ChatModel, Message
from echoic.workers.extractors.base import Extraction
from echoic.workers.extractors.lines import Line, lines_of
from echoic.workers.extractors.mem0_parts import HandedOver, Row, config_of, load_mem0
from echoic.workers.extractors.one_call import learned_from, read_answer
from echoic.workers.extractors.prompt import TOPICS, render, said_text

INSTRUCTIONS = (
    "Extract only what the user says about themselves and the people they know. Assistant messages are "
    "context: never extract what only "
    "the assistant said. Nothing from questions, requests or hypotheticals. Each memory is one short "
    "sentence with one fact."
)
SYSTEM = """\
You file notes about a caller. You get lines of a call, facts that are known, and new notes by number. Answer in JSON.

- "facts": for each new note its number, the line it comes from, a "topic" and "sub_topic", and "weight": 1 (trivial) to 9 (must never \
be forgotten).
- "ended": numbers of the known facts that are no longer true after what the caller says."""
_EXAMPLE = (
    "Call on Tuesday 9 June 2026:\n1 caller: We moved to Cardiff on 2 May 2026.\n2 caller: Max won't come, "
    "he hates hotels.\n\n"
    "Known facts:\n1. Has a son called Max\n2. Lives in Bristol\n\nNew notes:\n1. Moved to Cardiff on 2 May "
    "2026\n2. Max hates hotels",
    {
        "facts": [
            {"note": 1, "line": 1, "topic": "home", "sub_topic": "city", "weight": 8},
            {"note": 2, "line": 2, "topic": "family", "sub_topic": "son", "weight": 3},
        ],
        "ended": [2],
    },
)


class Mem0Extractor:
    """Two calls: Mem0's prompt of 8,000 tokens, and a short one for topics, weights, sources and what ended."""

    name = "mem0"

    def __init__(self, settings: MemorySettings, model: ChatModel) -> None:
        self._settings, self._model, self._zone = settings, model, ZoneInfo(settings.timezone)
        # Mem0 blocks: a thread of its own, so that nothing else waits behind it
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mem0")
        self._client = openai.OpenAI(
            base_url=settings.llm_url or None,
            api_key=settings.llm_api_key.get_secret_value() or "none",
            timeout=settings.model_timeout_s,
            max_retries=0,
        )

    async def extract(self, turns: Sequence[Turn], known: Sequence[Fact]) -> Extraction:
        """See `Extractor`. Turns that state nothing cost no call."""
        lines = lines_of(turns, self._zone)
        if not lines:
            return Extraction()
        name = await self._model.served_name()
        texts = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._add, name, list(turns), list(known)
        )
        answer = await self._filed(texts, lines, known)
        facts, closings = learned_from(*read_answer(answer, len(lines)), lines, known)
        return Extraction(tuple(facts), tuple(closings))

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._client.close()
        await self._model.close()

    def _add(self, model: str, turns: list[Turn], known: list[Fact]) -> list[str]:
        """Run Mem0's `add` on an instance of its own, so that no message of one person reaches another's
        prompt."""
        batch = uuid4().hex
        mem0 = load_mem0().from_config(config_of(self._settings, model, batch))
        mem0.llm.client = self._client
        store: HandedOver = mem0.vector_store
        store.known = [Row(str(number), _payload(fact.text)) for number, fact in enumerate(known)]
        messages = [{"role": turn.role, "content": said_text(turn, self._zone)} for turn in turns]
        try:
            mem0.add(messages, user_id=batch, prompt=INSTRUCTIONS)
        except Exception as exc:
            raise _ours(exc) from exc
        finally:
            mem0.close()
        return [str(payload["data"]) for payload in store.inserted]

    async def _filed(
        self, texts: Sequence[str], lines: Sequence[Line], known: Sequence[Fact]
    ) -> dict[str, Any]:
        """Our call: what Mem0 does not keep of each text. Without new texts it still says what ended."""
        if not texts and not known:
            return {"facts": [], "ended": []}
        notes = "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1)) or "none"
        question = f"{render(lines, known, self._zone)}\n\nNew notes:\n{notes}"
        asked: list[Message] = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": _EXAMPLE[0]},
            {"role": "assistant", "content": json.dumps(_EXAMPLE[1], separators=(",", ":"))},
            {"role": "user", "content": question},
        ]
        answer = await self._model.ask(asked, "notes", _schema(len(texts), len(lines), len(known)))
        filed = {
            fact["note"]: fact
            for fact in answer.get("facts") or ()
            if isinstance(fact, dict) and isinstance(fact.get("note"), int)
        }
        return answer | {
            "facts": [filed.get(number, {}) | {"text": text} for number, text in enumerate(texts, 1)]
        }


def _ours(exc: BaseException) -> MemoryFault:
    """The fault that our model raised inside Mem0, or, if it was Mem0 itself, one that counts as a failure."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, MemoryFault):
            return cause
        cause = cause.__cause__
    return ModelAnswerInvalid(f"Mem0 failed ({type(exc).__name__}).")


def _payload(text: str) -> dict[str, Any]:
    return {"data": text, "hash": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}


def _schema(notes: int, lines: int, known: int) -> dict[str, Any]:
    fact = {
        "note": {"type": "integer", "enum": list(range(1, notes + 1)) or [0]},
        "line": {"type": "integer", "enum": list(range(1, lines + 1))},
        "topic": {"type": "string", "enum": list(TOPICS)},
        "sub_topic": {"type": "string", "maxLength": 24},
        "weight": {"type": "integer", "enum": list(range(1, 10))},
    }
    ended = {"type": "array", "items": {"type": "integer", "enum": list(range(1, known + 1)) or [0]}}
    return _object({"facts": {"type": "array", "items": _object(fact), "maxItems": notes}, "ended": ended})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
