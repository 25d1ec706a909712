"""Ears, voice and turn-taking of a call: Deepgram and OpenAI when their keys are there, else the models of
this machine.

Turns and interruptions are always judged here: no audio goes to LiveKit's cloud.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from livekit.agents import TurnHandlingOptions, inference, stt, tts, vad

from echoic.agent.config import AgentSettings
from echoic.memory.errors import ConfigInvalid

KEYS = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY")
DEEPGRAM = "https://api.deepgram.com/v1/auth/token"  # tells about the key; costs nothing
OPENAI = "https://api.openai.com/v1"
CHECK_S = 5.0  # once, at the start of a worker
REFUSED = (401, 403)


@dataclass(frozen=True, slots=True)
class Speech:
    """What a process needs for its calls; each call makes its own plugins from it, inside its event loop."""

    label: str
    """One line: which models were taken."""
    stt: Callable[[], stt.STT]
    tts: Callable[[], tts.TTS]


def choose_speech(settings: AgentSettings, env: Mapping[str, str] = os.environ) -> Literal["cloud", "local"]:
    """Where speech is understood and made.

    Raises:
        ConfigInvalid: a key is missing; the sentence names it.
    """
    absent = [name for name in KEYS if not env.get(name)]
    if settings.speech == "local" or (
        settings.speech == "auto" and "DEEPGRAM_API_KEY" in absent and _local_is_installed()
    ):
        return "local"  # OPENAI_API_KEY alone may be there for the language model only
    if absent:
        raise ConfigInvalid(
            f"Not set: {', '.join(absent)}. Speech needs both of {' and '.join(KEYS)}; without any key,"
            " `pip install 'echoic[local]'` and ECHOIC_SPEECH=local hear and speak on this machine."
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
    asked = {
        "DEEPGRAM_API_KEY": (DEEPGRAM, f"Token {env['DEEPGRAM_API_KEY']}"),
        "OPENAI_API_KEY": (
            f"{(env.get('OPENAI_BASE_URL') or OPENAI).rstrip('/')}/models",
            f"Bearer {env['OPENAI_API_KEY']}",
        ),
    }
    async with client or httpx.AsyncClient(timeout=CHECK_S) as asking:
        unsure = [name for name, (url, key) in asked.items() if not await _is_taken(asking, name, url, key)]
    return (
        f"Nobody could be asked whether {' and '.join(unsure)} are right: the provider cannot be reached."
        if unsure
        else ""
    )


async def _is_taken(client: httpx.AsyncClient, name: str, url: str, key: str) -> bool:
    try:
        answer = await client.get(url, headers={"Authorization": key})
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    if answer.status_code in REFUSED:
        raise ConfigInvalid(
            f"{name} is refused ({answer.status_code}): it is wrong, or was revoked. Without it nobody would "
            "be heard."
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

        with open_local_speech(paths.data_dir(data_dir)) as speech:
            yield Speech("Speech: Moonshine and Piper on this machine, English only.", speech.stt, speech.tts)
        return
    from livekit.plugins import deepgram, openai  # 1 s

    yield Speech("Speech: Deepgram hears, OpenAI speaks.", deepgram.STT, openai.TTS)


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
