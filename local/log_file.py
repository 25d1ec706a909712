"""The log of a laptop's commands: a small file in the data folder, instead of lines between the words of a talk."""

import json
import logging
import logging.handlers
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

from local.paths import private_folder
from memory.errors import MemoryFault

MAX_BYTES = 1_000_000
FILES_KEPT = 2
OWN = "echoic"
"""Our own loggers: constant events, facts as fields, never a spoken word. Of all others only the place is kept."""
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def log_to(path: Path) -> None:
    """Send every log line of this process to `path`, and nothing to the terminal. A folder that refuses costs the log only."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_handler(path))
    root.setLevel(logging.WARNING)
    logging.getLogger(OWN).setLevel(logging.INFO)
    logging.lastResort = None
    warnings.simplefilter("ignore")


def _handler(path: Path) -> logging.Handler:
    try:
        private_folder(path.parent)
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=FILES_KEPT, encoding="utf-8", errors="replace")
    except (MemoryFault, OSError):
        return logging.NullHandler()
    handler.setFormatter(WordlessFormatter())
    return handler


class WordlessFormatter(logging.Formatter):
    """One JSON object a line. Texts of other people's loggers and of exceptions may hold what a caller said: they stay out."""

    def format(self, record: logging.LogRecord) -> str:
        own = record.name == OWN or record.name.startswith(f"{OWN}.")
        line = {"at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"), "level": record.levelname, "logger": record.name}
        line["event"] = record.getMessage() if own else f"{record.module}:{record.lineno}"
        if own:
            line |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["where"] = " < ".join(_places(record.exc_info[1]))
        return json.dumps(line, default=str)


def _places(error: BaseException | None) -> Iterator[str]:
    """Innermost first: files and lines, without the source text."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    for frame in reversed(frames[-8:]):
        yield f"{Path(frame.filename).name}:{frame.lineno}"
