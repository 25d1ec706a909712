"""A worker's health and load, against a real LiveKit server and a real Postgres."""

import asyncio
import logging
import math
import socket
import time

import aiohttp
from livekit.agents import JobContext, JobExecutorType

from echoic.agent.worker.health import HealthyServer
from echoic.agent.worker.load import Load
from echoic.local.dev.livekit_server import LiveKitServer
from tests.rooms.harness import Caller

LIMIT_S = 30.0


async def get(port: int, path: str = "/") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


async def wait_health(port: int, status: int) -> str:
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                answer = await get(port)
            except aiohttp.ClientConnectionError:
                answer = (0, "")
            if answer[0] == status:
                return answer[1]
            await asyncio.sleep(0.1)


def worker(url: str, key: str, secret: str, port: int, load: Load) -> HealthyServer:
    server = HealthyServer(
        ws_url=url,
        api_key=key,
        api_secret=secret,
        host="127.0.0.1",
        port=port,
        num_idle_processes=0,
        job_executor_type=JobExecutorType.THREAD,
        load_fnc=load.reported,
        load_threshold=math.inf,
    )

    @server.rtc_session(agent_name="healthy", on_request=load.answer)
    async def entrypoint(job: JobContext) -> None:
        await job.connect()

    return server


class Proxy:
    """A way to a server that can be cut: LiveKit or Postgres disappears without being stopped."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(*self._target)
        self._writers |= {writer, to_there}
        await asyncio.gather(self._pump(reader, to_there), self._pump(there, writer))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(sink)
            sink.transport.abort()


def busy() -> float:
    time.sleep(0.02)
    return 1.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_health_is_ok_only_while_livekit_and_postgres_answer(
    livekit: LiveKitServer, database_url, monkeypatch
):
    """LiveKit goes, comes back; then Postgres goes. `/live` is OK throughout."""
    host, _, port = livekit.url.removeprefix("ws://").partition(":")
    proxy = Proxy(host, int(port))
    proxy_port = await proxy.open()
    monkeypatch.setenv("ECHOIC_DATABASE_URL", database_url)
    health_port = free_port()
    server = worker(
        f"ws://127.0.0.1:{proxy_port}", livekit.api_key, livekit.api_secret, health_port, Load(1.0)
    )
    running = asyncio.create_task(server.run(devmode=True))
    try:
        assert await wait_health(health_port, 200) == "OK"
        await proxy.cut()
        assert "LiveKit" in await wait_health(health_port, 503)
        assert await get(health_port, "/live") == (200, "OK")
        await proxy.open(proxy_port)
        assert await wait_health(health_port, 200) == "OK"
        monkeypatch.setattr(server._database, "_url", "postgresql://nobody@127.0.0.1:1/none")
        await server._database.close()
        assert "Postgres" in await wait_health(health_port, 503)
        assert await get(health_port, "/live") == (200, "OK")
    finally:
        await server.aclose()
        await running
        await proxy.cut()


async def test_a_busy_worker_refuses_aloud_and_takes_calls_again(
    livekit: LiveKitServer, database_url, room, monkeypatch, caplog
):
    """Production: a dispatched call is refused with a log line; in development the same worker takes it."""
    monkeypatch.setenv("ECHOIC_DATABASE_URL", database_url)
    load = Load(0.5, sample=busy)
    server = worker(livekit.url, livekit.api_key, livekit.api_secret, free_port(), load)
    registered = asyncio.Event()
    server.on("worker_registered", lambda *_: registered.set())
    running = asyncio.create_task(server.run())
    await registered.wait()
    try:
        while load.current() < 1.0:
            await asyncio.sleep(0.01)
        with caplog.at_level(logging.WARNING, "echoic.load"):
            async with (
                Caller(livekit, room, "alice", microphone=False, agent_name="healthy"),
                asyncio.timeout(LIMIT_S),
            ):
                while not load.refused:
                    await asyncio.sleep(0.05)
        assert "call.refused" in [record.message for record in caplog.records]
        load.never_refuse = True
        async with (
            Caller(livekit, f"{room}-2", "alice", microphone=False, agent_name="healthy") as caller,
            asyncio.timeout(LIMIT_S),
        ):
            while not caller.agents:
                await asyncio.sleep(0.05)
    finally:
        await server.aclose()
        await running
