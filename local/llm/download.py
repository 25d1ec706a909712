"""One file from the web: resumed where an earlier try was broken off, and checked before it gets its name."""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import httpx

from echoic.memory.errors import ConfigInvalid, ModelUnavailable

CHUNK_BYTES = 1 << 20
SPARE_BYTES = 50 << 20  # what a download leaves free on the disk
SILENCE_S = 30.0  # no byte for this long counts as a broken connection
PATIENCE = 5  # broken connections in a row without a byte in between
PAUSE_S = 1.0  # times the number of failures so far
SHA256_DIGITS = 64
PART = ".part"
"""Ends the name of a file that is not whole yet."""

FULL = "The disk that holds {} is full: free some space and pull again; what came so far is kept."

OnProgress = Callable[[int, int], None]
"""Called with bytes done and bytes there are."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from, and what it must be."""

    url: str
    digest: str
    """64 hex digits: its SHA-256; 40: what git calls it (SHA-1 of its length and its bytes)."""
    advice: str
    """What to do when it is not to be had there."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return unquote(urlsplit(self.url).path).rpartition("/")[2]


def fetch(source: Source, target: Path, on_progress: OnProgress) -> str:
    """Bring the file to `target` and return its SHA-256.

    Raises:
        ModelUnavailable: no network, an address without the file, a full disk, or a file that is not the
            expected one.
        ConfigInvalid: another process is downloading it.
    """
    unfinished = target.with_name(target.name + PART)
    with _locked(unfinished) as part:
        _download(source, part, on_progress)
        sha256 = _checked(source, part)
        unfinished.replace(target)
    return sha256


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(unfinished: Path) -> Iterator[BinaryIO]:
    """The unfinished file, for this process alone; what came of it stays for the next try."""
    try:
        with open(os.open(unfinished, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as part:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                yield part
            finally:
                if not part.seek(0, os.SEEK_END):
                    _leave_nothing(unfinished)
    except BlockingIOError as exc:
        raise ConfigInvalid(f"Another process is downloading {unfinished.stem} already.") from exc
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        raise ModelUnavailable(FULL.format(unfinished.parent)) from exc


def _leave_nothing(unfinished: Path) -> None:
    unfinished.unlink(missing_ok=True)
    with suppress(OSError):  # something else is in it
        unfinished.parent.rmdir()


def _download(source: Source, part: BinaryIO, on_progress: OnProgress) -> None:
    failures, has_connected = 0, False
    while True:
        start = part.seek(0, os.SEEK_END)
        try:
            _fetch_rest(source, part, on_progress)
            return
        except httpx.HTTPStatusError as exc:
            raise ModelUnavailable(
                f"{source.url} answers {exc.response.status_code}: {source.advice}"
            ) from exc
        except httpx.TransportError as exc:
            grown = part.seek(0, os.SEEK_END) != start
            has_connected |= grown
            failures = 1 if grown else failures + 1
            if failures > PATIENCE or not has_connected:
                kept = "; what came so far is kept" if part.tell() else ""
                raise ModelUnavailable(f"{source.url} cannot be reached{kept}. {source.advice}") from exc
            time.sleep(PAUSE_S * failures)


def _fetch_rest(source: Source, part: BinaryIO, on_progress: OnProgress) -> None:
    have = part.seek(0, os.SEEK_END)
    headers = {**source.headers, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    # a token is not sent on to where the hub's answer points (httpx drops it)
    with (
        httpx.Client(headers=headers, follow_redirects=True, timeout=SILENCE_S) as client,
        client.stream("GET", source.url) as answer,
    ):
        if have and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is missing; the checksum decides whether it is the file
        answer.raise_for_status()
        _refuse_another(source, answer)
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


def _refuse_another(source: Source, answer: httpx.Response) -> None:
    """A hub names a large file's SHA-256 as it points to it: another one is not fetched to the end."""
    for one in (*answer.history, answer):
        named = one.headers.get("x-linked-etag", "").strip('"')
        if len(named) == len(source.digest) == SHA256_DIGITS and named != source.digest:
            raise ModelUnavailable(f"{source.url} is not the expected file: its SHA-256 is {named} there.")


def _check_room(part: BinaryIO, missing: int) -> None:
    room = os.fstatvfs(part.fileno())
    if room.f_bavail * room.f_frsize < missing + SPARE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _checked(source: Source, part: BinaryIO) -> str:
    part.seek(0)
    size = os.fstat(part.fileno()).st_size
    sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    while chunk := part.read(CHUNK_BYTES):
        sha256.update(chunk)
        git.update(chunk)
    if source.digest != (sha256 if len(source.digest) == SHA256_DIGITS else git).hexdigest():
        part.truncate(0)
        raise ModelUnavailable(
            f"What {source.url} sent is not the expected file (its SHA-256 differs), so it was thrown away: "
            "try again."
        )
    os.fsync(part.fileno())
    return sha256.hexdigest()
