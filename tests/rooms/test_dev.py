"""`echoic dev` as a person runs it: it says what runs where, a caller who joins by its page is answered, and Ctrl-C leaves nothing."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from local.livekit_server import LiveKitServer
from tests.fakes import ScriptedModel
from tests.processes import ROOT, wait_gone, wait_until
from tests.rooms.harness import Caller

START_S = 100.0
STOP_S = 30.0


class Dev:
    """One running `echoic dev`."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self.process, self._said = process, said

    def said(self) -> str:
        return self._said.read_text()

    def page(self) -> str:
        """The address to join by; waits for it."""
        wait_until(lambda: "Join" in self.said() or self.process.poll() is not None, START_S)
        found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", self.said())
        assert found, self.said()
        return found[0]

    def everything(self) -> list[psutil.Process]:
        """All processes that it started, keepers and servers included."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def agents(self) -> list[psutil.Process]:
        """The agent worker; none while it is being started."""
        children = psutil.Process(self.process.pid).children()
        return [process for process in children if "livekit.agents" in process.cmdline()]


@contextmanager
def dev(folder: Path, program: Path, **env: str) -> Iterator[Dev]:
    """`echoic dev` on a data folder, ended by Ctrl-C if it still runs."""
    path = os.pathsep.join([str(folder.parent / "bin"), os.environ["PATH"]])
    (folder.parent / "bin").mkdir()
    (folder.parent / "bin" / "livekit-server").symlink_to(program)
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    said = folder.parent / f"{folder.name}.said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "cli.py"), "dev", "--data-dir", str(folder)],
            env={**kept, "PATH": path, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder.parent,
        )
    running = Dev(process, said)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(STOP_S)


@pytest.mark.timeout(240)  # everything starts anew: two stores are made, three interpreters import LiveKit
async def test_a_caller_is_answered_and_ctrl_c_leaves_nothing(program: Path, tmp_path: Path):
    """No keys at all but a model: speech of this machine. The page lets a caller in, who writes, and hears and reads the reply."""
    with ScriptedModel(otherwise="Biscuit is a lovely name.") as model:
        told = {"ECHOIC_LLM_URL": model.url, "ECHOIC_LLM_MODEL": model.name, "ECHOIC_EXTRACTOR": "off"}
        with dev(tmp_path / "data", program, **told) as running:
            page = running.page()
            async with httpx.AsyncClient(trust_env=False) as browser:
                admitted = (await browser.post(page + "join", json={"user": "maya"})).json()
            livekit = LiveKitServer(admitted["url"], "", "")
            async with Caller(livekit, admitted["room"], "maya", token=admitted["token"]) as caller:
                await caller.wait_agent()
                sent = time.monotonic()
                await caller.chat("My dog is called Biscuit.")
                await caller.wait_text("lovely", after=sent)
                await caller.wait_heard(sent)
            started = [process.pid for process in running.everything()]
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(STOP_S) == 0
        wait_gone(started)
    lines = running.said().splitlines()
    assert [line.split()[0] for line in lines] == ["Stores", "LiveKit", "Speech", "Model", "Logs", "Join", "Stopping", "Stopped;"]


@pytest.mark.timeout(240)
def test_two_stacks_side_by_side_and_one_that_is_killed(program: Path, tmp_path: Path):
    """Each has its own page, stores and server. An agent that dies is started again with a line; `kill -9` leaves nothing behind."""
    told = {"ECHOIC_LLM_URL": "http://127.0.0.1:9/v1", "ECHOIC_LLM_MODEL": "none"}
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with dev(tmp_path / "one" / "data", program, **told) as one, dev(tmp_path / "two" / "data", program, **told) as two:
        assert one.page() != two.page()
        (agent,) = one.agents()
        agent.kill()
        wait_until(lambda: "agent ended with code -9; it is started again" in one.said())
        wait_until(lambda: any(process.pid != agent.pid for process in one.agents()))
        started = [process.pid for process in one.everything()]
        one.process.kill()
        one.process.wait()
        wait_gone(started, 20.0)
        assert two.process.poll() is None and httpx.get(two.page(), trust_env=False).status_code == 200
