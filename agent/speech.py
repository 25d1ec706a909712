"""Ears, voice and turn-taking of a call: Deepgram and OpenAI when their keys are there, else the models of
this machine.

Turns and interruptions are always judged here: no audio goes to LiveKit's cloud.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import httpx
from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    APIStatusError,
    ErrorEvent,
    TurnHandlingOptions,
    inference,
    stt,
    tts,
    vad,
)

from echoic.agent.config import AgentSettings
from echoic.memory.errors import ConfigInvalid

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger("echoic.speech")

KEYS = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY")
DEEPGRAM, OPENAI = "https://api.deepgram.com/v1", "https://api.openai.com/v1"
NO_KEY = "none"
"""LiveKit's plugins take no empty key; a server of one's own that needs none is shown this."""
CHECK_S = 5.0  # once, at the start of a worker
REFUSED = (401, 403)
PARTS = {"stt_error": "ears", "tts_error": "voice"}
KEPT_S = 120.0
"""As LiveKit's own client keeps a connection: the next reply need not wait for a new one."""
STALLED_S = 8.0
"""A voice from which nothing comes for so long is asked again, and says its sentence from the beginning."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What a process needs for its calls; each call makes its own plugins from it, inside its event loop."""

    label: str
    """One line: which models were taken."""
    stt: Callable[[], stt.STT]
    tts: Callable[[], tts.TTS]


@dataclass(frozen=True, slots=True)
class Provider:
    """Who hears, or who speaks: the address before `/listen` or `/audio/speech`, and the key."""

    key_name: str
    key: str = field(repr=False)
    url: str
    is_own: bool
    """The settings name its address: whether it needs a key is its own affair."""
    check_path: str
    """Tells about the key, and costs nothing."""
    key_kind: str


def providers(settings: AgentSettings, env: Mapping[str, str]) -> tuple[Provider, Provider]:
    """Who hears and who speaks when it is not this machine."""

    def provider(key_name: str, own: str, usual: str, check_path: str, key_kind: str) -> Provider:
        return Provider(key_name, env.get(key_name, ""), own or usual, bool(own), check_path, key_kind)

    openai = (env.get("OPENAI_BASE_URL") or OPENAI).rstrip("/")
    return (
        provider(KEYS[0], settings.deepgram_url, DEEPGRAM, "/auth/token", "Token"),
        provider(KEYS[1], settings.tts_url, openai, "/models", "Bearer"),
    )


def choose_speech(settings: AgentSettings, env: Mapping[str, str] = os.environ) -> Literal["cloud", "local"]:
    """Where speech is understood and made.

    Raises:
        ConfigInvalid: a key is missing; the sentence names it.
    """
    both = providers(settings, env)
    absent = [one.key_name for one in both if not one.key and not one.is_own]
    if settings.speech == "local" or (
        settings.speech == "auto" and both[0].key_name in absent and _local_is_installed()
    ):
        return "local"  # OPENAI_API_KEY alone may be there for the language model only
    if absent:
        raise ConfigInvalid(
            f"Not set: {', '.join(absent)}. Speech needs both of {' and '.join(KEYS)}; without any key,"
            " `pip install 'echoic[local]'` and ECHOIC_SPEECH=local hear and speak on this "
            "machine, and ECHOIC_DEEPGRAM_URL and ECHOIC_TTS_URL name servers of your own."
        )
    return "cloud"


async def check_speech(
    settings: AgentSettings, env: Mapping[str, str] = os.environ, *, client: httpx.AsyncClient | None = None
) -> str:
    """Once, before the first call: whether the providers take the keys.

    A sentence if that cannot be told now, else nothing.

    Raises:
        ConfigInvalid: a key is missing, or refused; the sentence names it.
    """
    if choose_speech(settings, env) == "local":
        return ""
    async with client or httpx.AsyncClient(timeout=CHECK_S) as asking:
        unsure = [one.url for one in providers(settings, env) if not await _is_taken(asking, one)]
    return (
        f"Nobody could be asked whether the keys of speech are right: {' and '.join(unsure)} cannot be "
        "reached."
        if unsure
        else ""
    )


async def _is_taken(client: httpx.AsyncClient, provider: Provider) -> bool:
    try:
        answer = await client.get(
            provider.url + provider.check_path,
            headers={"Authorization": f"{provider.key_kind} {provider.key or NO_KEY}"},
        )
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    if answer.status_code in REFUSED:
        raise ConfigInvalid(
            f"{provider.key_name} is refused ({answer.status_code}) at {provider.url}: it is wrong, or was "
            "revoked. Without it nobody would be heard."
        )
    return True


