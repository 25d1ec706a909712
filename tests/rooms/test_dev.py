"""`echoic dev` as a person runs it: it says what runs where, answers a caller, and Ctrl-C leaves nothing."""

import signal
import time
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from echoic.local.dev.livekit_server import LiveKitServer
from tests.fakes import ScriptedModel
from tests.processes import wait_gone, wait_until
from tests.rooms.dev_stack import STOP_S, dev
from tests.rooms.harness import Caller


@pytest.mark.timeout(240)  # everything starts anew: two stores are made, three interpreters import LiveKit
async def test_a_caller_is_answered_and_ctrl_c_leaves_nothing(program: Path, tmp_path: Path):
    """No keys at all but a model: speech of this machine.

    The page lets a caller in, who writes, and hears and reads the reply.
    """
    with ScriptedModel(otherwise="Biscuit is a lovely name.") as model:
        told = {"ECHOIC_LLM_URL": model.url, "ECHOIC_LLM_MODEL": model.name, "ECHOIC_EXTRACTOR": "off"}
        with dev(tmp_path / "data", program, **told) as running:
            page = running.page()
            async with httpx.AsyncClient(trust_env=False) as browser:
                ticket = await browser.post(urljoin(page, "/v1/users/maya/talk"))
            admitted = ticket.json()
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
    firsts = [line.split()[0] for line in lines]
    assert firsts == "Stores LiveKit Speech Model Logs Join Stopping Stopped;".split()


@pytest.mark.timeout(240)
def test_two_stacks_side_by_side_and_one_that_is_killed(program: Path, tmp_path: Path):
    """Each has its own page, stores and server.

    An agent that dies is started again with a line; `kill -9` leaves nothing behind.
    """
    told = {"ECHOIC_LLM_URL": "http://127.0.0.1:9/v1", "ECHOIC_LLM_MODEL": "none"}
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        dev(tmp_path / "one" / "data", program, **told) as one,
        dev(tmp_path / "two" / "data", program, **told) as two,
    ):
        assert one.page() != two.page()
        (agent,) = one.agents()
        agent.kill()
        wait_until(lambda: "agent ended with code -9; it is started again" in one.said())
        wait_until(lambda: any(process.pid != agent.pid for process in one.agents()))
        started = [process.pid for process in one.its_own()]
        one.process.kill()
        one.process.wait()
        wait_gone(started, 20.0)
        assert two.process.poll() is None and httpx.get(two.page(), trust_env=False).status_code == 200
