"""A machine that is full, broken or just starting: one sentence, soon, and nothing lost that can be kept."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis

from echoic.local.admin import doctor
from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from echoic.memory.errors import ConfigInvalid, MemoryFault, StoreUnavailable
from echoic.memory.hosting.daemon import Server
from echoic.memory.hosting.daemon_client import join_servers
from echoic.memory.hosting.files import private_folder
from echoic.memory.hosting.state import last_words, read_state
from echoic.memory.service import open_memory
from echoic.memory.store.database import Database
from echoic.memory.types import Caller, Turn
from tests.embedders import WordEmbedder
from tests.processes import environment

MODULE = "tests.integration.test_broken_machine"
SOON_S = 20.0
FAULTS = {
    "value": ValueError("\udc80"),
    "key": KeyError("port"),
    "encoding": UnicodeEncodeError("utf-8", "\udc80", 0, 1, "surrogates"),
    "recursion": RecursionError(),
    "full": OSError(28, "No space left on device", "/somewhere"),
    "quota": OSError(122, "Disk quota exceeded", "/somewhere"),
    "import": ModuleNotFoundError("No module named 'gone'"),
}


class Broken(Server):
    """Fails in one of its steps."""

    name = address = "broken"
    command = (sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)")

    def __init__(self, step: str, fault: Exception) -> None:
        self._step, self._fault = step, fault

    def prepare(self) -> None:
        self._fail("prepare")

    def is_ready(self, pid: int, output: str) -> bool:
        self._fail("is_ready")
        return "up" in output

    def explain(self, output: str) -> MemoryFault:
        return StoreUnavailable(output)

    def _fail(self, step: str) -> None:
        if step == self._step:
            raise self._fault


def servers(step: str, fault: str) -> list[Broken]:
    """For the daemon."""
    if step == "make":
        raise FAULTS[fault]
    return [Broken(step, FAULTS[fault])]


@pytest.mark.parametrize("disk", ["a disk with room", "a state file that cannot be written"])
@pytest.mark.parametrize("step", ["make", "prepare", "is_ready"])
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_stops_the_keeper_reaches_its_clients(fault, step, disk, tmp_path):
    """At once and as a sentence, and also when nothing can be written any more."""
    if disk != "a disk with room":
        (tmp_path / "broken.json.new").mkdir()
    began = time.monotonic()
    with (
        pytest.raises(MemoryFault, match=r"[.)]$") as told,
        join_servers(tmp_path, "broken", [MODULE, step, fault]),
    ):
        pass
    assert time.monotonic() - began < SOON_S
    about_the_disk = "is full" in str(told.value)
    assert about_the_disk or "broken.log" in str(told.value)
    assert about_the_disk or fault not in ("full", "quota") or disk != "a disk with room"


LOGS = """
import logging, resource, signal, sys
from pathlib import Path
from echoic.memory.observe.logs import log_to
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
log_to(Path(sys.argv[1]))
for number in range(400):
    logging.getLogger("echoic.test").warning("test.line", extra={"number": number})
