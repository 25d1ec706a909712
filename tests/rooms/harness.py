"""Calls for tests and evals: a caller with a voice and ears in a real room, and agents that take the call.

async with Caller(livekit, "room-1", "alice", token_options…) as caller:
    ended = await caller.say(await voice("What is my dog called?"))
    begun = await caller.wait_heard(after=ended)
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np
from livekit import api, rtc
from livekit.agents import AgentServer, JobContext, JobExecutorType, JobProcess

from echoic.local.dev.livekit_server import LiveKitServer
from tests.rooms.speech import CALLER_RATE, SAMPLE_BYTES

FRAME_S = 0.01
FRAME_BYTES = int(CALLER_RATE * FRAME_S) * SAMPLE_BYTES
QUEUE_MS = 200  # a busy machine may send late: gaps of this length are not heard
LOUD_RMS = 100.0
QUIET_S = 0.6  # an agent that was silent for so long has ended its reply; Piper pauses less between sentences
LIMIT_S = 30.0


def token_for(
    livekit: LiveKitServer,
    room: str,
    identity: str,
    *,
    kind: str = "standard",
    attributes: Mapping[str, str] | None = None,
    metadata: str = "",
    agent_name: str | None = None,
    job_metadata: str = "",
) -> str:
    """What an application's server signs for its user.

    Args:
        kind: `sip` makes the caller a telephone, as LiveKit's SIP service would.
        agent_name: dispatches that agent, with `job_metadata`; None leaves it to automatic dispatch.
    """
    token = (
        api.AccessToken(livekit.api_key, livekit.api_secret)
        .with_identity(identity)
        .with_kind(kind)  # type: ignore[arg-type]
        .with_grants(api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True))
        .with_attributes(dict(attributes or {}))
        .with_metadata(metadata)
    )
    if agent_name is not None:
        dispatch = api.RoomAgentDispatch(agent_name=agent_name, metadata=job_metadata)
        token = token.with_room_config(api.RoomConfiguration(agents=[dispatch]))
    return token.to_jwt()


@dataclass(frozen=True, slots=True)
class Sound:
    """One frame that reached the caller."""

    at: float
    """By `time.monotonic()`."""
    rms: float


@dataclass(frozen=True, slots=True)
class Said:
    """One whole segment of a transcript, as the room shows it."""

    identity: str
    text: str
    at: float


@dataclass
class Heard:
    """What reached a caller so far."""

    sounds: list[Sound] = field(default_factory=list)
    transcripts: list[Said] = field(default_factory=list)

    def first_loud(self, after: float) -> float | None:
        return next((sound.at for sound in self.sounds if sound.at > after and sound.rms > LOUD_RMS), None)

    def last_loud(self) -> float | None:
        return next((sound.at for sound in reversed(self.sounds) if sound.rms > LOUD_RMS), None)


class Caller:
    """Somebody in a room: speaks, keeps sending silence, hears whoever else speaks, reads and writes text.

    Args:
        microphone: False for one who only writes.
        token_options: see `token_for`.
    """

    def __init__(
        self,
        livekit: LiveKitServer,
        room: str,
        identity: str,
        *,
        token: str = "",
        microphone: bool = True,
        **token_options: Any,
    ) -> None:
        self.livekit, self.room_name, self.identity = livekit, room, identity
        self.room, self.heard = rtc.Room(), Heard()
        self._token = token or token_for(livekit, room, identity, **token_options)
        self._has_microphone = microphone
        self._to_say = bytearray()
        self._said = asyncio.Event()
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults: list[BaseException] = []
        # A room that closes drops its tracks in LiveKit's native part, and Python drops those it no longer
        # holds: at the same moment, LiveKit's assertion fails (11 of 60 calls come close). So we hold them.
        self._tracks: list[rtc.Track] = []

    async def __aenter__(self) -> Self:
        self.room.on("track_subscribed", self._on_track)
        self.room.on("participant_connected", lambda _: self._notify())
        self.room.on("participant_disconnected", lambda _: self._notify())
        self.room.register_text_stream_handler("lk.transcription", self._on_transcription)
        await self.room.connect(self.livekit.url, self._token)
        if self._has_microphone:
            await self._open_microphone()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()
        if self._faults and exc is None:
            raise self._faults[0]

    async def leave(self) -> None:
        """Hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()
        self._tracks.clear()

    async def say(self, pcm: bytes) -> float:
        """Speak, in real time; returns when the last sample was spoken, by `time.monotonic()`."""
        self._said.clear()
        self._to_say += pcm + bytes(-len(pcm) % FRAME_BYTES)
        await self._said.wait()
        return time.monotonic()

    async def chat(self, text: str) -> None:
        """Write to the agent."""
        await self.room.local_participant.send_text(text, topic="lk.chat")

    async def wait_agent(self, limit_s: float = LIMIT_S) -> rtc.RemoteParticipant:
        """Return once an agent is in the room and its voice can be heard."""
        await self._wait(lambda: self._agent() is not None, limit_s, "no agent came")
        agent = self._agent()
        assert agent is not None
        return agent

    async def wait_agent_gone(self, limit_s: float = LIMIT_S) -> None:
        """Return once no agent is in the room."""
        await self._wait(lambda: not self.agents, limit_s, "the agent stayed")

    @property
    def agents(self) -> list[rtc.RemoteParticipant]:
        """All agents that the room shows; more than one is a fault."""
        kinds = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        return [one for one in self.room.remote_participants.values() if one.kind == kinds]

    async def wait_heard(self, after: float = 0.0, limit_s: float = LIMIT_S) -> float:
        """When the first sound later than `after` was heard."""
        await self._wait(lambda: self.heard.first_loud(after) is not None, limit_s, "nothing was heard")
        begun = self.heard.first_loud(after)
        assert begun is not None
        return begun

    async def wait_quiet(self, after: float = 0.0, limit_s: float = LIMIT_S) -> float:
        """When the last sound of a reply was heard that began later than `after`."""
        await self.wait_heard(after, limit_s)
        await self._wait(self._is_quiet, limit_s, "it went on and on")
        ended = self.heard.last_loud()
        assert ended is not None
        return ended

    async def wait_text(self, part: str, *, after: float = 0.0, limit_s: float = LIMIT_S) -> Said:
        """A segment said by somebody else in which `part` stands, whatever its case."""

        def found() -> Said | None:
            others = (
                said for said in self.heard.transcripts if said.identity != self.identity and said.at > after
            )
            return next((said for said in others if part.lower() in said.text.lower()), None)

        await self._wait(lambda: found() is not None, limit_s, "was not said: " + part)
        said = found()
        assert said is not None
        return said

    async def _wait(self, true: Callable[[], bool], limit_s: float, complaint: str) -> None:
        try:
            async with asyncio.timeout(limit_s), self._changed:
                await self._changed.wait_for(lambda: true() or bool(self._faults))
        except TimeoutError:
            raise AssertionError(f"{complaint} within {limit_s:g} s") from None
        if self._faults:
            raise self._faults[0]

    def _agent(self) -> rtc.RemoteParticipant | None:
        with_voice = (
            one
            for one in self.agents
            if any(track.track is not None for track in one.track_publications.values())
        )
        return next(with_voice, None)

    def _is_quiet(self) -> bool:
        last = self.heard.last_loud()
        return last is not None and bool(self.heard.sounds) and self.heard.sounds[-1].at - last > QUIET_S

    async def _open_microphone(self) -> None:
        source = rtc.AudioSource(CALLER_RATE, 1, queue_size_ms=QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self._hold(self._speak(source), "microphone")

    async def _speak(self, source: rtc.AudioSource) -> None:
        """One frame each 10 ms by the clock: words if there are any, else silence."""
        due = time.monotonic()
        while True:
            piece = bytes(self._to_say[:FRAME_BYTES])
            del self._to_say[:FRAME_BYTES]
            await source.capture_frame(
                rtc.AudioFrame(piece or bytes(FRAME_BYTES), CALLER_RATE, 1, FRAME_BYTES // SAMPLE_BYTES)
            )
            if piece and not self._to_say:
                await asyncio.sleep(source.queued_duration)
                self._said.set()
            due = max(due + FRAME_S, time.monotonic() - QUEUE_MS / 1000)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _on_track(
        self, track: rtc.Track, _publication: rtc.RemoteTrackPublication, _participant: rtc.RemoteParticipant
    ) -> None:
        self._tracks.append(track)
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._hold(self._listen(rtc.AudioStream(track, sample_rate=CALLER_RATE, num_channels=1)), "ears")
        self._notify()

    async def _listen(self, stream: rtc.AudioStream) -> None:
        try:
            async for event in stream:
                samples = np.frombuffer(event.frame.data, dtype=np.int16).astype(np.float32)
                self.heard.sounds.append(Sound(time.monotonic(), float(np.sqrt(np.mean(samples**2)))))
                await self._tell()
        finally:
            await stream.aclose()

    def _on_transcription(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._hold(self._read(reader, identity), "transcript")

    async def _read(self, reader: rtc.TextStreamReader, identity: str) -> None:
        try:
            text = await reader.read_all()
        except rtc.data_stream.StreamError:  # its agent was killed in the middle
            return
        self.heard.transcripts.append(Said(identity, text, time.monotonic()))
        await self._tell()

    def _notify(self) -> None:
        self._hold(self._tell(), "tell")

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _hold(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=f"caller.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._faults.append(fault)
            self._notify()


Entry = Callable[[JobContext], Awaitable[None]]


@asynccontextmanager
async def answering(
    livekit: LiveKitServer,
    entrypoint: Entry,
    *,
    agent_name: str = "",
    on_session_end: Entry | None = None,
    setup: Callable[[JobProcess], Any] | None = None,
) -> AsyncIterator[AgentServer]:
    """An agent worker in this process, each call in a thread of its own; registered when the block begins.

    Args:
        agent_name: empty for automatic dispatch, to every room of the server.
    """
    options: dict[str, Any] = {} if setup is None else {"setup_fnc": setup}
    server = AgentServer(
        ws_url=livekit.url,
        api_key=livekit.api_key,
        api_secret=livekit.api_secret,
        host="127.0.0.1",
        port=0,
        num_idle_processes=0,
        load_fnc=lambda: 0.0,
        job_executor_type=JobExecutorType.THREAD,
        **options,
    )
    ended: dict[str, Any] = {} if on_session_end is None else {"on_session_end": on_session_end}
    server.rtc_session(entrypoint, agent_name=agent_name, **ended)
    registered = asyncio.Event()
    server.on("worker_registered", lambda *_: registered.set())
    running = asyncio.create_task(server.run(devmode=True), name="agent-worker")
    try:
        is_registered = asyncio.create_task(registered.wait(), name="agent-worker.registered")
        await asyncio.wait({running, is_registered}, timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        assert registered.is_set(), "the agent worker did not register"
        yield server
    finally:
        is_registered.cancel()
        await server.aclose()
        await running
