"""The last client of the SDK's first line, in an environment of its own: needs a package index."""

import asyncio
import json
import subprocess
import sys

import pytest

from echoic.api.access.keys import add_key
from echoic.api.mcp.tools import TOOLS
from tests.clients.run import OLDER_MCP, environment_with
from tests.processes import ROOT, environment

SCRIPT = ROOT / "tests" / "clients" / "mcp" / "older_client.py"
pytestmark = pytest.mark.timeout(300)  # the first time it is installed


@pytest.fixture(scope="module")
def python():
    """Made once; nothing of ours is in it."""
    return str(environment_with("mcp-older", OLDER_MCP))


def check(told):
    assert told["version"].startswith("2025") and told["tools"] == list(TOOLS)
    saved, found, empty, forgotten = told["answers"]
    assert [answer[0] for answer in told["answers"]] == [False, False, True, False]
    assert all("Biscuit" in answer[1] for answer in (saved, found, forgotten)) and "`query`" in empty[1]
    assert told["profile"] == "Nothing is known about this user yet."


async def test_over_http(served, python):
    """Handshake, tools, errors and the resource."""
    key, _ = await add_key(served.memory.db, "an older client", "user", "ana")
    process = await asyncio.create_subprocess_exec(
        *(python, str(SCRIPT), "http", served.url, key), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    check(json.loads(out))


def test_over_standard_streams(memory_settings, python):
    """The same, from a process that the client starts."""
    settings = {
        "ECHOIC_DATABASE_URL": memory_settings.database_url.get_secret_value(),
        "ECHOIC_REDIS_URL": memory_settings.redis_url.get_secret_value(),
        "ECHOIC_DATA_DIR": str(memory_settings.data_dir),
    }
    variables = [f"{name}={value}" for name, value in settings.items()]  # the SDK passes none of ours on
    server = ["/usr/bin/env", *variables, sys.executable, "-m", "echoic", "mcp", "--user", "ana"]
    run = [python, str(SCRIPT), "stdio", *server]
    done = subprocess.run(run, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    check(json.loads(done.stdout))