print("done")
"""


def a_folder(path):
    path.mkdir()


def a_pipe(path):
    os.mkfifo(path)


def a_link(path):
    path.symlink_to("/etc/passwd")


def a_device(path):
    path.symlink_to("/dev/full")


def in_a_file(path):
    path.parent.rmdir()
    path.parent.write_text("no folder")


@pytest.mark.parametrize("kind", [None, a_folder, a_pipe, a_link, a_device, in_a_file])
def test_a_log_that_cannot_be_written_says_so_once(kind, tmp_path):
    """Full in the middle, or no file at all: one sentence for 400 lines, no traceback, and work goes on."""
    path = tmp_path / "logs" / "talk.log"
    path.parent.mkdir()
    if kind is not None:
        kind(path)
    command = [sys.executable, "-c", LOGS, str(path), "2000" if kind is None else "1000000"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=30)
    assert done.stdout == "done\n" and done.returncode == 0
    assert done.stderr.count("\n") == 1 and "talk.log cannot be written" in done.stderr


@pytest.fixture
def folder(tmp_path):
    """A data folder whose stores were in use, and are not now."""
    shm = Path("/dev/shm")
    folder = (shm if shm.is_dir() else tmp_path) / f"echoic-broken-{uuid4().hex[:12]}"
    with open_stores(folder) as stores, redis.Redis.from_url(stores.redis_url) as client:
        client.set("key", "value")
    yield folder
    shutil.rmtree(folder)


def garbage_in_the_log(folder):
    next(folder.rglob("*.incr.aof")).write_bytes(b"*3\r\n$3\r\nSETxxxxx garbage")


def garbage_in_the_base(folder):
    next(folder.rglob("*.base.rdb")).write_bytes(b"garbage" * 100)


def a_manifest_that_is_none(folder):
    next(folder.rglob("*.manifest")).write_text("nonsense here")


def a_base_that_is_gone(folder):
    next(folder.rglob("*.base.rdb")).unlink()


def a_file_in_place_of_the_folder(folder):
    shutil.rmtree(folder / "redis" / "appendonlydir")
    (folder / "redis" / "appendonlydir").write_text("x")


@pytest.mark.parametrize(
    "harm",
    [
        garbage_in_the_log,
        garbage_in_the_base,
        a_manifest_that_is_none,
        a_base_that_is_gone,
        a_file_in_place_of_the_folder,
    ],
)
def test_a_damaged_redis_is_set_aside_and_said(harm, folder):
    """Its jobs are only a hint: it starts empty, a line says so, and the damaged file is still there."""
    for _ in range(2):
        harm(folder)
        with open_stores(folder) as stores, redis.Redis.from_url(stores.redis_url) as client:
            assert client.get("key") is None
            client.set("key", "value")
    assert (folder / "redis" / "appendonlydir.damaged").exists()
    assert "hosting.mended" in (folder / "run" / "stores.log").read_text()


@pytest.mark.parametrize("part", ["base", "global", "pg_wal", "pg_xact"])
def test_a_part_of_postgres_that_is_missing_is_named(part, folder):
    """Soon, with what to do; nothing is made anew in its place."""
    shutil.rmtree(folder / "postgres" / part)
    began = time.monotonic()
    with (
        pytest.raises(StoreUnavailable, match=f"damaged: {part} is missing.*echoic restore"),
        open_stores(folder),
    ):
        pass
    assert time.monotonic() - began < SOON_S


def test_a_damaged_control_file_is_a_sentence(folder):
    """Postgres' own last words, and what to do."""
    (folder / "postgres" / "global" / "pg_control").write_bytes(b"x" * 8192)
    with pytest.raises(StoreUnavailable, match=r"stopped: FATAL: .*echoic restore"), open_stores(folder):
        pass


async def settings_of(stores, folder):
    return load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=folder, store_timeout_ms=5_000
    )


@pytest.mark.parametrize("table", ["turns", "turn_index", "facts"])
async def test_damaged_pages_are_told_from_a_store_that_is_away(table, folder):
    """A call begins without what cannot be read, and says why; turns that are refused wait on the disk."""
    with open_stores(folder) as stores:
        async with open_memory(await settings_of(stores, folder), embedder=WordEmbedder()) as memory:
            turn = Turn(uuid4(), "ana", "echoic", "c", 0, "user", "words", datetime.now(UTC))
            await memory.turns.record(turn)
        with psycopg.connect(stores.database_url, autocommit=True) as connection:
            payload = '{"user_id": "ana", "data": "fact"}'
            insert = f"insert into facts (id, vector, payload) values ('{uuid4()}', '[1]', '{payload}')"
            connection.execute(insert)
            (file,) = connection.execute(f"select pg_relation_filepath('{table}')").fetchone()
            connection.execute("checkpoint")
    path = folder / "postgres" / file
    path.write_bytes(b"\x7f" * max(8192, path.stat().st_size))
    with open_stores(folder) as stores:
        async with open_memory(await settings_of(stores, folder), embedder=WordEmbedder()) as memory:
            call = await memory.open_call(Caller("ana", "echoic", "now"))
            said = await call.record("item", "user", "new words")
            assert said is not None and not memory.recorder.is_away
            if table != "turn_index":
                assert "damaged on its disk" in call.load_fault and "cannot be reached" not in call.load_fault


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b"null", b"7", b'{"status": "ready"}', b'{"colour": 1}', b"\xff\xfe", b"9" * 10_000],
)
def test_a_state_file_that_cannot_be_read_is_none(content, tmp_path):
    """The servers are then asked for as if nobody had: what says where they are is a hint."""
    (tmp_path / "stores.json").write_bytes(content)
    assert read_state(tmp_path, "stores") is None
    assert last_words(content) is None


