"""`python -m echoic`, and the command `echoic`: Ctrl-C ends it without a word, at any moment."""

import os
import signal
import sys
from threading import Timer
from types import FrameType


def main() -> None:
    """Run one command."""
    signal.signal(signal.SIGINT, _leave)  # until there is something to be ended in order
    sys.unraisablehook = _interrupt_again
    from echoic.cli import main as run

    try:  # around the other one's `finally`, too: a Ctrl-C may come at each of these lines
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            run()
        finally:
            signal.signal(signal.SIGINT, _leave)  # and when all has been ended in order
    except KeyboardInterrupt:
        sys.exit(130)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _interrupt_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """An interrupt in a destructor or a weak reference's callback, where Python drops it, comes again.

    An import makes such callbacks all the time, for its locks: a Ctrl-C there was a traceback and no end.
    """
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    main()
