"""Backups by themselves: one at once, then one at every interval; an old one goes when a new one is whole."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from echoic.local.admin.backup import backup
from echoic.memory.disk.files import regular_files
from echoic.memory.errors import ConfigInvalid, MemoryFault

OURS = re.compile(r"echoic-\d{8}-\d{6}\.tar\.gz")
UNFINISHED = re.compile(rf"\.{OURS.pattern}\.part")
"""What a backup that was killed leaves behind."""
UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
LEAST_S, MOST_S = 1, 366 * 86_400
Wait = Callable[[float], bool]
"""Waits so many seconds; true: stop."""


def interval_s(text: str) -> int:
    """`90s`, `30m`, `24h`, `7d` in seconds.

    Raises:
        ConfigInvalid: it is none of these.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    seconds = int(found[1]) * UNITS_S[found[2]] if found else 0
    if not LEAST_S <= seconds <= MOST_S:
        raise ConfigInvalid(f"--every {text!r} is no interval: 24h, 30m or 7d is one.")
    return seconds


def backup_for_ever(
    data_dir: Path, folder: Path, *, every_s: float, keep: int, say: Callable[[str], None], wait: Wait
) -> None:
    """Write a dated backup into a folder now and at every interval, until `wait` says stop.

    One that fails is told, changes nothing, and is tried again at the next time.

    Args:
        keep: how many stay; what else lies in the folder is left alone.

    Raises:
        ConfigInvalid: the folder cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise ConfigInvalid(f"{folder} cannot be a folder for backups ({exc.strerror}).") from exc
    due = time.monotonic()
    while True:
        say(_one(data_dir, folder, keep))
        late_s = time.monotonic() - due
        due += every_s * (1 + late_s // every_s)  # one that took longer than the interval is not made up for
        if wait(max(0.0, due - time.monotonic())):
            return


def _one(data_dir: Path, folder: Path, keep: int) -> str:
    when = f"{datetime.now(UTC):%d %b %Y %H:%M:%S} UTC"
    try:
        _remove_unfinished(folder)
        file = backup(data_dir, folder)
        removed = _remove_old(folder, file, keep)
    except (MemoryFault, OSError) as exc:
        why = exc if isinstance(exc, MemoryFault) else f"The system refused: {exc.strerror}."
        return f"{when}: no backup was made. {why} It is tried again at the next time."
    gone = f", {removed} old one{'' if removed == 1 else 's'} removed" if removed else ""
    return f"{when}: written to {file}{gone}."


def _remove_unfinished(folder: Path) -> None:
    for path in regular_files(folder, ".part"):
        if UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _remove_old(folder: Path, new: Path, keep: int) -> int:
    """The new one stays, also when a clock that was set back dates it first."""
    old = [path for path in regular_files(folder, ".tar.gz") if OURS.fullmatch(path.name) and path != new]
    gone = sorted(old, reverse=True)[keep - 1 :]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)
