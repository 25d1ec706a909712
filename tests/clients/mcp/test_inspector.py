"""The protocol's own inspector on its command line: needs a package index the first time."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from echoic.api.access.keys import add_key
from echoic.api.mcp.tools import TOOLS
from tests.clients.programs import BIN, npm_folder, with_node
from tests.processes import ROOT, environment

pytestmark = pytest.mark.timeout(300)  # the first time it is installed
ERAS = ("legacy", "modern")
"""Of the protocol: with a handshake, and today's."""
SAVES = ("save_memory", {"text": "My dog is called Biscuit."})
ASKS = ("search_memories", {"query": "What is my dog called?"})


@pytest.fixture(scope="module")
def inspector():
    """The command, without the server."""
    script = npm_folder("mcp", Path(__file__).parent) / "node_modules" / ".bin" / "mcp-inspector"
    return [str(BIN / "node"), str(script), "--cli", "--format", "json", "--quiet", "--stored-auth-only"]


@pytest.fixture
def ask(inspector, tmp_path):
    """Run it to its end: its result, or what it says of the failure."""

    def asked(*words, fails=False):
        home = {"HOME": str(tmp_path)}  # it keeps a catalogue there
        run = [*inspector, *words]
        done = subprocess.run(
            run, cwd=ROOT, env=environment(with_node(home)), capture_output=True, text=True, timeout=200
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr if fails else json.loads(done.stdout)

    return asked


def called(tool, arguments):
    return ["--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments)]


def text_in(answer):
    return answer["result"]["content"][0]["text"] if "result" in answer else answer["content"][0]["text"]


@pytest.mark.parametrize("era", ERAS)
async def test_over_http(served, ask, era):
    """With a bearer key: the list of tools has no problem that it knows of, and words come back."""
    key, _ = await add_key(served.memory.db, "the inspector", "user", "ana")
    server = ["--server-url", served.url, "--transport", "http", "--header", f"Authorization: Bearer {key}"]
    server += ["--protocol-era", era]

    def talk():
        listed = ask(*server, "--method", "tools/list", "--strict")
        assert {tool["name"] for tool in listed.get("result", listed)["tools"]} == set(TOOLS)
        assert "Biscuit" in text_in(ask(*server, *called(*SAVES)))
        assert "Biscuit" in text_in(ask(*server, *called(*ASKS)))
        assert "`query`" in ask(*server, *called("search_memories", {"query": ""}), fails=True)
        read = ask(*server, "--method", "resources/read", "--uri", "echoic://profile")
        assert "Nothing is known" in json.dumps(read)

    await asyncio.to_thread(talk)
    assert [turn.text for turn in await served.memory.turns.list("ana")] == ["My dog is called Biscuit."]


async def test_without_a_key_it_is_let_in_nowhere(served, ask):
    """It says so, and does not go looking for a login."""
    server = ["--server-url", served.url, "--transport", "http"]
    said = await asyncio.to_thread(ask, *server, "--method", "tools/list", fails=True)
    assert "401" in said or "auth" in said.lower()


def test_over_standard_streams(memory_settings, ask):
    """It starts `echoic mcp`, three times: what one saved the next finds. In its own era, the handshake's."""
    settings = {
        "ECHOIC_DATABASE_URL": memory_settings.database_url.get_secret_value(),
        "ECHOIC_REDIS_URL": memory_settings.redis_url.get_secret_value(),
        "ECHOIC_DATA_DIR": str(memory_settings.data_dir),
    }
    variables = [word for name, value in settings.items() for word in ("-e", f"{name}={value}")]
    options = [*variables, "--connect-timeout", "120000"]
    server = ["--", sys.executable, "-m", "echoic", "mcp", "--user", "ana"]
    listed = ask(*options, "--method", "tools/list", "--strict", *server)
    assert {tool["name"] for tool in listed.get("result", listed)["tools"]} == set(TOOLS)
    assert "Biscuit" in text_in(ask(*options, *called(*SAVES), *server))
    assert "Biscuit" in text_in(ask(*options, *called(*ASKS), *server))
