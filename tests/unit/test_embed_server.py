"""The embedding server: who goes first, what a malformed frame costs; the frames of every shared server."""

import asyncio
import shutil
import struct
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from echoic.memory.embedding.server import EmbeddingServer
from echoic.memory.hosting import priority_threads
from echoic.memory.hosting.wire import LIMIT_BYTES, PING, FrameInvalid, Frames, pack, serve

QUESTION, BATCH = True, False
Frame = tuple[int, dict[str, Any] | None, bytes]
VECTOR = b"\0" * 4


class GatedModel:
    """Embeds when it is let; remembers in which order."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self._gate = threading.Semaphore(0)
        self._begun = threading.Semaphore(0)

    def __call__(self, texts: list[str]) -> bytes:
        self.order += texts
        self._begun.release()
        self._gate.acquire()
        if "bad" in texts:
            raise ValueError
        return VECTOR

    async def wait_begun(self) -> None:
        await asyncio.to_thread(self._begun.acquire)

    def let(self, count: int) -> None:
        self._gate.release(count)


class Client:
    """A connection of raw frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self._frames = reader, writer, Frames()
        self._arrived: list[Frame] = []

    def ask(self, number: int, text: str, urgent: bool = QUESTION) -> None:
        self.writer.write(pack(number, {"texts": [text], "urgent": urgent}))

    async def next(self) -> Frame:
        while not self._arrived:
            self._arrived += self._frames.feed(await self.reader.readexactly(1))
        return self._arrived.pop(0)

    async def next_number(self) -> int:
        return (await self.next())[0]

    async def settled(self) -> None:
        """Everything sent before was read by the server."""
        self.writer.write(pack(999, PING))
        assert await self.next() == (999, {}, b"")

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a socket's is limited."""
    made = Path(tempfile.mkdtemp(prefix="echoic-"))
    yield made
    shutil.rmtree(made)


@asynccontextmanager
async def serving(model: GatedModel, folder: Path, *, threads: int = 1) -> AsyncIterator[Path]:
    server = EmbeddingServer(model, threads)
    task = asyncio.create_task(serve(folder / "socket", server.answer))
    while not (folder / "socket").exists():
        await asyncio.sleep(0.001)
    try:
        yield folder / "socket"
    finally:
        model.let(1000)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def connected(socket: Path) -> Client:
    return Client(*await asyncio.open_unix_connection(str(socket)))


async def test_questions_go_before_batches_and_first_in_first_out(folder):
    """A caller who waits overtakes the worker's batches, but not another caller."""
    model = GatedModel()
    async with serving(model, folder) as socket:
        one, other = await connected(socket), await connected(socket)
        one.ask(1, "running")
        await model.wait_begun()
        one.ask(2, "batch", BATCH)
        await one.settled()
        one.ask(3, "first")
        await one.settled()
        other.ask(3, "second")
        await other.settled()
        model.let(4)
        assert [await one.next_number() for _ in range(3)] == [1, 3, 2]
        assert await other.next() == (3, {}, VECTOR)
        await one.close()
        await other.close()
    assert model.order == ["running", "first", "second", "batch"]


async def test_batches_leave_a_thread_for_questions(folder):
    """Of two threads batches get one at most: a question never waits behind two of them."""
    model = GatedModel()
    async with serving(model, folder, threads=2) as socket:
        client = await connected(socket)
        client.ask(1, "batch", BATCH)
        client.ask(2, "another batch", BATCH)
        await model.wait_begun()
        client.ask(3, "question")
        await model.wait_begun()
        assert sorted(model.order) == ["batch", "question"]
        model.let(3)
        assert {await client.next_number() for _ in range(3)} == {1, 2, 3}
        await client.close()


async def test_what_is_cancelled_or_whose_asker_left_is_not_computed(folder):
    """Nobody waits for it, and it costs those behind it no time."""
    model = GatedModel()
    async with serving(model, folder) as socket:
        stays, leaves = await connected(socket), await connected(socket)
        stays.ask(1, "running")
        await model.wait_begun()
        stays.ask(2, "cancelled")
        stays.writer.write(pack(2, None))
        leaves.ask(3, "left")
        await leaves.settled()
        await leaves.close()
        stays.ask(4, "last")
        await stays.settled()
        model.let(10)
        assert [await stays.next_number() for _ in range(2)] == [1, 4]
        await stays.close()
    assert model.order == ["running", "last"]


