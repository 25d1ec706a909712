"""One bad line or turn is set aside with its reason, and everybody behind it arrives."""

import errno
import json
import os
import random
import socket
import zlib
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from echoic.memory.disk import quarantine
from echoic.memory.disk.lines import line_of, read_line
from echoic.memory.errors import StoreRefused, StoreUnavailable
from echoic.memory.store import recorder as recorder_module
from echoic.memory.store.recorder import Recorder
from echoic.memory.store.spool import MOST_TRIES, Spool, UserBusy
from echoic.memory.types import Turn
from tests.fake_stores import FakeTurns

SEED = 20261126


def turn(text="words", user_id="ana", position=0, **more):
    said_at = datetime(2026, 11, 21, tzinfo=UTC)
    return Turn(uuid4(), user_id, "echoic", "call-1", position, "user", text, said_at, **more)


def line_with(**fields):
    """A line of another version, or of a careless one: with a checksum that is right."""
    told = json.loads(line_of(turn("mallory speaks", "mallory")).partition(b" ")[2]) | fields
    body = json.dumps(told).encode()
    return b"%08x " % zlib.crc32(body) + body


def summed(body: bytes):
    return b"%08x " % zlib.crc32(body) + body


UNREADABLE = {
    # named in the issue
    "a field of a newer version": line_with(mood="glad"),
    "a bad date": line_with(said_at="yesterday"),
    "not JSON": summed(b"not json"),
    # not named
    "JSON, and no object": summed(b'["user_id", "mallory"]'),
    "nested deeper than Python goes": summed(b"[" * 100_000),
    "a number longer than Python reads": summed(b'{"position": ' + b"9" * 10_000 + b"}"),
    "bytes that are no text": summed(b'{"user_id": "\xff\xfe"}'),
    "a time without a zone": line_with(said_at="2026-11-21T00:00:00"),
    "a time at the edge of time": line_with(said_at="0001-01-01T00:00:00+14:00"),
    "a place beyond what Postgres counts": line_with(position=2**40),
    "nobody's": line_with(user_id=None),
    "a role of another version": line_with(role="narrator"),
    "a field that is missing": summed(b'{"user_id": "mallory"}'),
    "a checksum that is wrong": b"00000000" + line_with()[8:],
    "cut in the middle": line_with()[:90],
    "zeros, as a disk leaves them": b"\0" * 512,
}


@pytest.fixture
async def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    yield spool
    await spool.close()


@pytest.fixture
def orphan(tmp_path):
    """Writes a file of the spool as a dead process left it."""

    def write(*lines: bytes, name="1-1-dead.jsonl"):
        (tmp_path / "spool").mkdir(exist_ok=True)
        path = tmp_path / "spool" / name
        path.write_bytes(b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines))
        return path

    return write


class Shelf:
    """Records turns, and does with those of some users what it was told to."""

    def __init__(self, **faults):
        self.turns, self.faults, self.asked = [], faults, 0

    async def record(self, one):
        self.asked += 1
        if one.user_id in self.faults:
            raise self.faults[one.user_id]
        self.turns.append(one)


@pytest.mark.parametrize("form", UNREADABLE)
async def test_a_line_that_cannot_be_read_is_kept_and_stops_nobody(form, spool, orphan):
    """It stands in the quarantine byte by byte, with a reason; those before and behind it arrive."""
    before, after = turn("before", "ana"), turn("after", "bob")
    orphan(line_of(before), UNREADABLE[form], line_of(after))
    shelf = Shelf()
    assert await spool.replay(shelf.record) == 2
    assert shelf.turns == [before, after]
    (element,) = await spool.set_aside()
    assert element.content == UNREADABLE[form] and element.reason and "mallory" not in element.reason
    assert await spool.replay(shelf.record) == 0, "and is not met again"


async def test_a_line_is_its_persons_as_far_as_that_can_be_seen(spool, orphan):
    """Exported and erased with them; a line that names nobody is nobody's."""
    orphan(line_with(mood="glad"), UNREADABLE["cut in the middle"], b"\0\0\0")
    await spool.replay(Shelf().record)
    assert len(await spool.set_aside("mallory")) == 2
    assert len(await spool.set_aside()) == 3
    assert await spool.forget("ana") == 0
    assert await spool.forget("mallory") == 2
    (rest,) = await spool.set_aside()
    assert rest.content == b"\0\0\0" and rest.user_id == ""


