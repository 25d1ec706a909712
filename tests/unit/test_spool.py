"""What Postgres cannot take waits on the disk: in order, once, and across processes."""

import asyncio
import multiprocessing
import os
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from echoic.memory.errors import StoreUnavailable
from echoic.memory.store.spool import Spool
from echoic.memory.types import Turn


def turn(text, user_id="ana", position=0):
    return Turn(
        uuid4(), user_id, "echoic", "call-1", position, "user", text, datetime(2026, 11, 21, tzinfo=UTC)
    )


@pytest.fixture
async def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    yield spool
    await spool.close()


class Shelf:
    """Records turns, or fails as long as `down`."""

    def __init__(self):
        self.turns, self.down = [], False

    async def record(self, turn):
        if self.down:
            raise StoreUnavailable()
        self.turns.append(turn)


async def test_replayed_in_order_and_once(spool, tmp_path):
    """Whatever characters a turn holds; afterwards the folder is empty."""
    shelf, turns = Shelf(), [turn(f'words {n}\n"quoted" ‏עברית \u2028', position=n) for n in range(5)]
    for one in turns:
        await spool.append(one)
    assert spool.waiting == 5
    assert await spool.replay(shelf.record) == 5
    assert shelf.turns == turns and spool.waiting == 0
    assert await spool.replay(shelf.record) == 0
    assert not list((tmp_path / "spool").iterdir())


async def test_nothing_goes_while_the_store_is_down(spool):
    """A replay that fails keeps the turn for the next one."""
    shelf = Shelf()
    shelf.down = True
    await spool.append(turn("kept"))
    with pytest.raises(StoreUnavailable):
        await spool.replay(shelf.record)
    shelf.down = False
    assert await spool.replay(shelf.record) == 1


async def test_a_turn_appended_during_the_replay_is_replayed_too(spool):
    """The owner goes on writing while its file is emptied; no turn falls between."""
    shelf = Shelf()

    async def record(one):
        await shelf.record(one)
        if len(shelf.turns) < 4:
            await spool.append(turn(f"late {len(shelf.turns)}"))

    await spool.append(turn("first"))
    assert await spool.replay(record) == 4
    assert spool.waiting == 0


async def test_a_file_left_by_a_dead_process_is_replayed_by_another(tmp_path):
    """A process killed with turns in its spool loses none of them; a living one's file is left alone."""
    folder = tmp_path / "spool"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    child = context.Process(target=_append_and_hang, args=(folder, ready))
    child.start()
    assert await asyncio.to_thread(ready.wait, 30)
    spool, shelf = Spool(folder), Shelf()
    assert await spool.replay(shelf.record) == 0, "its owner lives"
    os.kill(child.pid, 9)
    await asyncio.to_thread(child.join)
    assert await spool.replay(shelf.record) == 2
    assert [one.text for one in shelf.turns] == ["one", "two"]
    await spool.close()


async def test_a_torn_line_was_never_acknowledged(spool, tmp_path):
    """A machine that stopped in mid-write loses half a line, and no turn before it."""
    shelf = Shelf()
    await spool.append(turn("whole"))
    (path,) = (tmp_path / "spool").iterdir()
    path.write_bytes(path.read_bytes() + b'1234abcd {"turn_id": "to')
    assert await spool.replay(shelf.record) == 1
    assert [one.text for one in shelf.turns] == ["whole"]


async def test_a_full_disk_is_an_error_and_the_file_stays_good(spool, monkeypatch):
    """A failed write raises, and neither the turns before nor those after it suffer."""
    await spool.append(turn("before"))
    fsync = os.fsync

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        await spool.append(turn("lost and said so"))
    monkeypatch.setattr(os, "fsync", fsync)
    await spool.append(turn("after"))
    shelf = Shelf()
    assert await spool.replay(shelf.record) == 2
    assert [one.text for one in shelf.turns] == ["before", "after"]


async def test_an_erased_user_is_taken_out(spool, tmp_path):
    """Their words are gone from the file itself, and the others' are replayed."""
    await spool.append(turn("a secret of ana"))
    await spool.append(turn("bob speaks", user_id="bob"))
    assert [one.text for one in await spool.of_user("ana")] == ["a secret of ana"]
    assert await spool.forget("ana") == 1
    assert b"secret" not in b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir())
    shelf = Shelf()
    assert await spool.replay(shelf.record) == 1
    assert shelf.turns[0].user_id == "bob"


async def test_the_files_are_private(spool, tmp_path):
    """Callers' words on the disk are for the owner of the process only."""
    await spool.append(turn("x"))
    (path,) = (tmp_path / "spool").iterdir()
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0


def _append_and_hang(folder, ready):
    async def main():
        spool = Spool(folder)
        await spool.append(turn("one"))
        await spool.append(turn("two"))
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(main())
