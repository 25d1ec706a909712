"""Logs without words: constant events with facts as fields; whatever a library puts beside them is taken out
before it is written.

LiveKit marks spoken words (`lk.pii.*`), arq logs arguments and exception texts, Mem0 formats its messages
itself.
"""

import json
import logging
import logging.handlers
import os
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from echoic.memory.disk.files import make_folder, own_file

OURS = "echoic"
FORMATS_ITSELF = ("mem0", "posthog", "py.warnings")
"""Loggers whose message is already a sentence with somebody's words in it."""
QUIET = {
    "arq": logging.WARNING,
    "mem0": logging.ERROR,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "openai": logging.WARNING,
}
"""What they say below this level is of no use here: a line for each job or request."""
MOST_BYTES = 2_000_000
KEPT_FILES = 3
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class WithoutWords(logging.Filter):
    """Takes out of each record what may be somebody's words.

    Put it on handlers: they see the records of every logger.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            record.exc_text = _where(record.exc_info[1])
            record.exc_info = None
        ours = record.name == OURS or record.name.startswith(OURS + ".")
        for name in [
            name for name in vars(record) if ".pii." in name or (not ours and name not in _STANDARD)
        ]:
            delattr(record, name)
        if not ours:
            withheld = record.name.startswith(FORMATS_ITSELF)
            # LiveKit puts a provider's answer, which may quote the caller, behind a colon: "failed to
            # generate LLM completion: …"
            record.msg = (
                f"(words withheld) line {record.lineno}" if withheld else str(record.msg).partition(":")[0]
            )
            record.args = None
        return True


class OneLine(logging.Formatter):
    """A JSON object a line: when, level, event, and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields,
        }
        if record.exc_text:
            line["error"] = record.exc_text
        return json.dumps(line, ensure_ascii=False, default=str)


class _OwnFile(logging.handlers.RotatingFileHandler):
    """A log that cannot be written says so once, in words, and not for each line."""

    def _open(self) -> TextIOWrapper:
        with own_file(Path(self.baseFilename), os.O_WRONLY | os.O_APPEND | os.O_CREAT) as file:
            return open(os.dup(file.fileno()), "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:
        _say_unwritable(self.baseFilename, sys.exc_info()[1])


class _Stream(logging.StreamHandler[TextIO]):
    """Standard error; when nobody reads it any more there is nobody to tell."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing."""


@cache
def _say_once(sentence: str) -> None:
    with suppress(OSError, ValueError, AttributeError):
        print(sentence, file=sys.stderr, flush=True)


def _say_unwritable(path: str, exc: BaseException | None) -> None:
    why = (isinstance(exc, OSError) and exc.strerror) or type(exc).__name__
    _say_once(f"The log {path} cannot be written ({why}): what goes wrong is not noted there.")


def log_to(path: Path, *, level: int = logging.INFO) -> None:
    """Write every log of this process to a file that only its owner reads, at most 8 MB of it.

    What cannot be written is said once on standard error, and nothing else comes of it.
    """
    try:
        make_folder(path.parent)
        handler: logging.Handler = _OwnFile(
            path, maxBytes=MOST_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
        )
    except OSError as exc:  # a log is no reason to refuse a conversation
        _say_unwritable(str(path), exc)
        handler = logging.NullHandler()
    _install(handler, level)


def log_to_stderr(*, level: int = logging.INFO) -> None:
    """The same on standard error, for servers."""
    _install(_Stream(), level)


def protect() -> None:
    """Put the filter on every handler there is now: call it again after a library has installed its own."""
    for logger in [logging.getLogger(), *_loggers()]:
        for handler in logger.handlers:
            if not any(isinstance(one, WithoutWords) for one in handler.filters):
                handler.addFilter(WithoutWords())
    for name, lowest in QUIET.items():
        logging.getLogger(name).setLevel(lowest)


def _install(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    handler.setFormatter(OneLine())
    root.addHandler(handler)
    root.setLevel(level)
    protect()


def _loggers() -> list[logging.Logger]:
    return [
        logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)
    ]


def _where(exc: BaseException | None) -> str:
    """The kinds of an error and its causes, and where each was raised; never what they say."""
    kinds = []
    while exc is not None:
        frames = traceback.extract_tb(exc.__traceback__)[-3:]
        kinds.append(
            type(exc).__name__
            + "".join(f" < {Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
        )
        exc = exc.__cause__ or exc.__context__
    return "; ".join(kinds[:5])