async def test_forgetting_one_turn_keeps_the_other_lines_of_its_person(spool, orphan):
    """Two damaged lines of one person, of which one is to go."""
    one, other = turn("one", "ana"), turn("other", "ana")
    orphan(b"x" + line_of(one), b"x" + line_of(other))
    await spool.replay(Shelf().record)
    assert await spool.forget_turns("ana", [one.turn_id]) == 1
    (kept,) = await spool.set_aside("ana")
    assert kept.content == b"x" + line_of(other).rstrip()


async def test_a_refused_turn_is_set_aside_after_a_few_tries(spool):
    """Its own user's later turns wait so long, for the order's sake; nobody else's wait at all."""
    bad, behind, other = turn("bad", "mallory"), turn("behind", "mallory", 1), turn("other", "bob")
    for one in (bad, behind, other):
        await spool.append(one)
    shelf = Shelf()

    async def record(one):
        if one == bad:
            raise StoreRefused("Postgres refuses this (DataError).")
        await shelf.record(one)

    for tries in range(1, MOST_TRIES + 1):
        await spool.replay(record)
        assert other in shelf.turns and (behind in shelf.turns) == (tries == MOST_TRIES)
    assert shelf.turns == [other, behind] and spool.waiting == 0
    (element,) = await spool.set_aside("mallory")
    assert (element.tries, element.reason) == (MOST_TRIES, "Postgres refuses this (DataError).")
    assert [line.turn for line in element.lines] == [bad]


async def test_what_is_recorded_is_not_recorded_again_because_of_one_that_is_not(spool):
    """A file of which one turn stays holds only that one afterwards."""
    await spool.append(turn("bad", "mallory"))
    for number in range(50):
        await spool.append(turn("fine", "ana", number))
    shelf = Shelf(mallory=UserBusy())
    await spool.replay(shelf.record)
    before = shelf.asked
    await spool.replay(shelf.record)
    assert shelf.asked == before + 1 and spool.waiting == 1
    assert spool.holds("mallory") and not spool.holds("ana")


async def test_a_busy_user_is_never_set_aside(spool):
    """Somebody locks this user's memory: later, however often."""
    await spool.append(turn("words", "mallory"))
    for _ in range(3 * MOST_TRIES):
        await spool.replay(Shelf(mallory=UserBusy()).record)
    assert await spool.set_aside() == [] and spool.waiting == 1


async def test_an_outage_sets_nothing_aside(spool):
    """While the store takes nobody's turns, no turn is at fault."""
    for name in ("ana", "bob"):
        await spool.append(turn("words", name))
    for _ in range(3 * MOST_TRIES):
        with pytest.raises(StoreUnavailable):
            await spool.replay(Shelf(ana=StoreUnavailable()).record)
    assert await spool.set_aside() == [] and spool.waiting == 2


async def test_set_aside_can_be_tried_again(spool, orphan):
    """By its id or all: what works now is recorded, what is still damaged is set aside again."""
    orphan(UNREADABLE["not JSON"], line_of(turn("refused", "mallory")))
    for _ in range(MOST_TRIES):
        await spool.replay(Shelf(mallory=StoreRefused()).record)
    refused = next(one for one in await spool.set_aside() if one.user_id)
    shelf = Shelf()
    assert await spool.rerun(uuid4()) == 0
    assert await spool.rerun(refused.element_id) == 1
    await spool.replay(shelf.record)
    assert [one.text for one in shelf.turns] == ["refused"]
    assert await spool.rerun() == 1
    await spool.replay(shelf.record)
    assert [one.content for one in await spool.set_aside()] == [UNREADABLE["not JSON"]]


