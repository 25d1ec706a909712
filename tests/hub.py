"""A model hub on this machine for tests: its API, redirects to another server, ranges, and how it fails."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from tests.web import Download, send, web_server

COMMIT = "c0ffee" * 6 + "beef"
LARGE = 1_000
"""Files of so many bytes lie outside of git."""


@dataclass
class Hub:
    """Repositories and their files, as a hub serves them.

    A large file is answered with a redirect to another server, which names its SHA-256.
    """

    files: dict[str, bytes]
    """`owner/name/path` -> bytes."""
    token: str = ""
    """Who must ask; empty: anybody may."""
    downloads: dict[str, Download] = field(default_factory=dict)
    """What the other server sends, where a test changes it."""
    asked: list[str] = field(default_factory=list)
    tokens_seen: set[str] = field(default_factory=set)
    """By the other server."""
    names: dict[str, str] = field(default_factory=dict)
    """Path -> a SHA-256 that it names instead of the right one."""
    commit: str = COMMIT
    address: str = ""
    _elsewhere: str = ""

    @contextmanager
    def serving(self) -> Iterator[str]:
        with web_server(self._send_bytes) as self._elsewhere, web_server(self._answer) as self.address:
            yield self.address

    def env(self, **more: str) -> dict[str, str]:
        return {"HF_ENDPOINT": self.address, **more}

    def download(self, path: str) -> Download:
        return self.downloads.setdefault(path, Download(self.files[path]))

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(request.path)
        self.asked.append(path)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            send(request, 401, b'{"error": "Invalid username or password."}')
        elif path.startswith("/api/models/"):
            self._answer_api(request, path.removeprefix("/api/models/"))
        else:
            self._answer_file(request, path.removeprefix("/").replace(f"resolve/{self.commit}/", ""))

    def _answer_api(self, request: BaseHTTPRequestHandler, path: str) -> None:
        repository = "/".join(path.split("/")[:2])
        if not any(one.startswith(f"{repository}/") for one in self.files):
            send(request, 401, b'{"error": "Repository not found"}')
        elif path == f"{repository}/revision/main":
            send(request, 200, json.dumps({"id": repository, "sha": self.commit}).encode())
        else:
            folder = path.removeprefix(f"{repository}/tree/{self.commit}").strip("/")
            entries = [
                self._entry(repository, one) for one in self.files if self._lies_in(one, repository, folder)
            ]
            send(request, 200 if entries else 404, json.dumps(entries).encode())

    def _lies_in(self, file: str, repository: str, folder: str) -> bool:
        inside = file.removeprefix(f"{repository}/")
        return inside != file and inside.rpartition("/")[0] == folder

    def _entry(self, repository: str, file: str) -> dict[str, object]:
        content = self.files[file]
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        entry: dict[str, object] = {
            "type": "file",
            "oid": git,
            "size": len(content),
            "path": file.removeprefix(f"{repository}/"),
        }
        if len(content) >= LARGE:
            entry["lfs"] = {"oid": self._sha256(file), "size": len(content), "pointerSize": 134}
        return entry

    def _sha256(self, file: str) -> str:
        return self.names.get(file) or hashlib.sha256(self.files[file]).hexdigest()

    def _answer_file(self, request: BaseHTTPRequestHandler, file: str) -> None:
        if file not in self.files:
            send(request, 404, b"Entry not found")
        elif len(self.files[file]) < LARGE:
            self.download(file).handle(request)
        else:
            request.send_response(302)
            request.send_header("Location", f"{self._elsewhere}/{file}")
            request.send_header("X-Linked-Etag", f'"{self._sha256(file)}"')
            request.send_header("X-Linked-Size", str(len(self.files[file])))
            request.send_header("X-Repo-Commit", self.commit)
            request.send_header("Content-Length", "0")
            request.end_headers()

    def _send_bytes(self, request: BaseHTTPRequestHandler) -> None:
        self.tokens_seen.add(request.headers.get("Authorization", ""))
        self.download(unquote(request.path).removeprefix("/")).handle(request)
