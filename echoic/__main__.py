"""`python -m echoic`, and the command `echoic`: Ctrl-C ends it without a word, also during its imports."""

import os
import signal
from types import FrameType


def main() -> None:
    """Run one command."""
    signal.signal(signal.SIGINT, _leave)  # until there is something to be ended in order
    from echoic.cli import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


if __name__ == "__main__":
    main()