async def test_when_nothing_can_be_set_aside_it_stays_and_the_others_arrive(spool, orphan, tmp_path):
    """A full disk keeps the quarantine from being written: the line stays in the spool."""
    path = orphan(UNREADABLE["not JSON"], line_of(turn("after", "bob")))
    (tmp_path / "spool" / "aside").write_bytes(b"a file where the folder should be")
    shelf = Shelf()
    await spool.replay(shelf.record)
    assert [one.text for one in shelf.turns] == ["after"]
    lines = b"".join(one.read_bytes() for one in path.parent.glob("*.jsonl"))
    assert lines == UNREADABLE["not JSON"] + b"\n"
    found = await spool.inspect()
    assert (found.waiting, found.damaged, found.set_aside) == (0, 1, 0), "no turn that the database lacks"


async def test_a_damaged_note_hides_nothing(spool, orphan, tmp_path):
    """What the quarantine itself cannot read any more is still listed, exported and erased."""
    orphan(line_with(mood="glad"))
    await spool.replay(Shelf().record)
    (path,) = (tmp_path / "spool" / "aside").iterdir()
    path.write_bytes(b"{" + path.read_bytes())
    (element,) = await spool.set_aside()
    assert element.user_id == "mallory" and element.reason
    assert await spool.forget("mallory") > 0 and await spool.set_aside() == []


async def test_a_file_that_cannot_be_read_is_told_of_and_stays(spool, orphan, tmp_path, monkeypatch):
    """Whose words it holds nobody can say: it is listed with the reason, and no rerun or erasure drops it."""
    orphan(line_with(mood="glad"))
    await spool.replay(Shelf().record)
    (path,) = (tmp_path / "spool" / "aside").iterdir()

    def refused(*_args):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(quarantine, "open_own", refused)
        (element,) = await spool.set_aside()
        assert path.name in element.reason and "Permission denied" in element.reason
        assert (await spool.inspect()).set_aside == 1
        assert await spool.rerun() == 0 and await spool.forget("mallory") == 0
    assert path.exists()
    assert await spool.forget("mallory") == 1, "once it can be read again"


def folder(path):
    path.mkdir()


def fifo(path):
    os.mkfifo(path)


def link_to_nowhere(path):
    path.symlink_to("/nowhere/at/all")


def link_to_a_device(path):
    path.symlink_to("/dev/zero")


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def another_persons_file(path):
    path.write_bytes(b"x")
    path.chmod(0)


@pytest.mark.parametrize(
    "odd", [folder, fifo, link_to_nowhere, link_to_a_device, listening, another_persons_file]
)
async def test_what_only_bears_the_name_of_a_spool_file_is_left_alone(odd, spool, orphan, tmp_path):
    """Nothing is read from it or waited for, and the real files are replayed, exported and erased."""
    orphan(line_of(turn("mine", "ana")), name="2-2-dead.jsonl")
    odd(tmp_path / "spool" / "1-1-odd.jsonl")
    assert [one.text for one in await spool.of_user("ana")] == ["mine"]
    assert await spool.forget("bob") == 0
    shelf = Shelf()
    assert await spool.replay(shelf.record) >= 1
    assert [one.text for one in shelf.turns] == ["mine"]
    stays = any(path.name == "1-1-odd.jsonl" for path in (tmp_path / "spool").iterdir())
    assert stays or odd is another_persons_file


def spoiled(line: bytes, chance: random.Random) -> bytes:
    """A line as a bad disk, a torn write or another version leaves it."""
    match chance.randrange(6):
        case 0:
            return chance.randbytes(chance.randrange(1, 400)).replace(b"\n", b"")
        case 1:
            return line[: chance.randrange(len(line))]
        case 2:
            at = chance.randrange(len(line))
            return (
                line[:at] + bytes([line[at] ^ 1 << chance.randrange(8)]).replace(b"\n", b"?") + line[at + 1 :]
            )
        case 3:
            return line_with(**{f"field_{chance.randrange(9)}": chance.choice([None, 1, "x", [], {}])})
        case 4:
            name = chance.choice("turn_id user_id call_id position role text said_at interrupted".split())
            return line_with(**{name: chance.choice([None, -1, 10**30, "", [], {}, 1.5, "2026-13-45T99:99"])})
        case _:
            return summed(chance.randbytes(50).replace(b"\n", b""))


