"""Which extractor the settings and the configured model allow: one too weak to extract is not asked."""

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from echoic.memory.config import MemorySettings
from echoic.memory.errors import MemoryFault, ModelAnswerInvalid, ModelUnavailable
from echoic.memory.service import Memory
from echoic.memory.store.queries import query
from echoic.memory.text.words import terms
from echoic.memory.types import Turn
from echoic.workers.chat_model import ChatModel
from echoic.workers.extractors.base import Extractor
from echoic.workers.extractors.one_call import OneCallExtractor
from echoic.workers.extractors.prompt import messages

log = logging.getLogger("echoic.choose")

SMALL_TALK = "facts are not extracted; everything said is still kept word for word and found again"
PROBE = (
    ("I've just moved to Cardiff with my daughter Nell.", {"cardiff", "nell"}),
    ("My brother Oscar is allergic to cats.", {"oscar", "cat"}),
)
"""What any model that is of use finds; the words that must come back, as stems."""
_VERDICTS = {"fit", "weak"}


@dataclass(frozen=True, slots=True)
class ExtractorChoice:
    """The extractor, or None and a sentence that says why facts are not learned."""

    extractor: Extractor | None
    sentence: str

    async def close(self) -> None:
        if self.extractor is not None:
            await self.extractor.close()


async def open_extractor(settings: MemorySettings, memory: Memory) -> ExtractorChoice:
    """The extractor that the settings name, if a model is configured and passed the probe (asked once).

    Raises:
        StoreUnavailable: the verdict on the model can be neither read nor kept.
    """
    if settings.extractor == "off":
        return ExtractorChoice(None, f"ECHOIC_EXTRACTOR is off: {SMALL_TALK}.")
    if not settings.llm_url and not settings.llm_api_key.get_secret_value():
        return ExtractorChoice(
            None,
            f"No extractor is configured: {SMALL_TALK}. "
            "Set OPENAI_API_KEY or ECHOIC_LLM_URL, or `echoic model pull`.",
        )
    extractor, model = make_extractor(settings)
    try:
        if await _verdict(memory, settings, model) == "weak":
            await extractor.close()
            return ExtractorChoice(
                None,
                f"The model {model.name} is too weak to learn facts (it failed a test question): "
                f"{SMALL_TALK}.",
            )
    except ModelUnavailable:
        log.warning("choose.not_probed")  # no verdict: learning will meet the same outage, and wait it out
    except MemoryFault:
        await extractor.close()
        raise
    return ExtractorChoice(extractor, "Facts are learned in the background.")


def make_extractor(settings: MemorySettings) -> tuple[Extractor, ChatModel]:
    """The extractor that the settings name and the model it asks, without a probe."""
    model = ChatModel(settings)
    if settings.extractor == "mem0":
        from echoic.workers.extractors.mem0_add import Mem0Extractor  # importing Mem0 takes 2.5 s

        return Mem0Extractor(settings, model), model
    return OneCallExtractor(model, ZoneInfo(settings.timezone)), model


async def is_fit(extractor: Extractor) -> bool:
    """Whether a model finds two plain facts.

    Raises:
        ModelUnavailable: it does not answer, so nothing is known about it.
    """
    now = datetime.now(UTC)
    for number, (said, wanted) in enumerate(PROBE):
        turn = Turn(UUID(int=number), "probe", "probe", "probe", number, "user", said, now)
        try:
            found = await extractor.extract([turn], [])
        except ModelAnswerInvalid:
            return False
        if not wanted <= {term for fact in found.facts for term in terms(fact.text)}:
            return False
    return True


async def _verdict(memory: Memory, settings: MemorySettings, model: ChatModel) -> str:
    key = await _key(model)
    stored = await memory.db.run(
        lambda connection: connection.fetchval("select value from settings where key = $1", key)
    )
    if stored in _VERDICTS:
        return str(stored)
    verdict = "fit" if await is_fit(OneCallExtractor(model, ZoneInfo(settings.timezone))) else "weak"
    await memory.db.run(lambda connection: connection.execute(query("put_setting"), key, verdict))
    return verdict


async def _key(model: ChatModel) -> str:
    """Where the verdict is kept: another model, address or prompt is probed anew."""
    asked = json.dumps([model.url, await model.served_name(), messages([], [], ZoneInfo("UTC"))])
    return f"extraction:{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
