"""A real Neo4j for tests: jars from Maven Central, a password, and gone with the process that started it."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import SecretStr

from echoic.local.ports import LOOPBACK, free_ports
from echoic.memory.hosting.files import open_lock

HERE = Path(__file__).resolve().parent
VERSION = "5.26.12"
JAVA_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
)
START_S = 120.0  # 12 s; seven times that on a machine that is busy
STOP_S = 60.0
POLL_S = 0.05
MISSING = (
    "The Neo4j tests need Java 17 or newer (a JDK) and Maven: {} not found. "
    "Install them, or leave these tests to CI."
)


class Neo4jMissing(Exception):
    """What the tests need is not on this machine; the message is a sentence."""


def class_path(version: str = VERSION) -> str:
    """Where Java finds Neo4j and our program: fetched once (116 MB) into the user's cache folder.

    Raises:
        Neo4jMissing: there is no Java or no Maven, or Maven could not fetch it.
    """
    absent = [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]
    if absent:
        raise Neo4jMissing(MISSING.format(" and ".join(absent)))
    sources = (HERE / "pom.xml").read_bytes() + (HERE / "Neo.java").read_bytes()
    caches = platformdirs.user_cache_path("echoic", appauthor=False) / "tests"
    folder = caches / f"neo4j-{version}-{hashlib.sha256(sources).hexdigest()[:12]}"
    caches.mkdir(parents=True, exist_ok=True)
    with _alone(caches / "neo4j.lock"):
        if not folder.is_dir():
            _fetch(folder, version)
    return f"{folder}{os.pathsep}{folder / 'lib'}/*"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _fetch(folder: Path, version: str) -> None:
    """Under another name until it is whole."""
    with tempfile.TemporaryDirectory(prefix="neo4j-", dir=folder.parent) as name:
        unfinished = Path(name) / "whole"
        unfinished.mkdir()
        shutil.copy(HERE / "pom.xml", name)
        lib = unfinished / "lib"
        maven = ["mvn", "-q", "-B", "-f", f"{name}/pom.xml", f"-Dneo4j.version={version}"]
        copy = ["dependency:copy-dependencies", f"-DoutputDirectory={lib}", "-DincludeScope=runtime"]
        _run("Maven", *maven, *copy)
        _run("javac", "javac", "-cp", f"{lib}/*", "-d", str(unfinished), str(HERE / "Neo.java"))
        unfinished.rename(folder)


def _run(what: str, *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        last = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()][:1]
        raise Neo4jMissing(
            f"{what} could not prepare Neo4j for the tests: {''.join(last) or done.returncode}"
        )


class Neo4jServer:
    """One server on a folder and a port of its own; it can be halted, killed and started again there.

    Args:
        folder: data and log; made if missing.
        classes: what `class_path` gave.
    """

    user = "neo4j"
    password = "correct-horse-battery"

    def __init__(self, folder: Path, classes: str) -> None:
        (self._port,) = free_ports(1)
        self._folder, self._classes = folder, classes
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"bolt://{LOOPBACK}:{self._port}"

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of `MemorySettings` that name it."""
        return {"neo4j_url": self.url, "neo4j_user": self.user, "neo4j_password": SecretStr(self.password)}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Return once it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "out.log"
        command = [
            "java",
            *JAVA_OPTIONS,
            "-cp",
            self._classes,
            "Neo",
            str(self._folder / "data"),
            str(self._port),
        ]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=os.environ | {"NEO4J_PASSWORD": self.password},
            )
        deadline = time.monotonic() + START_S
        while b"READY" not in log.read_bytes():
            assert self._process.poll() is None, log.read_text(errors="replace")[-2_000:]
            assert time.monotonic() < deadline, f"Neo4j is silent after {START_S:g} s"
            time.sleep(POLL_S)

    def halt(self) -> None:
        """It hangs, with its connections open, until `go_on`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume_conversation(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """At once, without a chance to write anything; `start` brings back what it had promised to keep."""
        assert self._process is not None
        self._process.kill()
        self._end()

    def stop(self) -> None:
        """In order, if it runs."""
        if self._process is not None:
            self.resume_conversation()
            self._end()

    def _end(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
