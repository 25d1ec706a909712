"""`echoic api` and `echoic keys` as one runs them: real processes, a real port."""

import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from echoic.api.config import load_api_settings
from echoic.api.server import serve
from echoic.memory.errors import ConfigInvalid
from tests.processes import ROOT, environment

pytestmark = pytest.mark.timeout(180)  # each process imports for two seconds, ten on a busy machine
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@pytest.fixture
def variables(memory_settings):
    return environment(
        {
            "ECHOIC_DATABASE_URL": memory_settings.database_url.get_secret_value(),
            "ECHOIC_REDIS_URL": memory_settings.redis_url.get_secret_value(),
            "ECHOIC_DATA_DIR": str(memory_settings.data_dir),
        }
    )


def echoic(variables, *words, status=0):
    command = [sys.executable, "-m", "echoic", *words]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=90)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@contextmanager
def served(variables, *options):
    """The API while the block runs: its address, and what it says at start; SIGTERM ends it in order."""
    command = [sys.executable, "-m", "echoic", "api", "--port", "0", *options]
    with subprocess.Popen(command, cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True) as running:
        try:
            said = [running.stderr.readline(), running.stderr.readline()]
            assert ADDRESS.search(said[0]), said + running.stderr.readlines()
            yield ADDRESS.search(said[0])[0], " ".join(said)
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) in (0, -signal.SIGTERM)


def test_memobase_alone(variables):
    """`--memobase` says how its clients reach it, and answers them only."""
    key = echoic(variables, "keys", "add", "a program", "--role", "admin").strip()
    with (
        served(variables, "--memobase") as (address, said),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        assert f"project_url={address}" in said
        headers = {"Authorization": f"Bearer {key}"}
        assert client.post("/api/v1/users", json={}, headers=headers).json()["errno"] == 0
        assert client.get("/v1/users", headers=headers).status_code == 404


def test_a_key_is_made_used_listed_and_revoked(variables):
    """From the command line to a request and back."""
    key = echoic(variables, "keys", "add", "my program", "--role", "service").strip()
    (listed,) = json.loads(echoic(variables, "keys", "list", "--json"))
    assert (listed["name"], listed["role"]) == ("my program", "service") and key not in json.dumps(listed)
    with served(variables) as (address, said), httpx.Client(base_url=address, timeout=30) as client:
        assert "needs a key" in said
        headers = {"Authorization": f"Bearer {key}"}
        made = client.post("/v1/users/a%2Fb/facts", json={"text": "Has a dog."}, headers=headers)
        assert made.status_code == 201 and made.headers.get("server") is None
        assert client.get("/v1/users/a%2Fb", headers=headers).json()["facts"] == 1
        assert client.get("/v1/users").status_code == 401
        echoic(variables, "keys", "revoke", listed["key_id"])
        assert client.get("/v1/users", headers=headers).status_code == 401
    assert "revoked" in echoic(variables, "keys", "list")


def test_development_is_said_at_start(variables):
    """Nobody needs a key, and the first lines say so."""
    with served(variables, "--dev") as (address, said):
        assert "without a key" in said and httpx.get(f"{address}/v1/me").json()["role"] == "admin"


def test_what_cannot_be_is_a_sentence(variables):
    """A key that nobody has, a role without its person."""
    unknown = "00000000-0000-0000-0000-000000000000"
    assert unknown in echoic(variables, "keys", "revoke", unknown, status=1)
    assert "--user" in echoic(variables, "keys", "add", "x", "--role", "user", status=1)


async def test_development_is_for_this_machine_only(memory_settings):
    """Another address is refused before anything is opened; a port in use too."""
    with pytest.raises(ConfigInvalid, match="is for 127"):
        await serve(memory_settings, load_api_settings(host="0.0.0.0"), development=True, say=print)
    for host, why in (("192.0.2.1", "another address"), ("no.invalid", r"\((?!Unknown).*another address")):
        with pytest.raises(ConfigInvalid, match=why):
            await serve(memory_settings, load_api_settings(host=host), development=False, say=print)


@pytest.mark.parametrize(("name", "value"), [("PORT", "70000"), ("RATE_PER_MINUTE", "0"), ("STREAMS", "x")])
def test_a_setting_that_is_wrong_is_named(monkeypatch, name, value):
    """In the sentence with which the start ends."""
    monkeypatch.setenv(f"ECHOIC_API_{name}", value)
    with pytest.raises(ConfigInvalid, match=f"ECHOIC_API_{name}"):
        load_api_settings()


def test_names_of_hosts_are_read_as_a_list():
    """With this machine's own."""
    assert {"a.example", "b.example", "localhost"} <= load_api_settings(
        hosts=" A.example, b.example,,"
    ).host_names