async def test_a_text_that_fails_the_model_fails_alone(folder):
    """The connection lives on, and its next question is answered."""
    model = GatedModel()
    model.let(10)
    async with serving(model, folder) as socket:
        client = await connected(socket)
        client.ask(1, "bad")
        assert await client.next() == (1, {"fault": "ValueError"}, b"")
        client.ask(2, "good")
        assert await client.next() == (2, {}, VECTOR)
        await client.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff" * 64,
        struct.pack("<III", 1, 2, 0) + b"[]",
        struct.pack("<III", 1, 5, 0) + b"short",
        struct.pack("<III", 1, 1, 0) + b"\xff",
        struct.pack("<III", 1, LIMIT_BYTES, 1),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_nonsense_costs_its_sender_the_connection_and_nobody_else(folder, sent):
    """Garbage, what is no object, wrong lengths and HTTP alike."""
    model = GatedModel()
    model.let(10)
    async with serving(model, folder) as socket:
        good, bad = await connected(socket), await connected(socket)
        bad.writer.write(sent)
        assert await bad.reader.read() == b""
        await bad.close()
        good.ask(1, "good")
        assert await good.next() == (1, {}, VECTOR)
        await good.close()


async def test_a_question_without_texts_is_a_fault_that_quotes_nothing(folder):
    """Its asker reads what kind of error it was; the next question is answered."""
    model = GatedModel()
    model.let(10)
    async with serving(model, folder) as socket:
        client = await connected(socket)
        client.writer.write(pack(1, {"words": "a secret"}))
        assert await client.next() == (1, {"fault": "KeyError"}, b"")
        client.ask(2, "good")
        assert await client.next_number() == 2
        await client.close()


async def test_work_that_nobody_waits_for_keeps_its_thread_until_it_is_done(folder):
    """A question cancelled while it runs cannot be stopped, and the next one does not run beside it."""
    model = GatedModel()
    async with serving(model, folder) as socket:
        client = await connected(socket)
        client.ask(1, "running")
        await model.wait_begun()
        client.writer.write(pack(1, None))
        client.ask(2, "batch", BATCH)
        await client.settled()
        client.ask(3, "next")
        await client.settled()
        assert model.order == ["running"]
        model.let(3)
        assert [await client.next_number() for _ in range(2)] == [3, 2]
        await client.close()


async def test_work_that_never_ends_ends_the_program(folder, monkeypatch):
    """A thread cannot be stopped: the daemon starts the program again, with new ones."""
    gave_up = asyncio.Event()
    monkeypatch.setattr(priority_threads, "STUCK_S", 0.05)
    monkeypatch.setattr(priority_threads, "_give_up", gave_up.set)
    model = GatedModel()
    async with serving(model, folder) as socket:
        client = await connected(socket)
        client.ask(1, "stuck")
        await asyncio.wait_for(gave_up.wait(), 10)
        await client.close()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_frames_survive_any_cut(size):
    """However the bytes are split on their way, the same frames come out, in order."""
    frames: list[Frame] = [
        (7, {"texts": ["", "שלום", "x" * 500]}, b""),
        (2**32 - 1, None, b""),
        (0, {}, b"\0" * 40),
        (1, {"text": "words"}, b"sound"),
    ]
    sent, got, cutter = b"".join(pack(*frame) for frame in frames), [], Frames()
    for at in range(0, len(sent), size):
        got += cutter.feed(sent[at : at + size])
    assert got == frames


def test_a_batch_of_the_longest_texts_fits_and_half_a_character_is_no_error():
    """Only a frame beyond the limit is refused."""
    assert len(pack(1, {"texts": ["\U0001f600" * 8_000] * 16})) < LIMIT_BYTES
    assert next(Frames().feed(pack(1, {"texts": ["a\ud83d"]})))[1] == {"texts": ["a?"]}
    with pytest.raises(FrameInvalid):
        list(Frames().feed(pack(1, {}, b"\0" * LIMIT_BYTES)))
