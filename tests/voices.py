"""A call by voice in one process: ears that hear what a test says, a mouth of tones, and what was played."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, APIConnectOptions, llm, stt
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice import TranscriptSynchronizer, io

from echoic.agent.call.call import Call
from echoic.agent.call.registry import bind
from tests.agents import ScriptedLLM
from tests.fake_llm import Reply
from tests.tones import RATE, WORD_S, ToneTTS

TURN_HANDLING: dict[str, Any] = {
    "turn_detection": "stt",
    "endpointing": {"min_delay": 0.05, "max_delay": 0.05},
    "interruption": {"mode": "vad", "discard_audio_if_uninterruptible": False},
}


class ScriptedSTT(stt.STT):
    """Streaming ears: a test says what they hear, word by word or at once."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(streaming=True, interim_results=True, offline_recognize=False)
        )
        self._stream: _Ears | None = None

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS, **_: Any
    ) -> "stt.RecognizeStream":
        self._stream = _Ears(stt=self, conn_options=conn_options)
        return self._stream

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def starts(self) -> None:
        """The caller opens their mouth."""
        self._hear(stt.SpeechEventType.START_OF_SPEECH)

    def partial(self, text: str) -> None:
        """What the ears believe to have heard so far, of this segment."""
        self._hear(stt.SpeechEventType.INTERIM_TRANSCRIPT, text)

    def preflight(self, text: str) -> None:
        """As `partial`, and likely to stay so."""
        self._hear(stt.SpeechEventType.PREFLIGHT_TRANSCRIPT, text)

    def final(self, text: str) -> None:
        """One segment, as it will stay."""
        self._hear(stt.SpeechEventType.FINAL_TRANSCRIPT, text)

    def ends(self) -> None:
        """The caller is silent."""
        self._hear(stt.SpeechEventType.END_OF_SPEECH)

    async def say(self, text: str, *, word_s: float = 0.005, sure_s: float | None = None) -> None:
        """One whole turn, with a partial for each word; returns when its last word was heard.

        Args:
            sure_s: how long before the end the ears are sure of the words: a model may begin its reply then.
        """
        self.starts()
        words = text.split()
        for count in range(1, len(words) + 1):
            self.partial(" ".join(words[:count]))
            await asyncio.sleep(word_s)
        if sure_s is not None:
            self.preflight(text)
            await asyncio.sleep(sure_s)
        self.final(text)
        self.ends()

    def _hear(self, kind: stt.SpeechEventType, text: str = "") -> None:
        assert self._stream is not None, "nobody listens yet"
        heard = [stt.SpeechData(language="en", text=text, confidence=0.9)] if text else []  # type: ignore[arg-type]
        self._stream.hear(stt.SpeechEvent(type=kind, alternatives=heard))


class ThinkingLLM(ScriptedLLM):
    """Thinks before each reply: so long, or until `free` is set again."""

    def __init__(self, *replies: Reply | Sequence[Reply], thinks_s: float = 0.0) -> None:
        super().__init__(*replies)
        self._thinks_s = thinks_s
        self.free = asyncio.Event()
        self.free.set()

    async def think(self, context: llm.ChatContext) -> None:
        await asyncio.sleep(self._thinks_s)
        await self.free.wait()


class _Ears(stt.RecognizeStream):
    def hear(self, event: stt.SpeechEvent) -> None:
        self._event_ch.send_nowait(event)

    async def _run(self) -> None:
        async for _ in self._input_ch:
            """The audio says nothing: the test does."""


class Microphone(io.AudioInput):
    """An open line on which nothing sounds."""

    def __init__(self) -> None:
        super().__init__(label="microphone")

    async def __anext__(self) -> rtc.AudioFrame:
        await asyncio.Event().wait()
        raise StopAsyncIteration


class Speaker(io.AudioOutput):
    """Plays in real time, and says how far it came when it is stopped."""

    def __init__(self) -> None:
        super().__init__(
            label="speaker", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=RATE
        )
        self._began, self._pushed_s = 0.0, 0.0
        self._stopped = asyncio.Event()
        self._playing: asyncio.Task[None] | None = None
        self.sounding = asyncio.Event()
        """Set while something is being heard."""

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._pushed_s:
            self._began = time.perf_counter()
            self.on_playback_started(created_at=time.time())
            self.sounding.set()
        self._pushed_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._pushed_s and (self._playing is None or self._playing.done()):
            self._playing = asyncio.create_task(self._play(), name="speaker.play")

    def clear_buffer(self) -> None:
        self._stopped.set()

    async def _play(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), self._began + self._pushed_s - time.perf_counter())
        position = min(time.perf_counter() - self._began, self._pushed_s)
        interrupted, self._pushed_s = self._stopped.is_set(), 0.0
        self._stopped.clear()
        self.sounding.clear()
        self.on_playback_finished(playback_position=position, interrupted=interrupted)


@dataclass(slots=True)
class Voice:
    """An open call: what the caller does, and what they hear."""

    session: AgentSession[Any]
    ears: ScriptedSTT
    speaker: Speaker

    async def wait_answered(self) -> None:
        """Return once nothing is being said or thought any more."""
        while self.session.agent_state != "listening" or self.session.current_speech is not None:
            await asyncio.sleep(0.005)

    async def ask(self, text: str, **how: float) -> None:
        """Say a whole turn (as `ScriptedSTT.say`), and hear the whole reply."""
        items = len(self.items("assistant"))
        await self.ears.say(text, **how)
        while len(self.items("assistant")) == items:
            await asyncio.sleep(0.005)
        await self.wait_answered()

    def items(self, role: str) -> list[llm.ChatMessage]:
        """The conversation's messages of one side."""
        return [item for item in self.session.history.items if item.type == "message" and item.role == role]

    def texts(self, role: str) -> list[str]:
        return [item.text_content or "" for item in self.items(role)]


@asynccontextmanager
async def voice_session(
    agent: Agent, model: llm.LLM, *, call: Any = None, listeners: Sequence[Any] = (), **options: Any
) -> AsyncIterator[Voice]:
    """A running session with ears and a mouth.

    Args:
        listeners: what wants to `listen` to the session before it starts: capture, prefetch.
        call: a `Call`, or a call's memory alone.
        options: of the AgentSession: `turn_handling` (over ours).
    """
    ears, speaker = ScriptedSTT(), Speaker()
    handling = TURN_HANDLING | options.pop("turn_handling", {})
    session: AgentSession[Any] = AgentSession(
        stt=ears,
        llm=model,
        tts=ToneTTS(),
        vad=None,
        turn_handling=handling,
        aec_warmup_duration=None,
        user_away_timeout=None,
        **options,
    )
    if call is not None:
        bind(session, call if hasattr(call, "recalls") else Call(call))
    for listener in listeners:
        listener.listen(session)
    synchronizer = TranscriptSynchronizer(
        next_in_chain_audio=speaker, next_in_chain_text=None, speed=0.32 / WORD_S
    )
    session.input.audio = Microphone()
    session.output.audio, session.output.transcription = synchronizer.audio_output, synchronizer.text_output
    try:
        await session.start(agent, record=False)
        yield Voice(session, ears, speaker)
    finally:
        await session.aclose()
        await synchronizer.aclose()
