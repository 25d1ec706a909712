"""The embedding server: who goes first, what a malformed frame costs, when it ends; its frames."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from echoic.memory.embedding.server import EmbedServer
from echoic.memory.embedding.wire import (
    BATCH,
    CANCEL,
    LIMIT_BYTES,
    PING,
    PONG,
    QUESTION,
    VECTORS,
    Frame,
    FrameInvalid,
    Frames,
    pack_texts,
    unpack_texts,
)


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
        return b"\0" * 4

    async def wait_begun(self) -> None:
        await asyncio.to_thread(self._begun.acquire)

    def let(self, count: int) -> None:
        self._gate.release(count)


class Client:
    """A connection of raw frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self._frames = reader, writer, Frames()
        self._arrived: list[Frame] = []

    def ask(self, number: int, text: str, kind: int = QUESTION) -> None:
        self.writer.write(Frame(kind, number, pack_texts([text])).packed())

    async def next(self) -> Frame:
        while not self._arrived:
            self._arrived += self._frames.feed(await self.reader.readexactly(1))
        return self._arrived.pop(0)

    async def settled(self) -> None:
        """Everything sent before was read by the server."""
        self.writer.write(Frame(PING, 999).packed())
        assert (await self.next()).kind == PONG

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
    server = EmbedServer(model, threads, linger_s=0.05, first_user_s=10)
    task = asyncio.create_task(server.run(folder / "socket"))
    while not (folder / "socket").exists():
        await asyncio.sleep(0.001)
    try:
        yield folder / "socket"
    finally:
        model.let(1000)
        await task  # it ends by itself when its users have left


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
        assert [(await one.next()).number for _ in range(3)] == [1, 3, 2]
        assert (await other.next()).kind == VECTORS
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
        assert {(await client.next()).number for _ in range(3)} == {1, 2, 3}
        await client.close()


async def test_what_is_cancelled_or_whose_asker_left_is_not_computed(folder):
    """Nobody waits for it, and it costs those behind it no time."""
    model = GatedModel()
    async with serving(model, folder) as socket:
        stays, leaves = await connected(socket), await connected(socket)
        stays.ask(1, "running")
        await model.wait_begun()
        stays.ask(2, "cancelled")
        stays.writer.write(Frame(CANCEL, 2).packed())
        leaves.ask(3, "left")
        await leaves.settled()
        await leaves.close()
        stays.ask(4, "last")
        await stays.settled()
        model.let(10)
        assert [(await stays.next()).number for _ in range(2)] == [1, 4]
        await stays.close()
    assert model.order == ["running", "last"]


async def test_a_text_that_fails_the_model_fails_alone(folder):
    """The connection lives on, and its next question is answered."""
    model = GatedModel()
    model.let(10)
    async with serving(model, folder) as socket:
        client = await connected(socket)
        client.ask(1, "bad")
        assert (await client.next()).kind != VECTORS
        client.ask(2, "good")
        assert (await client.next()).kind == VECTORS
        await client.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff" * 64,
        Frame(99, 1).packed(),
        Frame(QUESTION, 1, b"\xff\xff\xff\x7fshort").packed(),
        Frame(QUESTION, 1, b"\1\0\0\0\xff").packed(),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_nonsense_costs_its_sender_the_connection_and_nobody_else(folder, sent):
    """Garbage, unknown kinds, wrong lengths and HTTP alike."""
    model = GatedModel()
    model.let(10)
    async with serving(model, folder) as socket:
        good, bad = await connected(socket), await connected(socket)
        bad.writer.write(sent)
        assert await bad.reader.read() == b""
        await bad.close()
        good.ask(1, "good")
        assert (await good.next()).kind == VECTORS
        await good.close()


async def test_it_ends_when_the_last_user_left(folder):
    """Not with the first of two: only when no connection is left, and its socket goes too."""
    async with serving(GatedModel(), folder) as socket:
        one, other = await connected(socket), await connected(socket)
        await one.settled()
        await other.settled()
        await one.close()
        await asyncio.sleep(0.1)  # twice as long as it lingers
        await other.settled()
        await other.close()
    assert not socket.exists()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_frames_survive_any_cut(size):
    """However the bytes are split on their way, the same frames come out, in order."""
    frames = [
        Frame(QUESTION, 7, pack_texts(["", "שלום", "x" * 500])),
        Frame(PING, 2**32 - 1),
        Frame(VECTORS, 0, b"\0" * 40),
    ]
    sent, got, cutter = b"".join(frame.packed() for frame in frames), [], Frames()
    for at in range(0, len(sent), size):
        got += cutter.feed(sent[at : at + size])
    assert got == frames
    assert unpack_texts(got[0].body) == ["", "שלום", "x" * 500]


def test_a_batch_of_the_longest_texts_fits_and_half_a_character_is_no_error():
    """Only a frame beyond the limit is refused."""
    assert len(pack_texts(["\U0001f600" * 8_000] * 16)) < LIMIT_BYTES
    assert unpack_texts(pack_texts(["a\ud83d"])) == ["a?"]
    with pytest.raises(FrameInvalid):
        list(Frames().feed(Frame(QUESTION, 1, b"\0" * (LIMIT_BYTES + 1)).packed()))
