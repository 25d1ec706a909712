"""What the two agents of evals/voice.py hear and speak with: scripted parts, or this machine's speech."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from livekit.agents import AgentSession, TurnHandlingOptions, UserInputTranscribedEvent, llm

from echoic.agent.config import AgentSettings
from echoic.agent.model import address_of, connect_options, open_llm
from echoic.agent.speech import open_vad, turn_handling
from echoic.local.speech.plugins import LocalSpeech, open_local_speech
from echoic.memory.config import QUOTE, MemorySettings
from echoic.memory.text.words import normalise
from evals.scripted_speech import REPLY_WORD_S, CountingLLM, EvalSTT, spoken
from tests.rooms.speech import CALLER_RATE, Voice
from tests.tones import ToneTTS

SCRIPTED_TURNS = TurnHandlingOptions(
    turn_detection="stt", endpointing={"min_delay": 0.2, "max_delay": 0.4}, interruption={"mode": "vad"}
)


class Parts(Protocol):
    """One agent's ears, model and voice."""

    @property
    def calls(self) -> int:
        """Model calls so far."""
        ...

    @property
    def last_partial_equal(self) -> bool:
        """Did the last partial transcript of the newest turn hold every word?"""
        ...

    def session(self) -> AgentSession[Any]: ...

    async def sound(self, words: str) -> bytes:
        """What the caller sends to say these words."""
        ...


class ScriptedParts:
    """Ears that know what is said, a model that thinks for 0.15 s, a tone for a voice."""

    def __init__(self) -> None:
        self._ears, self._model = EvalSTT(), CountingLLM()

    @property
    def calls(self) -> int:
        return self._model.calls

    @property
    def last_partial_equal(self) -> bool:
        return self._ears.last_partial_equal

    def session(self) -> AgentSession[Any]:
        return AgentSession(
            stt=self._ears,
            llm=self._model,
            tts=ToneTTS(REPLY_WORD_S),
            vad=None,
            turn_handling=SCRIPTED_TURNS,
            user_away_timeout=None,
        )

    async def sound(self, words: str) -> bytes:
        self._ears.expect(words)
        return spoken(words, CALLER_RATE)


class LocalParts:
    """Moonshine hears, Piper speaks, and the settings name the model; without one, memory is quoted."""

    def __init__(self, speech: LocalSpeech, voice: Voice, settings: MemorySettings) -> None:
        self._speech, self._voice = speech, voice
        named = (
            settings
            if settings.llm_url or settings.llm_model
            else settings.model_copy(update={"llm_model": QUOTE})
        )
        self._address = address_of(named)
        self._last_partial = ""
        self.last_partial_equal, self.calls = False, 0

    def session(self) -> AgentSession[Any]:
        agent_settings = AgentSettings(turn_detection="vad")
        session: AgentSession[Any] = AgentSession(
            stt=self._speech.stt(),
            llm=_Counted(open_llm(self._address), self),
            tts=self._speech.tts(),
            vad=open_vad(),
            turn_handling=turn_handling(agent_settings),
            conn_options=connect_options(agent_settings),
            user_away_timeout=None,
        )
        session.on("user_input_transcribed", self._on_transcribed)
        return session

    async def sound(self, words: str) -> bytes:
        return await self._voice(words)

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final:
            self.last_partial_equal = normalise(event.transcript) == normalise(self._last_partial)
        else:
            self._last_partial = event.transcript


class _Counted(llm.LLM):
    """A model whose calls are counted."""

    def __init__(self, model: llm.LLM, parts: LocalParts) -> None:
        super().__init__()
        self._model, self._parts = model, parts

    def chat(self, **kwargs: Any) -> llm.LLMStream:
        self._parts.calls += 1
        return self._model.chat(**kwargs)


@asynccontextmanager
async def local_parts(settings: MemorySettings, folder: Path) -> AsyncIterator[tuple[LocalParts, LocalParts]]:
    """For both rooms. The speech servers run while the block does."""
    opened = open_local_speech(folder)
    speech = await asyncio.to_thread(opened.__enter__)
    try:
        voice = Voice(folder)
        yield LocalParts(speech, voice, settings), LocalParts(speech, voice, settings)
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)
