"""Which extractor the settings and the configured model allow: one too weak to learn is not asked."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.errors import MemoryFault, ModelUnavailable
from echoic.memory.model_verdict import Grade, Verdict
from echoic.memory.profile.slots import PLAIN, ProfileSettings
from echoic.memory.service import Memory
from echoic.memory.types import Turn
from echoic.workers.learn.extractor import (
    Extraction,
    Extractor,
    Known,
    ModelSource,
    Source,
    VerifiedExtractor,
)
from echoic.workers.learn.grades import graded
from echoic.workers.model.chat import ChatModel

log = logging.getLogger("echoic.choose")

VERBATIM = "facts are not extracted; everything said is still kept word for word and found again"
OFF = f"ECHOIC_EXTRACTOR is off: {VERBATIM}."


@dataclass(frozen=True, slots=True)
class ExtractorChoice:
    """The extractor, or None and a sentence that says why facts are not learned."""

    extractor: Extractor | None
    sentence: str
    verdict: Verdict | None = None

    async def close(self) -> None:
        if self.extractor is not None:
            await self.extractor.close()


async def open_extractor(settings: MemorySettings, memory: Memory) -> ExtractorChoice:
    """The extractor that the settings name, if a model is configured, as far as it is trusted (tried once).

    Raises:
        StoreUnavailable: the verdict on the model can be neither read nor kept.
    """
    if settings.extractor == "off":
        return ExtractorChoice(None, OFF)
    if not is_configured(settings):
        why = "Set OPENAI_API_KEY or ECHOIC_LLM_URL, or `echoic model pull`."
        return ExtractorChoice(None, f"No extractor is configured: {VERBATIM}. {why}")
    model = ChatModel(settings)
    verdict = Verdict(settings.llm_grade) if settings.llm_grade else None
    try:
        verdict = verdict or await graded(memory, model)
    except ModelUnavailable:
        log.warning("choose.not_tried")
        return ExtractorChoice(_Untried(settings, memory, model), "It is tried before it learns.")
    except MemoryFault:
        await model.close()
        raise
    if verdict.grade == "none":
        await model.close()
        return ExtractorChoice(None, f"{model.name}: {verdict.sentence}.", verdict)
    extractor, _ = make_extractor(settings, verdict.grade, model)
    return ExtractorChoice(extractor, verdict.sentence, verdict)


class _Untried:
    """The extractor of a model that did not answer when it was to be tried: it is tried before it learns."""

    name = "untried"

    def __init__(self, settings: MemorySettings, memory: Memory, model: ChatModel) -> None:
        self._settings, self._memory, self._model = settings, memory, model
        self._trying = asyncio.Lock()
        self._tried: Extractor | None = None

    async def extract(
        self,
        turns: Sequence[Turn],
        known: Known,
        profile: ProfileSettings = PLAIN,
        embedder: Embedder | None = None,
    ) -> Extraction:
        """See `Extractor`; one that is too weak to learn is as unavailable as one that does not answer."""
        async with self._trying:
            self._tried = self._tried or await self._try()
        return await self._tried.extract(turns, known, profile, embedder)

    async def _try(self) -> Extractor:
        verdict = await graded(self._memory, self._model)
        log.info("choose.tried", extra={"grade": verdict.grade})
        if verdict.grade == "none":
            raise ModelUnavailable(f"{self._model.name}: {verdict.sentence}.")
        return make_extractor(self._settings, verdict.grade, self._model)[0]

    async def close(self) -> None:
        await self._model.close()


def is_configured(settings: MemorySettings) -> bool:
    """Whether there is a model to ask."""
    return bool(settings.llm_url or settings.llm_api_key.get_secret_value())


def make_extractor(
    settings: MemorySettings, grade: Grade = "full", model: ChatModel | None = None
) -> tuple[Extractor, ChatModel]:
    """The extractor that the settings name and the model it asks, without a verdict."""
    model, zone = model or ChatModel(settings), ZoneInfo(settings.timezone)
    source: Source = ModelSource(model, zone, names=settings.graph != "off", grade=grade)
    if settings.extractor == "mem0":
        from echoic.workers.mem0.source import Mem0Source  # importing Mem0 takes 2.5 s

        source = Mem0Source(settings, model)
    return VerifiedExtractor(source, zone, grade=grade, checker=model), model
