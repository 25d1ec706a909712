"""`echoic mcp` as a client starts it: a process of its own, one user, standard output for the protocol."""

import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from mcp import Client, StdioServerParameters

from tests.clients.mcp.test_tools import refused, told
from tests.processes import ROOT, environment

pytestmark = pytest.mark.timeout(180)  # each process imports for two seconds, ten on a busy machine
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture
def variables(memory_settings):
    return environment(
        {
            "ECHOIC_DATABASE_URL": memory_settings.database_url.get_secret_value(),
            "ECHOIC_REDIS_URL": memory_settings.redis_url.get_secret_value(),
            "ECHOIC_DATA_DIR": str(memory_settings.data_dir),
        }
    )


def command(*words):
    return [sys.executable, "-m", "echoic", "mcp", *words]


@asynccontextmanager
async def started(variables, *words, mode="auto", **more):
    program, *arguments = command(*words)
    server = StdioServerParameters(command=program, args=arguments, env=variables | more, cwd=ROOT)
    async with Client(server, mode=mode) as client:
        yield client


def ended(variables, *words, said=""):
    return subprocess.run(
        command(*words), cwd=ROOT, env=variables, input=said, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_starts_it_for_one_user(variables, mode):
    """By the option or by the variable; somebody else's process knows nothing of them."""
    async with started(variables, "--user", "ana", mode=mode) as client:
        assert "Biscuit" in await told(client, "save_memory", text="My dog is called Biscuit.")
        assert "Biscuit" in await told(client, "search_memories", query="What is my dog called?")
        assert "`text`" in await refused(client, "save_memory")
    async with started(variables, mode=mode, ECHOIC_MCP_USER="bo") as client:
        assert "Biscuit" not in await told(client, "search_memories", query="What is my dog called?")
    async with started(variables, mode=mode, ECHOIC_MCP_USER="ana") as client:
        assert "Biscuit" in await told(client, "forget", about="my dog")


def test_standard_output_is_the_protocols(variables):
    """Each line of it is a message, and the end of the input ends the process in order."""
    messages = [
        HELLO,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    said = "".join(f"{json.dumps(message)}\n" for message in messages)
    with subprocess.Popen(
        command("--user", "ana"),
        cwd=ROOT,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        running.stdin.write(said + "this is no message\n")
        running.stdin.flush()
        answers = [json.loads(running.stdout.readline()) for _ in range(2)]
        running.stdin.close()
        rest = running.stdout.read()
        assert running.wait(60) == 0
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[0]["result"]["serverInfo"]["name"] == "echoic"
    assert all("jsonrpc" in json.loads(line) for line in rest.splitlines())


def test_it_ends_when_it_is_told_to(variables):
    """SIGTERM, while the client's end of the stream is still open."""
    with subprocess.Popen(
        command("--user", "ana"),
        cwd=ROOT,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        running.stdin.write(f"{json.dumps(HELLO)}\n")
        running.stdin.flush()
        assert running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("words", "more", "says"),
    [
        ((), {}, "--user ID"),
        (("--user", " "), {}, "A user id is"),
        (("--user", "ana"), {"ECHOIC_DATABASE_URL": "postgresql://127.0.0.1:1/none"}, "Postgres"),
        (("--http", "--host", "192.0.2.1"), {}, "another address or port"),
    ],
)
def test_what_cannot_be_is_a_sentence(variables, words, more, says):
    """On standard error, with exit code 1; nothing on standard output."""
    done = ended(variables | more, *words)
    assert done.returncode == 1 and says in done.stderr and not done.stdout, done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_it_says_what_to_install(variables):
    """In one sentence."""
    script = "import sys; sys.modules['mcp'] = None; from echoic.__main__ import main; main()"
    run = [sys.executable, "-c", script, "mcp", "--user", "ana"]
    done = subprocess.run(run, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and 'pip install "echoic[mcp]"' in done.stderr and not done.stdout


def test_the_example_does_what_it_says(variables):
    """From saying to being told."""
    run = [sys.executable, "examples/clients/over_mcp.py", "ana", "What is my dog called?"]
    done = subprocess.run(run, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Biscuit" in done.stdout, done.stderr


def test_over_http_it_says_where(variables):
    """Real process, real port, and it needs a key."""
    import httpx

    with subprocess.Popen(
        command("--http", "--port", "0"), cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            said = running.stderr.readline()
            address = next(word for word in said.split() if word.startswith("http://")).rstrip(";")
            assert address.endswith("/mcp") and httpx.post(address, json=HELLO).status_code == 401
            assert httpx.get(address.removesuffix("/mcp") + "/livez").status_code == 200
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) in (0, -signal.SIGTERM)
