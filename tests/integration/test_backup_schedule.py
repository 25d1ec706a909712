"""`echoic backup --every`: made by itself, kept to a number, and each is the memory of an earlier point."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from echoic.local.admin import backup_schedule
from echoic.local.admin.backup import restore
from echoic.local.admin.backup_schedule import backup_for_ever, interval_s
from echoic.local.servers.stores import open_stores
from echoic.memory.errors import ConfigInvalid, StoreUnavailable
from tests.processes import ROOT, environment

INSERT = """insert into turns (turn_id, user_id, agent_id, call_id, position, role, text, said_at)
    values (gen_random_uuid(), 'ana', 'echoic', 'call', %s, 'user', %s, now())"""


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="echoic-") as name:
        yield Path(name)


def texts(database_url):
    with psycopg.connect(database_url) as connection:
        return [row[0] for row in connection.execute("select text from turns order by position")]


class Rounds:
    """Lets so many backups happen, and does something between them."""

    def __init__(self, count, between=lambda number: None):
        self.left, self.between, self.waits = count - 1, between, []

    def __call__(self, seconds):
        self.waits.append(seconds)
        if not self.left:
            return True
        self.left -= 1
        self.between(len(self.waits))
        return False


@pytest.mark.timeout(180)
def test_one_of_them_is_an_earlier_point(home):
    """Each holds what was remembered then; restored, that is found, and nothing that came later."""
    folder, data = home / "backups", home / "data"
    with open_stores(data) as stores, psycopg.connect(stores.database_url, autocommit=True) as connection:
        connection.execute(INSERT, [0, "first"])

        def more(number):
            connection.execute(INSERT, [number, f"after backup {number}"])
            time.sleep(1.1)  # names are to the second

        said = []
        backup_for_ever(data, folder, every_s=3_600, keep=2, say=said.append, wait=Rounds(3, more))
    assert len(said) == 3 and said[2].endswith(", 1 old one removed.")
    earlier, last = sorted(folder.glob("*.tar.gz"))
    assert earlier.stat().st_mode & 0o777 == 0o600 and folder.stat().st_mode & 0o777 == 0o700
    restore(earlier, home / "then")
    with open_stores(home / "then") as stores:
        assert texts(stores.database_url) == ["first", "after backup 1"]
    restore(last, home / "now")
    with open_stores(home / "now") as stores:
        assert texts(stores.database_url) == ["first", "after backup 1", "after backup 2"]


@pytest.fixture
def made(monkeypatch):
    """Backups without stores: each a file, or the fault that stands in its place."""
    outcomes = []

    def backup(data_dir, folder):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        (folder / outcome).write_text("whole")
        return folder / outcome

    monkeypatch.setattr(backup_schedule, "backup", backup)
    return outcomes


def dated(day):
    return f"echoic-202611{day:02}-030000.tar.gz"


def run(home, rounds, keep=2, every_s=3_600):
    said = []
    backup_for_ever(home, home / "b", every_s=every_s, keep=keep, say=said.append, wait=rounds)
    return said


def test_one_that_fails_removes_nothing_and_is_tried_again(made, home):
    """It says why; whoever keeps one keeps it until there is another."""
    made += [
        dated(1),
        StoreUnavailable("The disk that holds it is full."),
        OSError(5, "Input/output error"),
        dated(4),
    ]
    said = run(home, Rounds(4), keep=1)
    assert "no backup was made. The disk that holds it is full." in said[1]
    assert "The system refused: Input/output error." in said[2] and said[3].endswith("1 old one removed.")
    assert [path.name for path in (home / "b").iterdir()] == [dated(4)]


def test_what_is_not_ours_stays(made, home):
    """Other files, a folder of such a name, a link; a rest of a killed backup goes."""
    folder = home / "b"
    folder.mkdir()
    others = [
        "echoic-before-upgrade.tar.gz",
        "notes.txt",
        ".echoic-notes.part",
        "xechoic-20261101-030000.tar.gz",
    ]
    for name in [*others, f".{dated(1)}.part"]:
        (folder / name).write_text("x")
    (folder / dated(2)).mkdir()
    made += [dated(3), dated(4)]
    run(home, Rounds(2), keep=1)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*others, dated(2), dated(4)])


def test_a_clock_that_was_set_back_removes_no_new_one(made, home):
    """The one that was just made stays, and the latest beside it."""
    made += [dated(20), dated(21), dated(3)]
    run(home, Rounds(3))
    assert sorted(path.name for path in (home / "b").iterdir()) == [dated(3), dated(21)]


def test_times_do_not_drift(made, home, monkeypatch):
    """The interval counts from beginning to beginning; one that takes longer than it skips a time."""
    clock = [0.0]
    monkeypatch.setattr(backup_schedule.time, "monotonic", lambda: clock[0])
    takes = iter([10.0, 130.0, 0.0])
    real = backup_schedule.backup

    def backup(data_dir, folder):
        clock[0] += next(takes)
        return real(data_dir, folder)

    monkeypatch.setattr(backup_schedule, "backup", backup)
    made += [dated(1), dated(2), dated(3)]
    rounds = Rounds(3, lambda number: clock.__setitem__(0, clock[0] + rounds.waits[-1]))
    run(home, rounds, every_s=60)
    assert rounds.waits == [50.0, 50.0, 60.0]


@pytest.mark.parametrize("text", ["", "24", "h", "0h", "-1h", "1.5h", "99999d", "every day"])
def test_an_interval_that_is_none(text):
    """Is refused with a sentence."""
    with pytest.raises(ConfigInvalid, match="24h"):
        interval_s(text)
    assert interval_s("24h") == 86_400 and interval_s(" 30m ") == 1_800


@pytest.mark.timeout(120)
def test_the_command_runs_until_it_is_stopped(home):
    """SIGTERM ends it well; nothing is left over."""
    data, folder = home / "data", home / "backups"
    with open_stores(data):
        command = [
            sys.executable,
            "-m",
            "echoic",
            "backup",
            "--every",
            "1s",
            "--keep",
            "2",
            "--data-dir",
            str(data),
        ]
        running = subprocess.Popen(
            [*command, str(folder)], cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True
        )
        lines = [running.stderr.readline() for _ in range(4)]
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
        running.stderr.close()
    assert all(re.search(r"written to \S+/echoic-\d{8}-\d{6}\.tar\.gz", line) for line in lines), lines
    assert len(list(folder.glob("*.tar.gz"))) in (2, 3) and not list(folder.glob(".*.part"))


def test_a_folder_that_cannot_be_one(home):
    """Said at once, before any waiting."""
    (home / "file").write_text("")
    for target in (home / "file", home / "no" / "such"):
        with pytest.raises(ConfigInvalid, match="cannot be a folder"):
            backup_for_ever(home, target, every_s=1, keep=1, say=print, wait=Rounds(1))
    assert os.listdir(home) == ["file"]
