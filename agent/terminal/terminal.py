"""Lines in, words out: a person's terminal or a pipe. Only what a person may see is printed."""

import asyncio
import os
import sys
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

DIM, PLAIN = "\x1b[2m", "\x1b[0m"
CHUNK = 1 << 16


class Terminal:
    """Standard input and output of `echoic talk`.

    Args:
        quiet: nothing but `result` goes to standard output; what a person would read goes to standard error.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.interactive = sys.stdin.isatty() and sys.stdout.isatty() and not quiet
        self._out = sys.stdout
        self._spoken = sys.stderr if quiet else sys.stdout
        self._dims = self._spoken.isatty() and "NO_COLOR" not in os.environ
        self._leaving = False
        self._line: asyncio.Future[str | None] | None = None
        self._lines = _typed_lines() if self.interactive else _piped_lines(sys.stdin.fileno())
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]

    def leave(self) -> None:
        """The person wants to go: the current and every further `read` end with None."""
        self._leaving = True
        if self._line is not None:
            _settle(self._line, None)

    @property
    def leaving(self) -> bool:
        return self._leaving

    async def read(self) -> str | None:
        """The next line without its end; None at the end of input."""
        if self.leaving:
            return None
        loop = asyncio.get_running_loop()
        self._line = loop.create_future()
        # a daemon: nothing can end a thread that waits for a key, and leaving must not wait for it
        threading.Thread(
            target=self._next, args=(loop, self._line), name="terminal.read", daemon=True
        ).start()
        return await self._line

    def stream(self, words: str) -> None:
        """Words of a reply, as they come."""
        self._write(self._spoken, printable(words))

    def say(self, sentence: str) -> None:
        """One line for the person."""
        self._write(self._spoken, printable(sentence) + "\n")

    def hint(self, sentence: str) -> None:
        """One line beside the talk, dimmed where that is possible."""
        text = printable(sentence)
        self._write(self._spoken, f"{DIM}{text}{PLAIN}\n" if self._dims else f"{text}\n")

    def result(self, line: str) -> None:
        """One line for a program."""
        self._write(self._out, line + "\n")

    def _next(self, loop: asyncio.AbstractEventLoop, line: "asyncio.Future[str | None]") -> None:
        text = next(self._lines, None)
        try:
            loop.call_soon_threadsafe(_settle, line, text)
        except RuntimeError:
            return  # the loop has ended while we waited for a key

    def _write(self, stream: TextIO, text: str) -> None:
        stream.write(text)
        stream.flush()


@contextmanager
def restored_terminal() -> Iterator[None]:
    """Give the terminal back as it was, even if a thread still waits for a key when we leave."""
    if not sys.stdin.isatty():
        yield
        return
    import termios

    before = termios.tcgetattr(sys.stdin.fileno())
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)


def printable(text: str) -> str:
    """`text` without control characters: what was once said must not be able to move the cursor or set a
    title."""
    if text.isprintable():
        return text
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def _typed_lines() -> Iterator[str]:
    with suppress(ImportError):
        import readline  # noqa: F401 - arrows and history at the prompt
    while True:
        try:
            yield input("you › ")
        except (EOFError, OSError):
            return


def _piped_lines(handle: int) -> Iterator[str]:
    """Lines of a pipe or file.

    By `os.read`: a thread blocked inside `sys.stdin` would hold its lock when Python ends.
    """
    rest = b""
    while chunk := _read(handle):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace")


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, CHUNK)
    except OSError:
        return b""


def _settle(line: "asyncio.Future[str | None]", text: str | None) -> None:
    if not line.done():
        line.set_result(text)
