"""`echoic dev`: everything that a call on this machine needs, as children of one command."""

import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from livekit import api

from echoic.local.command_resources import folder_of, opened_model, opened_stores, with_model
from echoic.local.dev.livekit_server import LiveKitServer, open_livekit
from echoic.local.dev.run_command import addresses
from echoic.local.dev.supervisor import Child, Supervisor
from echoic.local.llm.models import ONE_AT_A_TIME, ModelChoice
from echoic.local.ports import LOOPBACK, free_ports
from echoic.memory.config import MemorySettings
from echoic.memory.hosting.files import private_folder

REGISTERED = "registered worker"
ANSWER_S = 1.0
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Stack:
    """What is open, for the children that need it."""

    settings: MemorySettings
    """With the addresses of stores that answer."""
    choice: ModelChoice
    livekit: LiveKitServer
    logs: Path
    port: int
    """Of the page."""

    def children(self) -> list[Child]:
        """The agent worker, the memory API with its page, and the learning worker."""
        entry = find_spec("echoic.agent.main")
        assert entry is not None and entry.origin is not None
        agent = [
            sys.executable,
            "-P",
            "-m",
            "livekit.agents",
            "start",
            entry.origin,
            "--dev",
            "--log-level",
            "INFO",
        ]
        ours, folder = [sys.executable, "-m", "echoic"], ["--data-dir", str(self.settings.data_dir)]
        worker, page = [*ours, "worker", *folder], [*ours, "api", "--dev", "--port", str(self.port), *folder]
        between_calls = self.choice.kind in ONE_AT_A_TIME
        return [
            Child("agent", agent, self.logs / "dev-agent.log", lambda output: REGISTERED in output),
            Child("page", page, self.logs / "dev-page.log", lambda output: f":{self.port}" in output),
            Child(
                "worker",
                worker,
                self.logs / "dev-worker.log",
                bool,
                wanted=Quiet(self.livekit) if between_calls else lambda: True,
            ),
        ]

    def environment(self, identity_secret: str, env: Mapping[str, str] = os.environ) -> dict[str, str]:
        """What the children are told beside this process's own environment."""
        settings, choice = with_model(self.settings, self.choice), self.choice
        told = (
            self.livekit.environment
            | dict(addresses(settings))
            | {
                "ECHOIC_LLM_URL": choice.url,
                "ECHOIC_LLM_API_KEY": choice.api_key,
                "ECHOIC_LLM_MODEL": choice.model or choice.kind,
                "ECHOIC_EXTRACTOR": settings.extractor,
                "ECHOIC_SPEECH": speech_of(env),
                "ECHOIC_IDENTITY_SECRET": identity_secret,
            }
        )
        if self.choice.context_tokens is not None and not env.get("ECHOIC_CONTEXT_TOKENS"):
            told["ECHOIC_CONTEXT_TOKENS"] = str(self.choice.context_tokens)
        return told

    def lines(self, env: Mapping[str, str] = os.environ) -> list[str]:
        """What runs where, one line each."""
        where = _without_password(self.settings.database_url.get_secret_value())
        stores = (
            f"Postgres at {where}"
            if env.get("ECHOIC_DATABASE_URL")
            else f"Postgres and Redis of {self.settings.data_dir}"
        )
        livekit = (
            f"{self.livekit.url}, on this machine only"
            if self.livekit.is_ours
            else f"{self.livekit.url} (LIVEKIT_URL)"
        )
        ears, voice = env.get("ECHOIC_DEEPGRAM_URL") or "Deepgram", env.get("ECHOIC_TTS_URL") or "OpenAI"
        speech = "on this machine" if speech_of(env) == "local" else f"{ears} listens, {voice} speaks"
        return [
            f"Stores   {stores}",
            *([f"Graph    {_graph(self.settings, env)}"] if self.settings.graph == "on" else []),
            f"LiveKit  {livekit}",
            f"Speech   {speech}",
            f"Model    {self.choice.label.removeprefix('Language model: ')}",
            f"Logs     {self.logs}: dev-agent.log, dev-page.log, dev-worker.log",
        ]


class Quiet:
    """Whether nobody is in a call; asked as often as one likes, it looks twice a second."""

    def __init__(self, livekit: LiveKitServer) -> None:
        self._livekit = livekit
        self._answer, self._asked_at = True, 0.0

    def __call__(self) -> bool:
        if time.monotonic() - self._asked_at > LOOK_S:
            self._answer, self._asked_at = self._look(), time.monotonic()
        return self._answer

    def _look(self) -> bool:
        """A server that does not answer has no calls to tell of."""
        grants = api.VideoGrants(room_list=True)
        token = api.AccessToken(self._livekit.api_key, self._livekit.api_secret).with_grants(grants).to_jwt()
        address = f"{_http(self._livekit.url)}/twirp/livekit.RoomService/ListRooms"
        try:
            answer = httpx.post(
                address,
                json={},
                headers={"Authorization": f"Bearer {token}"},
                timeout=ANSWER_S,
                trust_env=False,
            )
            answer.raise_for_status()
            return not any(room.get("num_participants") for room in answer.json().get("rooms", []))
        except (httpx.HTTPError, ValueError, AttributeError):
            return True


def run_dev(data_dir: Path | None, port: int, echo: Callable[[str], None]) -> None:
    """Bring everything up, say what runs where and how to join, and return when Ctrl-C has stopped it all.

    Args:
        port: of the page; 0 for one that is free.

    Raises:
        ConfigInvalid, ModelUnavailable, StoreUnavailable, SchemaMismatch: a part cannot work; with a sentence
            for the user.
    """
    folder = folder_of(data_dir)
    with ExitStack() as opened:
        settings = opened.enter_context(opened_stores(folder, "dev"))
        livekit = opened.enter_context(open_livekit(folder))  # it may have to be built, for minutes
        choice = opened.enter_context(opened_model(settings))
        stack = Stack(settings, choice, livekit, private_folder(folder / "logs"), port or free_ports(1)[0])
        secret = os.environ.get("ECHOIC_IDENTITY_SECRET") or secrets.token_urlsafe(32)
        for line in stack.lines():
            echo(line)
        Supervisor(stack.children(), stack.environment(secret), echo).run(
            lambda: echo(f"Join     http://{LOOPBACK}:{stack.port}/#talk  (Ctrl-C stops everything)")
        )
    echo("Stopped; what was said is kept.")


def speech_of(env: Mapping[str, str]) -> str:
    """What `ECHOIC_SPEECH` says; by itself the cloud if its key or address is there, else this machine."""
    said = env.get("ECHOIC_SPEECH", "")
    has_ears = env.get("DEEPGRAM_API_KEY") or env.get("ECHOIC_DEEPGRAM_URL")
    return said if said in ("cloud", "local") else "cloud" if has_ears else "local"


def _http(url: str) -> str:
    return url.replace("ws", "http", 1) if url.startswith("ws") else url


def _graph(settings: MemorySettings, env: Mapping[str, str]) -> str:
    named = env.get("ECHOIC_FALKORDB_URL")
    if named and settings.neo4j_url:
        return "not used: ECHOIC_FALKORDB_URL and ECHOIC_NEO4J_URL are both set, so unset one of them"
    if settings.neo4j_url:
        return f"Neo4j at {_without_password(settings.neo4j_url)}"
    return f"FalkorDB at {_without_password(named)}" if named else f"FalkorDB of {settings.data_dir}"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path
