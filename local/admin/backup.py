"""One file with everything a data folder remembers: written while it is in use, restored into an empty
folder.

It is a tar archive of `manifest.json`, `postgres.dump` (pg_dump's own format), `redis.jsonl`, `spool/` and,
if there is a graph here, `graph.rdb`. Models and logs are left out: the first can be pulled again, the second
hold nothing worth keeping.
"""

import base64
import errno
import json
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfileobj, rmtree
from typing import IO

import redis

from echoic.local.admin.graph_backup import place_graph, save_graph
from echoic.local.paths import open_data_dir, run_folder
from echoic.local.servers.graph_server import holds_graph
from echoic.local.servers.postgres import explain, program
from echoic.local.servers.stores import Stores, migrate_now, open_servers
from echoic.memory.disk.files import open_own, regular_files
from echoic.memory.errors import ConfigInvalid, StoreUnavailable
from echoic.memory.hosting.daemon_client import locked_out
from echoic.memory.hosting.files import private_folder

PLAIN, WITH_GRAPH = 1, 2  # formats: an Echoic that knew no graph must not restore the rest and leave that out
# in the order they are put in place: without the last one, nothing counts as restored
PARTS = (
    "redis",
    "spool",
    "graph",
    "postgres",
)


def backup(data_dir: Path, target: Path) -> Path:
    """Write the data folder into one private file and return its path.

    Other processes may go on using the folder.

    Everything that was acknowledged before the call is in it.

    Args:
        target: a file that does not exist yet, or a folder in which a dated one is made.

    Raises:
        ConfigInvalid: there is nothing to back up, or `target` exists or cannot be written.
        StoreUnavailable: the stores did not start, or the disk is full.
    """
    if not (data_dir / "postgres").is_dir():
        raise ConfigInvalid(f"There is nothing to back up in {data_dir}.")
    file = target / f"echoic-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar.gz" if target.is_dir() else target
    if file.exists():
        raise ConfigInvalid(f"{file} exists already: choose another name.")
    run_dir = run_folder(data_dir)
    with _file_faults(file.parent), tempfile.TemporaryDirectory(prefix="backup-", dir=run_dir) as name:
        parts = Path(name)
        # first: what is replayed from now on stands in Postgres by then
        _copy_spool(data_dir / "spool", parts / "spool")
        with open_servers(data_dir) as stores:
            _run(
                "pg_dump",
                "--format=custom",
                "--compress=0",
                "--no-privileges",  # the role that they are for belongs to this server
                "--exclude-table-data=events",  # they say where this server's transactions stand
                f"--file={parts / 'postgres.dump'}",
                f"--dbname={stores.database_url}",
            )
            _dump_redis(stores.redis_url, parts / "redis.jsonl")
        form = PLAIN
        # after Postgres: what it holds beyond that is entered again, and what it lacked would stay lost
        if holds_graph(data_dir):
            save_graph(data_dir, parts / "graph.rdb")
            form = WITH_GRAPH
        (parts / "manifest.json").write_text(
            json.dumps({"format": form, "made_at": datetime.now(UTC).isoformat()})
        )
        _pack(parts, file)
    return file


def restore(source: Path, data_dir: Path, *, force: bool = False) -> None:
    """Make the stores of a data folder from a file that `backup` wrote; all of it, or nothing is changed.

    Args:
        force: also if the folder remembers something already: that is moved to a subfolder `replaced-<time>`,
            not deleted.

    Raises:
        ConfigInvalid: no such backup, the folder is in use, or it holds something and `force` is not given.
        SchemaMismatch: the backup was made by a newer Echoic.
        StoreUnavailable: the stores did not start, or the disk is full.
    """
    folder = open_data_dir(data_dir)
    present = [name for name in PARTS if _holds_something(folder / name)]
    if present and not force:
        raise ConfigInvalid(
            f"{folder} remembers something already ({', '.join(present)}): choose another --data-dir, or use "
            "--force."
        )
    run_dir = run_folder(folder)
    with (
        _file_faults(folder),
        locked_out(run_dir, "stores"),
        locked_out(run_dir, "graph"),
        _fresh(folder / "restore.new") as new,
    ):
        _unpack(source, new)
        with open_servers(new) as stores:
            _fill(stores, new)
        if (new / "graph.rdb").exists():
            place_graph(new / "graph.rdb", new)
        _put_in_place(new, folder, present)


