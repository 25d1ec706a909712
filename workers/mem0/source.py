"""Operations from Mem0's pipeline: its `add` finds the texts, one call of ours says what each rests on."""

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import openai

from echoic.memory.config import MemorySettings
from echoic.memory.errors import MemoryFault, ModelAnswerInvalid
from echoic.memory.types import Fact
from echoic.workers.evidence.operations import Answer, schema
from echoic.workers.evidence.reading import read_answer
from echoic.workers.learn.conversation import Portion
from echoic.workers.learn.prompt import messages
from echoic.workers.learn.slots import asked_of
from echoic.workers.mem0.parts import HandedOver, Row, config_of, load_mem0
from echoic.workers.model.chat import ChatModel

INSTRUCTIONS = (
    "Extract only what the user says about themselves and the people they know. Assistant messages are "
    "context: never extract what only the assistant said. Nothing from questions, requests or hypotheticals. "
    "Each memory is one short sentence with one fact, in the user's language."
)
_FILE = 'Use exactly these sentences as "fact", each at most once; for "end", leave "fact" empty:\n'


class Mem0Source:
    """Two calls a portion: Mem0's prompt of 8,000 tokens, and ours over the sentences of its answer."""

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

    async def operations(self, portion: Portion, known: Sequence[Fact]) -> Answer:
        """See `Extractor.extract`."""
        name = await self._model.served_name()
        texts = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._add, name, portion, list(known)
        )
        if not texts and not known:
            return Answer(())
        asked = messages(portion, known, self._zone)
        asked[-1]["content"] += "\n\n" + _FILE + "\n".join(f"- {text}" for text in texts)
        turns, profile = len(portion.turns), asked_of(portion.profile)
        wanted = schema(turns, len(known), len(texts) + len(known), texts, asked=profile)
        found = await self._model.ask(asked, "operations", wanted)
        answer = read_answer(found, turns, len(known), profile)
        return replace(answer, operations=tuple(one for one in answer.operations if one.text in {*texts, ""}))

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._client.close()
        await self._model.close()

    def _add(self, model: str, portion: Portion, known: list[Fact]) -> list[str]:
        """Run Mem0's `add` on an instance of its own, so that no message of one person reaches another's
        prompt."""
        batch = uuid4().hex
        mem0 = load_mem0().from_config(config_of(self._settings, model, batch))
        mem0.llm.client = self._client
        store: HandedOver = mem0.vector_store
        store.known = [Row(str(number), _payload(fact.text)) for number, fact in enumerate(known)]
        said = [{"role": turn.role, "content": turn.text} for turn in portion.turns]
        try:
            mem0.add(said, user_id=batch, prompt=INSTRUCTIONS)
        except Exception as exc:
            raise _ours(exc) from exc
        finally:
            mem0.close()
        return list(dict.fromkeys(" ".join(str(payload["data"]).split()) for payload in store.inserted))


def _ours(exc: BaseException) -> MemoryFault:
    """The fault that our model raised inside Mem0; if it was Mem0 itself, one that counts as a failure."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, MemoryFault):
            return cause
        cause = cause.__cause__
    return ModelAnswerInvalid(f"Mem0 failed ({type(exc).__name__}).")


def _payload(text: str) -> dict[str, Any]:
    return {"data": text, "hash": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}
