"""`python launch.py PARENT SIGNAL COMMAND…`: become COMMAND, which gets SIGNAL as soon as PARENT dies.

Linux only. It is a program of its own because a process can ask that only for itself.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(parent: str, death_signal: str, *command: str) -> None:
    """Replace this process by `command`, unless the parent is gone already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("The process that started this one is gone.")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
