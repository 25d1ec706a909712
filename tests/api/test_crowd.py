"""Many at once, very large and very slow ones, on real connections: a clear answer, and others go on."""

import asyncio
import re
import socket
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import uvicorn

from echoic.api import patience
from echoic.api.access.keys import add_key
from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.api.server import BACKLOG, configured

CLIENTS = 200
STREAMS, MOST_STREAMS = 10_000, 100
LARGE = 100 * 2**20


@asynccontextmanager
async def listening(memory, **settings):
    """The API as `echoic api` serves it: its address, and a key."""
    key, _ = await add_key(memory.db, "the crowd", "admin")
    async with serving(memory, load_api_settings(**settings)) as app:
        with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
            server = uvicorn.Server(configured(app))
            running = asyncio.create_task(server.serve(sockets=[listener]))
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", {"Authorization": f"Bearer {key}"}
            server.should_exit = True
            await running


@pytest.fixture
async def served_to_many(memory):
    async with listening(memory, rate_per_minute=1_000_000) as found:
        yield found


async def raw(address):
    """A connection on which anything may be sent."""
    parts = urlsplit(address)
    return await asyncio.open_connection(parts.hostname, parts.port)


def request_head(path, headers, *more):
    lines = [path, "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items()), *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def test_two_hundred_clients_at_once(served_to_many):
    """Each writes and reads its own person's memory: nobody waits in vain, and nobody sees another's."""
    address, headers = served_to_many
    limits = httpx.Limits(max_connections=CLIENTS)

    async def one(client, number):
        path = f"/v1/users/user-{number}"
        answers = [await client.post(f"{path}/facts", json={"text": f"Owns boat {number}"}) for _ in range(2)]
        listed = await client.get(f"{path}/facts")
        found = await client.post(f"{path}/search", json={"text": "Which boat?", "budget_ms": 10_000})
        for answer in (*answers, listed, found):
            assert answer.is_success, answer.text
        assert {one["text"] for one in listed.json()["items"]} == {f"Owns boat {number}"}
        boats = set(re.findall(r"boat (\d+)", found.json()["block"]))
        assert boats == {str(number)}

    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60, limits=limits) as client:
        await asyncio.gather(*(one(client, number) for number in range(CLIENTS)))
        assert (await client.get("/v1/statistics")).json()["users"] == CLIENTS


@pytest.mark.timeout(180)
async def test_ten_thousand_streams_are_refused_politely(memory):
    """As many as there may be stay open and hear what happens; the others are told to come again."""
    async with listening(memory, rate_per_minute=1_000_000, streams=MOST_STREAMS) as (address, headers):
        opened, statuses = [], []
        ask = request_head("GET /v1/events HTTP/1.1", headers)
        room = asyncio.Semaphore(300)  # at once under way: with the open ones, fewer than 1,024 files

        async def one():
            async with room:
                reader, writer = await raw(address)
                writer.write(ask)
                head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).decode().lower()
                statuses.append(int(head.split()[1]))
                if statuses[-1] == 200:
                    opened.append((reader, writer))
                    return
                assert "retry-after: 30" in head, head
                writer.close()

        await asyncio.gather(*(one() for _ in range(STREAMS)))
        assert (statuses.count(200), statuses.count(503)) == (MOST_STREAMS, STREAMS - MOST_STREAMS)
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=10) as client:
            made = await client.post("/v1/users/ana/facts", json={"text": "Has a dog."})
            assert made.status_code == 201
        for reader, writer in opened:
            await asyncio.wait_for(reader.readuntil(b"fact.added"), 20)
            writer.close()


async def test_a_hundred_megabytes_are_refused(served_to_many):
    """By what they say, or when they become too many: the answer comes, and nothing of it is kept."""
    address, headers = served_to_many

    async def pieces():
        for _ in range(LARGE // 2**16):
            yield b"x" * 2**16

    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client:
        before = psutil.Process().memory_info().rss
        for length in ({"Content-Length": str(LARGE)}, {}):
            answer = await client.post("/v1/users/ana/facts", content=pieces(), headers=length)
            assert answer.status_code == 413 and "has at most 65536 bytes" in answer.json()["detail"]
        assert psutil.Process().memory_info().rss - before < LARGE / 2
        assert (await client.get("/v1/me")).status_code == 200


async def test_who_goes_on_sending_what_was_refused_is_cut_off(served_to_many, monkeypatch):
    """After the answer, and a while in which it can be read."""
    monkeypatch.setattr(patience, "LINGER_S", 0.3)
    address, headers = served_to_many
    reader, writer = await raw(address)
    writer.write(request_head("POST /v1/users/ana/facts HTTP/1.1", headers, f"Content-Length: {2**40}"))
    assert b"413" in await reader.readuntil(b"}")
    with pytest.raises(ConnectionError):
        await send_for_ever(writer)
    writer.close()


async def send_for_ever(writer):
    while True:
        writer.write(b"x" * 1_000)
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(patience, "HEAD_S", 0.4)
    monkeypatch.setattr(patience, "BODY_S", 0.4)


async def test_who_sends_nothing_or_a_byte_at_a_time_is_let_go(impatient, served_to_many):
    """Before the headers are whole, on a connection that was good before, and in the body."""
    address, headers = served_to_many
    good = request_head("GET /livez HTTP/1.1", headers)

    async def trickle(writer, text):
        for byte in text:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    for first in (b"", good):
        reader, writer = await raw(address)
        if first:
            writer.write(first)
            assert b"200 OK" in await reader.readuntil(b"}")
        sending = asyncio.create_task(trickle(writer, good * 3))
        said = await asyncio.wait_for(reader.read(), 10)
        assert said.startswith(b"HTTP/1.1 408") and said.endswith(patience.WORDS), said
        sending.cancel()
        writer.close()
    reader, writer = await raw(address)
    assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 408")
    writer.close()
    reader, writer = await raw(address)
    more = ("Content-Type: application/json", "Content-Length: 1000")
    writer.write(request_head("POST /v1/users/ana/search HTTP/1.1", headers, *more) + b'{"text"')
    said = await asyncio.wait_for(reader.readuntil(b"}"), 10)
    assert said.startswith(b"HTTP/1.1 408") and b"problem+json" in said, said
    writer.close()


async def test_who_takes_long_to_read_or_waits_is_not_let_go(impatient, served_to_many):
    """A stream that is silent, and a connection that was used in time."""
    address, headers = served_to_many
    reader, writer = await raw(address)
    writer.write(request_head("GET /v1/events HTTP/1.1", headers))
    await reader.readuntil(b"id: ")
    await asyncio.sleep(1)
    async with httpx.AsyncClient(base_url=address, headers=headers) as client:
        for _ in range(3):
            assert (await client.get("/v1/me")).status_code == 200
            await asyncio.sleep(0.5)
        await client.post("/v1/users/ana/facts", json={"text": "Has a dog."})
    assert b"fact.added" in await asyncio.wait_for(reader.readuntil(b"fact.added"), 10)
    writer.close()


async def test_a_connection_is_kept_for_longer_than_clients_keep_it(served_to_many):
    """Else the server may hang up just as a client asks again, beside a load, and it reads nothing."""
    address, headers = served_to_many
    reader, writer = await raw(address)
    for pause_s in (0, 5.5):  # httpx and uvicorn would part after five
        await asyncio.sleep(pause_s)
        writer.write(request_head("GET /livez HTTP/1.1", headers))
        assert b"200 OK" in await reader.readuntil(b"}")
    writer.close()