@contextmanager
def open_speech(
    settings: AgentSettings, data_dir: Path | None, env: Mapping[str, str] = os.environ
) -> Iterator[Speech]:
    """Speech for the calls of this process, until the block ends.

    Local models are started if no other process has them running.

    Args:
        data_dir: folder whose local models are shared; None: the user's data directory. Unused with keys.

    Raises:
        ConfigInvalid: a key or a package is missing.
        ModelUnavailable: the local models did not start.
    """
    if choose_speech(settings, env) == "local":
        from echoic.local import paths
        from echoic.local.speech.plugins import (
            open_local_speech,  # an extra, which servers with keys do without
        )

        with open_local_speech(paths.data_dir(data_dir), settings.language) as speech:
            known = (
                "English only"
                if speech.whisper is None
                else f"with Whisper and espeak-ng ({settings.language})"
            )
            yield Speech(f"Speech: Moonshine and Piper on this machine, {known}.", speech.stt, speech.tts)
        return
    from livekit.plugins import deepgram, openai  # 1 s

    ears, voice = providers(settings, env)
    yield Speech(
        f"Speech: {'Deepgram' if not ears.is_own else ears.url} hears, "
        f"{'OpenAI' if voice.url == OPENAI else voice.url} speaks.",
        lambda: deepgram.STT(
            base_url=f"{ears.url}/listen",
            api_key=ears.key or NO_KEY,
            language=_of_deepgram(settings.language),
        ),
        lambda: openai.TTS(
            client=_impatient_client(voice), model=settings.tts_model, voice=settings.tts_voice
        ),
    )


def _of_deepgram(language: str) -> str:
    return "multi" if language == "auto" else language


def _impatient_client(voice: Provider) -> "AsyncOpenAI":
    """OpenAI's client, as LiveKit makes it, but for its patience: 30 s of silence in mid-sentence."""
    from openai import DEFAULT_CONNECTION_LIMITS, AsyncOpenAI, DefaultAsyncHttpxClient

    # of whichever httpx this openai brings
    limits = type(DEFAULT_CONNECTION_LIMITS)(max_connections=50, keepalive_expiry=KEPT_S)

    class Impatient(DefaultAsyncHttpxClient):
        async def send(self, request: Any, **options: Any) -> Any:
            request.extensions["timeout"]["read"] = STALLED_S
            return await super().send(request, **options)

    return AsyncOpenAI(
        base_url=voice.url, api_key=voice.key or NO_KEY, max_retries=0, http_client=Impatient(limits=limits)
    )


class Outages:
    """Ears or a voice that fail in a call: the log says once why, and once that they are back."""

    def __init__(self, session: AgentSession[Any]) -> None:
        self._away: set[str] = set()
        session.on("error", self._on_error)
        session.on("user_input_transcribed", lambda _: self._is_back("stt_error"))
        session.on("agent_state_changed", self._on_state)

    def _on_error(self, event: ErrorEvent) -> None:
        kind = event.error.type
        if kind in PARTS and kind not in self._away:
            self._away.add(kind)
            log.error("speech.away", extra={"part": PARTS[kind], "reason": _reason(event.error.error)})

    def _on_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._is_back("tts_error")

    def _is_back(self, kind: str) -> None:
        if kind in self._away:
            self._away.discard(kind)
            log.info("speech.back", extra={"part": PARTS[kind]})


def _reason(fault: BaseException) -> str:
    """Without the provider's own text, which may quote the caller."""
    status = fault.status_code if isinstance(fault, APIStatusError) else None
    if status in REFUSED:
        return f"the provider refuses the key ({status})"
    if status == 429:
        return "the provider is over its quota or too busy (429)"
    return f"it failed ({status})" if status else f"it cannot be reached ({type(fault).__name__})"


def open_vad() -> vad.VAD:
    """Whether somebody speaks: a model inside livekit-agents, in this process."""
    return inference.VAD(model="silero")


def turn_handling(settings: AgentSettings) -> TurnHandlingOptions:
    """When a turn ends and when a caller interrupts, both judged on this machine."""
    by_model = settings.turn_detection == "model"
    return TurnHandlingOptions(
        turn_detection=inference.TurnDetector(version="v1-mini") if by_model else "vad",
        # LiveKit's default replaces what is said over a reply that cannot be interrupted by silence: nobody
        # could keep those words
        interruption={"mode": "vad", "discard_audio_if_uninterruptible": False},
    )


def _local_is_installed() -> bool:
    from echoic.local.speech.server import missing

    return not missing()