async def test_a_line_that_cannot_be_set_aside_is_told_as_that(memory_settings):
    """And not as one that the database waits for."""
    spool = memory_settings.data_dir / "spool"
    (spool / "elsewhere").mkdir(parents=True)
    (spool / "aside").symlink_to(spool / "elsewhere")
    (spool / "1-1-dead.jsonl").write_bytes(b"no turn\n")
    found = await doctor._spool(memory_settings)
    assert found.state == "broken" and "1 damaged lines" in found.says and "wait" not in found.says


class Starting:
    """In front of a Postgres: says that it is starting up, as Postgres does, until it is asked so often."""

    def __init__(self, socket_path, times):
        self._socket_path, self.times = socket_path, times

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        if self.times > 0:
            self.times -= 1
            fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
            writer.write(b"E" + (4 + len(fields)).to_bytes(4) + fields)
            await writer.drain()
            writer.close()
            return
        to_reader, to_writer = await asyncio.open_unix_connection(self._socket_path)
        await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer))


async def _pump(reader, writer):
    while chunk := await reader.read(65_536):
        writer.write(chunk)
    writer.close()


async def test_a_postgres_that_is_just_starting_is_waited_for(memory_settings, monkeypatch):
    """For a moment, and then it is said."""
    with psycopg.connect(memory_settings.database_url.get_secret_value()) as connection:
        path = f"{connection.info.host}/.s.PGSQL.{connection.info.port}"
        name = connection.info.dbname
    starting = Starting(path, 3)
    async with starting as port:
        url = f"postgresql://echoic@127.0.0.1:{port}/{name}?sslmode=disable"
        settings = memory_settings.model_copy(update={"database_url": type(memory_settings.redis_url)(url)})
        async with open_memory(settings, embedder=WordEmbedder()) as memory:
            assert await memory.turns.list("ana") == [] and starting.times == 0
        starting.times = 10_000
        monkeypatch.setattr("echoic.memory.store.database.STARTING_S", 0.5)
        db = Database(url)
        with pytest.raises(StoreUnavailable, match="just starting or stopping: try again in a moment"):
            await db.wait_started()
        await db.close()


