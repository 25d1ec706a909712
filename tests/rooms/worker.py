"""The agent worker as it runs in production: a process of its own, whose calls are processes too."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from echoic.local.dev.livekit_server import LiveKitServer
from echoic.memory.config import MemorySettings
from tests.processes import ROOT

REGISTERED = "registered worker"
START_S = 45.0  # 6-10 s on an idle machine, 21 s at worst
STOP_S = 15.0
POLL_S = 0.05
BUDGET_MS = 1_000
"""For memory in a call: a busy machine may need more than the usual 150, and a store that hangs shows all the
same."""


class AgentWorker:
    """One running worker; everything it said is in `log`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self.log = process, log

    @property
    def pid(self) -> int:
        return self._process.pid

    def output(self) -> str:
        """What it said so far."""
        return self.log.read_text(errors="replace")

    def descendants(self) -> list[psutil.Process]:
        """Its processes, those of the calls among them; call processes are children of a fork server."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def send(self, number: signal.Signals) -> None:
        """Send the worker itself a signal."""
        self._process.send_signal(number)

    def wait(self, limit_s: float) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait(limit_s)

    def wait_said(self, text: str, limit_s: float = START_S) -> None:
        """Return once its log holds `text`."""
        deadline = time.monotonic() + limit_s
        while text not in self.output():
            assert self._process.poll() is None, (
                f"the worker ended with code {self._process.returncode}:\n{self.output()[-4000:]}"
            )
            assert time.monotonic() < deadline, f"not within {limit_s:g} s: {text}\n{self.output()[-4000:]}"
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End it, and whatever it started."""
        left = self.descendants()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for process in left:
            if process.is_running():
                process.kill()


@contextmanager
def agent_worker(
    livekit: LiveKitServer,
    env: Mapping[str, str],
    log: Path,
    *,
    entry: str = "agent/main.py",
    dev: bool = True,
) -> Iterator[AgentWorker]:
    """`python -m livekit.agents start <entry>`, registered when the block begins.

    Args:
        env: settings beside those of LiveKit, e.g. `environment_of(memory_settings)`.
        dev: without it, SIGTERM waits until every call has ended.
    """
    command = [
        sys.executable,
        "-m",
        "livekit.agents",
        "start",
        entry,
        "--log-format",
        "json",
        *(["--dev"] if dev else []),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**_bare_environment(), **livekit.environment, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    worker = AgentWorker(process, log)
    try:
        worker.wait_said(REGISTERED)
        yield worker
    finally:
        worker.stop()


def environment_of(settings: MemorySettings, *, llm_url: str = "", **more: str) -> dict[str, str]:
    """A worker's environment: the test's own stores, the model at `llm_url`, speech of this machine."""
    return {
        "ECHOIC_DATABASE_URL": settings.database_url.get_secret_value(),
        "ECHOIC_REDIS_URL": settings.redis_url.get_secret_value(),
        "ECHOIC_DATA_DIR": str(settings.data_dir),
        "ECHOIC_LLM_URL": llm_url,
        "ECHOIC_LLM_API_KEY": "scripted",
        "ECHOIC_LLM_MODEL": "scripted",
        "ECHOIC_SPEECH": "local",
        "ECHOIC_RECALL_BUDGET_MS": str(BUDGET_MS),
        **more,
    }


def _bare_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