@pytest.mark.parametrize("number", range(40))
async def test_whatever_stands_in_the_files_every_other_users_turns_arrive(number, tmp_path):
    """Random bytes, truncations, flipped bits, versions: all but mallory's turns arrive, in order."""
    chance, folder = random.Random(SEED + number), tmp_path / "spool"
    folder.mkdir()
    said: dict[str, list[Turn]] = {"ana": [], "bob": [], "carol": []}
    for file in range(chance.randrange(1, 4)):
        lines = []
        for _ in range(chance.randrange(1, 30)):
            if chance.random() < 0.4:
                lines.append(spoiled(line_of(turn("spoiled", "mallory")).rstrip(), chance))
            else:
                name = chance.choice(list(said))
                said[name].append(turn("\u2028\r" * chance.randrange(3), name, len(said[name])))
                lines.append(line_of(said[name][-1]).rstrip())
        content = b"\n".join(lines) + b"\n" * chance.randrange(2)
        (folder / f"{file}-1-dead.jsonl").write_bytes(content)
    spool, shelf = Spool(folder), Shelf(mallory=StoreRefused())
    await spool.replay(shelf.record)
    for name, turns in said.items():
        assert [one for one in shelf.turns if one.user_id == name] == turns
    while list(
        folder.glob("*.jsonl")
    ):  # spoiled lines that are turns all the same, refused one after the other
        await spool.replay(shelf.record)
    await spool.close()


def test_a_line_read_back_is_the_turn_it_was_made_of():
    """Whatever its words are, and with the time by the database's clock."""
    one = turn('"\n\r\x85\u2028\0\udc80', heard_at=datetime(2026, 11, 21, 1, tzinfo=UTC))
    found = read_line(line_of(one).rstrip(b"\n")).turn
    assert found == one and found.heard_at == one.heard_at


class Picky(FakeTurns):
    """A store that answers and does not take mallory's turns, for one reason or another."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    async def record(self, one, *, timeout_s=None):
        if one.user_id == "mallory":
            raise self.fault
        return await super().record(one, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "fault",
    [StoreRefused("Postgres refuses this (DataError)."), UnicodeEncodeError("utf-8", "\udc80", 0, 1, ""),
     OverflowError("date value out of range"), RecursionError()],
    ids=lambda fault: type(fault).__name__,
)  # fmt: skip
async def test_a_turn_that_the_store_will_not_have_is_kept_and_holds_up_nobody(fault, tmp_path, monkeypatch):
    """Acknowledged on the disk, tried, and set aside; the others' turns become rows at once, all the time."""
    monkeypatch.setattr(recorder_module, "RETRY_S", (0.01,))
    turns, spool = Picky(fault), Spool(tmp_path / "spool")
    recorder = Recorder(turns, spool)
    assert not await recorder.record(turn("bad", "mallory"))
    assert await recorder.record(turn("fine", "ana")), "a row at once"
    assert not recorder.is_away, "nobody says that Postgres cannot be reached"
    await recorder._replaying
    (element,) = await spool.set_aside()
    assert "bad" not in element.reason and element.tries == MOST_TRIES
    assert spool.waiting == 0 and len(turns.rows) == 1
    await recorder.close()
    await spool.close()


class Damaged(Picky):
    """Refuses everybody's turns, and the one that only tries."""

    async def record(self, one, *, timeout_s=None):
        raise self.fault

    async def takes_others(self, user_id):
        raise self.fault


async def test_a_store_that_refuses_everything_sets_nothing_aside(tmp_path):
    """Its tables are damaged, or it is another version's: no turn is at fault, and all wait."""
    turns, spool = Damaged(StoreRefused("A part of the database is damaged.")), Spool(tmp_path / "spool")
    recorder = Recorder(turns, spool)
    for number in range(3):
        assert not await recorder.record(turn("words", "ana", number))
    for _ in range(3 * MOST_TRIES):
        with pytest.raises(StoreUnavailable, match="damaged"):
            await spool.replay(recorder._record_late)
    assert await spool.set_aside() == [] and spool.waiting == 3
    await recorder.close()
    await spool.close()
