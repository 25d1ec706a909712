"""`echoic backup` and `restore`: what was remembered is remembered again, all of it or nothing."""

import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from echoic.local.admin.backup import backup, restore
from echoic.local.servers.stores import open_stores
from echoic.memory.errors import ConfigInvalid, SchemaMismatch
from echoic.memory.hosting.state import read_state

WORDS = "my dog is called Biscuit"
INSERT = """insert into turns (turn_id, user_id, agent_id, call_id, position, role, text, said_at)
    values (gen_random_uuid(), 'ana', 'echoic', 'call', %s, 'user', %s, now())"""
FACT = """insert into facts (id, vector, payload)
    values (gen_random_uuid(), '[1,0,0]', '{"user_id": "ana", "data": "has a dog"}')"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="echoic-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def saved(home: Path) -> Path:
    """A backup made while another client holds the stores and has written to each of them."""
    folder = home / "my data"
    with open_stores(folder) as stores, psycopg.connect(stores.database_url, autocommit=True) as connection:
        connection.execute(INSERT, [0, WORDS])
        connection.execute(FACT)
        with redis.Redis.from_url(stores.redis_url) as client:
            client.set("arq:job:learn:ana", b"\x00\xff", px=3_600_000)
            client.zadd("arq:queue", {"learn:ana": 7.0})
        (folder / "spool").mkdir()
        (folder / "spool" / "one.jsonl").write_text('{"crc": 1}\n')
        return backup(folder, home / "saved.tar.gz")


def turns(database_url: str) -> list[str]:
    with psycopg.connect(database_url) as connection:
        return [row[0] for row in connection.execute("select text from turns order by position")]


def test_round_trip(saved, home):
    """Rows with what triggers filled in, the salt of erasures, queued jobs that expire, and the spool."""
    restore(saved, home / "second")
    with open_stores(home / "second") as stores, psycopg.connect(stores.database_url) as connection:
        assert turns(stores.database_url) == [WORDS]
        assert connection.execute("select user_id, payload ->> 'data' from facts").fetchall() == [
            ("ana", "has a dog")
        ]
        restored_salt = connection.execute("select value from settings where key = 'salt'").fetchone()
        connection.execute(INSERT, [1, "and so it goes on"])
        with redis.Redis.from_url(stores.redis_url) as client:
            assert client.get("arq:job:learn:ana") == b"\x00\xff"
            assert 0 < client.pttl("arq:job:learn:ana") <= 3_600_000
            assert client.zscore("arq:queue", "learn:ana") == 7.0
    with open_stores(home / "my data") as stores, psycopg.connect(stores.database_url) as connection:
        assert connection.execute("select value from settings where key = 'salt'").fetchone() == restored_salt
    assert (home / "second" / "spool" / "one.jsonl").read_text() == '{"crc": 1}\n'
    assert not (home / "second" / "restore.new").exists()
    assert stat.S_IMODE((home / "second").stat().st_mode) == 0o700


def test_backup_is_private_and_holds_no_more_than_it_says(saved, home):
    """Its owner alone may read it; nothing half written is left beside it or in the data folder."""
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    with tarfile.open(saved) as archive:
        assert sorted(archive.getnames()) == [
            "manifest.json",
            "postgres.dump",
            "redis.jsonl",
            "spool",
            "spool/one.jsonl",
        ]
    assert not list(home.glob(".*"))
    assert not list((home / "my data" / "run").glob("backup-*"))


def test_backup_into_a_folder_gets_a_dated_name(saved, home):
    """`echoic backup ~/backups` just works, with the stores down before."""
    (home / "backups").mkdir()
    file = backup(home / "my data", home / "backups")
    assert file.parent == home / "backups"
    assert file.name.endswith(".tar.gz")
    assert read_state(home / "my data" / "run", "stores") is None


def test_existing_file_is_not_overwritten(saved, home):
    """Least of all the last backup."""
    before = saved.read_bytes()
    with pytest.raises(ConfigInvalid, match="exists already"):
        backup(home / "my data", saved)
    assert saved.read_bytes() == before


def test_nothing_to_back_up(home):
    """A mistyped folder is not created."""
    with pytest.raises(ConfigInvalid, match="nothing to back up"):
        backup(home / "typo", home / "typo.tar.gz")
    assert not (home / "typo").exists()


def test_folder_that_remembers_is_refused_and_with_force_kept_aside(saved, home):
    """Even `force` deletes nothing."""
    folder = home / "third"
    restore(saved, folder)
    with open_stores(folder) as stores, psycopg.connect(stores.database_url) as connection:
        connection.execute(INSERT, [1, "said after the backup"])
    with pytest.raises(ConfigInvalid, match="remembers something already"):
        restore(saved, folder)
    restore(saved, folder, force=True)
    with open_stores(folder) as stores:
        assert turns(stores.database_url) == [WORDS]
    (replaced,) = folder.glob("replaced-*")
    assert sorted(os.listdir(replaced)) == ["postgres", "redis", "spool"]
    with open_stores(replaced) as stores:
        assert turns(stores.database_url) == [WORDS, "said after the backup"]


def test_folder_in_use_is_refused(saved, home):
    """Nobody's stores are swapped under their feet."""
    with open_stores(home / "my data") as stores:
        with pytest.raises(ConfigInvalid, match="in use by a running Echoic"):
            restore(saved, home / "my data", force=True)
        assert turns(stores.database_url) == [WORDS]


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "missing", "newer format", "no dump"])
def test_what_is_no_whole_backup_changes_nothing(saved, home, tmp_path, damage):
    """A sentence, and a folder as empty as before."""
    file = tmp_path / "damaged.tar.gz"
    data = saved.read_bytes()
    if damage != "missing":
        file.write_bytes({"cut": data[: len(data) // 2], "text": b"dear all", "empty": b""}.get(damage, b""))
    if damage in ("newer format", "no dump"):
        (tmp_path / "manifest.json").write_text(json.dumps({"format": 2 if damage == "newer format" else 1}))
        with tarfile.open(file, "w:gz") as archive:
            archive.add(tmp_path / "manifest.json", "manifest.json")
    with pytest.raises(ConfigInvalid, match=r"damaged\.tar\.gz"):
        restore(file, tmp_path / "data")
    assert os.listdir(tmp_path / "data") == ["run"]


def test_backup_of_a_newer_echoic_changes_nothing(home, saved):
    """The schema is looked at before anything is put in place."""
    with (
        open_stores(home / "my data") as stores,
        psycopg.connect(stores.database_url, autocommit=True) as connection,
    ):
        connection.execute("insert into schema_migrations (number) values (9999)")
        newer = backup(home / "my data", home / "newer.tar.gz")
        connection.execute("delete from schema_migrations where number = 9999")
    with pytest.raises(SchemaMismatch, match="newer than this Echoic"):
        restore(newer, home / "fourth")
    assert os.listdir(home / "fourth") == ["run"]


def test_paths_in_an_archive_are_not_believed(saved, home, tmp_path):
    """A made-up member cannot write outside the folder."""
    evil = tmp_path / "evil.tar.gz"
    with tarfile.open(saved) as good, tarfile.open(evil, "w:gz") as archive:
        for name in ("manifest.json", "postgres.dump", "redis.jsonl"):
            archive.addfile(good.getmember(name), good.extractfile(name))
        for name in ("spool/../../outside", "../outside"):
            archive.add(__file__, name)
    restore(evil, tmp_path / "data")
    assert not list(tmp_path.rglob("outside"))


def test_what_was_set_aside_is_in_it_and_what_is_no_file_is_not(tmp_path):
    """A pipe, a folder or a link in the spool neither stops a backup nor gets into it."""
    folder = tmp_path / "data"
    with open_stores(folder):
        (folder / "spool" / "aside").mkdir(parents=True)
        (folder / "spool" / "aside" / "1.aside").write_text("kept")
        os.mkfifo(folder / "spool" / "a.jsonl")
        (folder / "spool" / "b.jsonl").mkdir()
        (folder / "spool" / "c.jsonl").symlink_to("/etc/passwd")
        file = backup(folder, tmp_path / "file.tar.gz")
    restore(file, tmp_path / "second")
    assert (tmp_path / "second" / "spool" / "aside" / "1.aside").read_text() == "kept"
    assert os.listdir(tmp_path / "second" / "spool") == ["aside"]
