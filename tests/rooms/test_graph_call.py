"""A call by voice with the graph on: it answers in time, and a graph that hangs costs nothing."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from pydantic import SecretStr

from echoic.local.dev.livekit_server import LiveKitServer
from echoic.local.servers.graph_server import open_graph
from echoic.local.servers.stores import open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.graph import ledger as graph_ledger
from echoic.memory.service import open_memory
from echoic.memory.store.database import Connection
from echoic.memory.types import Fact
from echoic.workers.graph.ingest import open_ingester
from tests.fakes import Request, ScriptedModel
from tests.rooms.harness import Caller
from tests.rooms.speech import Voice
from tests.rooms.worker import BUDGET_MS, AgentWorker, agent_worker, environment_of

AGENT = "echoic"
pytestmark = pytest.mark.timeout(300)  # a worker, three stores and two voices start


def what_it_sees(request: Request) -> str:
    """The model names the dog if it was told about one."""
    said = [str(message["content"]) for message in request["messages"] if message["role"] == "user"]
    return "Your dog is Biscuit." if "Biscuit" in str(said) else "I do not know that."


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[MemorySettings]:
    with open_stores(tmp_path) as stores, open_graph(tmp_path) as url:
        yield load_settings(
            database_url=stores.database_url,
            redis_url=stores.redis_url,
            data_dir=tmp_path,
            graph="on",
            falkordb_url=SecretStr(url),
        )


@pytest.fixture
def worker(livekit: LiveKitServer, settings: MemorySettings, tmp_path: Path) -> Iterator[AgentWorker]:
    with ScriptedModel(otherwise=what_it_sees) as model:
        graph = {"ECHOIC_GRAPH": "on", "ECHOIC_FALKORDB_URL": settings.falkordb_url.get_secret_value()}
        told = {"LIVEKIT_AGENT_NAME": AGENT, "ECHOIC_TURN_DETECTION": "vad", **graph}
        with agent_worker(
            livekit, environment_of(settings, llm_url=model.url, **told), tmp_path / "log"
        ) as running:
            yield running


@pytest.fixture
async def user(settings: MemorySettings) -> AsyncIterator[str]:
    """Somebody whose graph holds one thing that was learned."""
    user = f"user-{uuid4().hex[:8]}"
    text = "Has a dog called Biscuit"
    async with open_memory(settings) as memory:
        learned = Fact(uuid4(), user, text, "pets", 0.5, "user", AGENT, datetime.now(UTC))
        vector = await memory.embedder.embed_batch([text])

        async def put(connection: Connection) -> None:
            await memory.facts.add(connection, [learned], vector)
            await graph_ledger.mark_due(connection, user, AGENT)

        await memory.db.transaction(put)
        ingester = open_ingester(memory)
        assert ingester is not None
        assert (await ingester.ingest(user)).relations == 1
        await ingester.close()
        yield user


async def test_the_graph_answers_by_voice_and_may_hang(
    livekit: LiveKitServer, settings: MemorySettings, worker: AgentWorker, voice: Voice, user: str
) -> None:
    """The same question twice: the graph answers, then stands still, and the reply comes all the same."""
    question = await voice("What is the name of my dog?")
    with redis.Redis.from_url(settings.falkordb_url.get_secret_value()) as client:
        server = int(client.info("server")["process_id"])
    async with Caller(
        livekit,
        f"room-{uuid4().hex[:8]}",
        "caller",
        agent_name=AGENT,
        job_metadata=json.dumps({"user_id": user}),
    ) as caller:
        await caller.wait_agent(60)
        await ask(caller, question)
        os.kill(server, signal.SIGSTOP)
        try:
            await ask(caller, await voice("And how old is my dog now?"))
        finally:
            os.kill(server, signal.SIGCONT)
    first, second = await turns_logged(worker, 2)
    assert (first["graph"], first["facts"]) == ("ok", "ok")
    assert second["graph"] in ("late", "failed", "skipped") and second["facts"] == "ok"
    assert second["recall_ms"] < 2 * BUDGET_MS  # the deadline, and what a busy machine adds to it


async def ask(caller: Caller, words: bytes) -> None:
    began = time.monotonic()
    ended = await caller.say(words)
    await caller.wait_text("Your dog is Biscuit", after=began)
    await caller.wait_quiet(ended)


async def turns_logged(worker: AgentWorker, count: int) -> list[dict[str, Any]]:
    """The log's line for each turn of the caller that memory was asked for."""
    async with asyncio.timeout(30):
        while True:
            found = re.findall(r"echoic\.turn - turn \S*(\{.*?\})", worker.output())
            turns = [turn for turn in map(json.loads, found) if "recall_ms" in turn]
            if len(turns) >= count:
                return turns
            await asyncio.sleep(0.1)