@pytest.mark.parametrize(
    "content", [b"ECHOIC_AGENT_ID=caf\xe9\n", b"ECHOIC_AGENT_ID=a\0b\n", b"\xff\xfeA\0=\0"]
)
def test_an_env_file_that_is_none_is_a_sentence(content, tmp_path):
    """What another editor or system wrote: named, and no traceback."""
    (tmp_path / ".env").write_bytes(content)
    command = [sys.executable, "-m", "echoic", "jobs"]
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment(), timeout=40
    )
    assert ended.returncode == 1 and ended.stderr.startswith(".env in this folder is not UTF-8")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("variables", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_neither_the_locale_nor_the_folder_one_is_in_decides_what_works(variables, tmp_path):
    """Texts of ours are UTF-8 wherever one is, and a folder that is gone has no .env."""
    command = f"{sys.executable} -m echoic talk --user ana --data-dir {tmp_path}/data"
    script = f"cd {tmp_path}/gone && rmdir ../gone && printf 'Zo\\303\\253 lives there\\n' | {command}"
    (tmp_path / "gone").mkdir()
    ended = subprocess.run(
        ["sh", "-c", script], capture_output=True, env=environment() | variables, timeout=90
    )
    assert ended.returncode == 0 and b"Traceback" not in ended.stderr, ended.stderr
    assert "You are “ana”".encode() in ended.stdout


@pytest.mark.parametrize("name", ["run", "redis", "spool", "logs", "models"])
def test_a_link_in_the_place_of_a_folder_of_ours_is_refused(name, tmp_path):
    """Nothing is written where somebody else wants it to be, and no mode of theirs is changed."""
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    (tmp_path / "data").mkdir()
    link = tmp_path / "data" / name
    link.symlink_to(theirs)
    with pytest.raises(ConfigInvalid, match="is a link"):
        private_folder(link)
    assert theirs.stat().st_mode & 0o777 == 0o755 and not list(theirs.iterdir())


async def test_a_spool_that_is_a_link_takes_nothing(memory_settings, tmp_path):
    """Words are kept nowhere rather than in somebody else's folder, and that is said."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (memory_settings.data_dir / "spool").symlink_to(theirs)
    settings = memory_settings.model_copy(
        update={"database_url": type(memory_settings.redis_url)("postgresql://127.0.0.1:1/db")}
    )
    async with open_memory(settings, embedder=WordEmbedder(), need_stores=False) as memory:
        call = await memory.open_call(Caller("ana", "echoic", "now"))
        with pytest.raises(StoreUnavailable, match="spool cannot be written"):
            await call.record("item", "user", "words")
    assert not list(theirs.iterdir())


@pytest.mark.parametrize("name", ["stores.log", "stores.daemon", "stores.users", "stores.json.new"])
def test_a_link_in_the_place_of_a_file_of_ours_is_not_followed(name, tmp_path):
    """A log, a lock and a state file: what the link names stays as it is."""
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    run = private_folder(private_folder(tmp_path / "data") / "run")
    (run / name).symlink_to(theirs)
    with suppress(MemoryFault, OSError), open_stores(tmp_path / "data"):
        pass
    assert theirs.read_text() == "theirs"


def test_the_data_folder_may_be_a_link_of_ones_own(tmp_path):
    """A big disk elsewhere: the person made the link, so it is followed."""
    (tmp_path / "big").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "big")
    with open_stores(tmp_path / "data"):
        assert (tmp_path / "big" / "postgres").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lay a link as somebody else")
def test_a_link_of_somebody_else_is_no_data_folder(tmp_path):
    """In a folder where others may write."""
    (tmp_path / "trap").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "trap")
    os.lchown(tmp_path / "data", 12_345, 12_345)
    with pytest.raises(ConfigInvalid), open_stores(tmp_path / "data"):
        pass
    assert not list((tmp_path / "trap").iterdir())


FULL = """
import asyncio, logging, os, sys
from datetime import UTC, datetime
from pathlib import Path
from echoic.local.command_resources import opened_stores
from echoic.memory.errors import MemoryFault
from echoic.memory.service import open_memory
from echoic.memory.types import Caller
from tests.embedders import WordEmbedder

def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            for size in (1_000_000, 10_000, 100, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue
        except OSError:
            pass

async def main(settings, folder):
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        call = await memory.open_call(Caller("ana", "echoic", "call"))
        assert await call.record("0", "user", "before")
        fill(folder)
        stored = 0
        for number in range(1, 400):
            try:
                stored += await call.record(str(number), "user", "words " * 200) is not None
            except MemoryFault as exc:
                said = str(exc)
        print("SAID", said)
        os.unlink(folder / "filler")
        await memory.db.run(lambda connection: connection.execute("checkpoint"))
        for number in range(1, 400):
            await call.record(str(number), "user", "words " * 200)
        while memory.spool.waiting:
            await asyncio.sleep(0.05)
        print("ROWS", len(await memory.turns.list("ana")))

folder = Path(sys.argv[1]) / "data"
with opened_stores(folder, "test") as settings:
    asyncio.run(main(settings, folder))
fill(folder)
try:
    with opened_stores(folder, "test"):
        print("STARTED")
except (MemoryFault, OSError) as exc:
    print("START", exc)
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux for a small disk of its own")
def test_a_disk_that_fills_up_loses_nothing_that_was_acknowledged(tmp_path):
    """Each turn that is not stored is said, the log says once that it is full, and with room all goes on."""
    script = 'mount -t tmpfs -o size=110m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(tmp_path)]
    done = subprocess.run(
        [*command, sys.executable, FULL], capture_output=True, text=True, env=environment(), timeout=170
    )
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("no mount in a namespace here")
    assert "ROWS 400" in done.stdout, done.stderr
    assert "SAID The spool cannot be written (No space left on device)" in done.stdout
    assert "Traceback" not in done.stderr and done.stderr.count("cannot be written") <= 1
    assert "STARTED" not in done.stdout and "is full" in done.stdout