def _fill(stores: Stores, new: Path) -> None:
    _run(
        "pg_restore",
        "--exit-on-error",
        "--single-transaction",
        f"--dbname={stores.database_url}",
        str(new / "postgres.dump"),
    )
    migrate_now(stores.database_url)
    _load_redis(new / "redis.jsonl", stores.redis_url)


def _put_in_place(new: Path, folder: Path, present: list[str]) -> None:
    if present:
        replaced = private_folder(folder / f"replaced-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        for name in reversed(present):
            (folder / name).rename(replaced / name)
    for name in PARTS:
        if _holds_something(new / name):
            (new / name).rename(folder / name)


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """An empty private folder; what a restore that was killed left in it is removed, and so is ours at the
    end."""
    if folder.exists():
        rmtree(folder)
    try:
        yield private_folder(folder)
    finally:
        rmtree(folder)


def _copy_spool(spool: Path, copy: Path) -> None:
    """What waits, and what was set aside; what is no file of ours is left."""
    copy.mkdir()
    for folder, ending, target in ((spool, ".jsonl", copy), (spool / "aside", ".aside", copy / "aside")):
        for path in regular_files(folder, ending):
            target.mkdir(exist_ok=True)
            with suppress(FileNotFoundError), open_own(path, os.O_RDONLY) as file:  # replayed meanwhile
                (target / path.name).write_bytes(file.read())


def _dump_redis(url: str, file: Path) -> None:
    """Each key as Redis itself serialises it."""
    with redis.Redis.from_url(url) as client, file.open("w") as lines:
        for key in client.scan_iter(count=500):
            value, ttl_ms = client.pipeline(transaction=True).dump(key).pttl(key).execute()
            if value is not None:  # else it is gone since
                json.dump({"key": _text(key), "value": _text(value), "ttl_ms": ttl_ms}, lines)
                lines.write("\n")


def _load_redis(file: Path, url: str) -> None:
    with redis.Redis.from_url(url) as client, file.open() as lines:
        for line in map(json.loads, lines):
            ttl_ms = max(0, line["ttl_ms"])  # -1 says that it never expires, which RESTORE writes as 0
            client.restore(
                base64.b64decode(line["key"]), ttl_ms, base64.b64decode(line["value"]), replace=True
            )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _pack(parts: Path, file: Path) -> None:
    """Under another name until it is whole and on the disk."""
    unfinished = file.with_name(f".{file.name}.part")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
            with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6) as archive:
                for name in ("manifest.json", "postgres.dump", "redis.jsonl", "spool", "graph.rdb"):
                    if (parts / name).exists():
                        archive.add(parts / name, arcname=name)
            raw.flush()
            os.fsync(raw.fileno())
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _unpack(source: Path, folder: Path) -> None:
    """By name, never by what the archive says of paths and modes."""
    private_folder(folder / "spool")
    try:
        with tarfile.open(source, mode="r:gz") as archive:
            manifest = json.loads(_member(archive, "manifest.json").read())
            if manifest["format"] > WITH_GRAPH:
                raise ConfigInvalid(f"{source} was made by a newer Echoic: upgrade, then restore.")
            spooled = [
                name
                for name in archive.getnames()
                if re.fullmatch(r"spool/[^/]+\.jsonl|spool/aside/[^/]+\.aside", name)
            ]
            graph = ["graph.rdb"] if manifest["format"] == WITH_GRAPH else []
            for name in ("postgres.dump", "redis.jsonl", *graph, *spooled):
                private_folder((folder / name).parent)
                with (folder / name).open("xb") as file:
                    copyfileobj(_member(archive, name), file)
    except (tarfile.TarError, EOFError, KeyError, ValueError, TypeError) as exc:
        raise ConfigInvalid(f"{source} is not a whole backup of Echoic ({type(exc).__name__}).") from exc
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise
        raise ConfigInvalid(f"{source} cannot be read ({exc.strerror or 'not a backup of Echoic'}).") from exc


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)  # a folder or a link of that name
    return file


def _run(name: str, *arguments: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {
        "LC_ALL": "C"
    }
    done = subprocess.run(
        [str(program(name)), *arguments], capture_output=True, text=True, errors="replace", env=environment
    )
    if done.returncode != 0:
        raise explain(done.stderr, f"{name} failed")


@contextmanager
def _file_faults(folder: Path) -> Iterator[None]:
    try:
        yield
    except redis.RedisError as exc:
        raise StoreUnavailable(f"The local Redis failed ({type(exc).__name__}).") from exc
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise StoreUnavailable(f"The disk that holds {folder} is full.") from exc
        raise ConfigInvalid(f"{folder} cannot be written ({exc.strerror}).") from exc
