"""`python -m echoic.local.servers.launch LOCK PARENT SIGNAL FOLDER -- COMMAND…`: become COMMAND, tied to the
keeper that started it.

- The lock file is held by COMMAND and all processes it starts, and names its number: who holds it serves this
  folder, nobody else.
- On Linux the kernel sends SIGNAL as soon as the keeper dies, so that no server outlives it. (Elsewhere the
  next keeper ends it.)
- FOLDER, if not empty, is one for which COMMAND must not be root.
"""

import ctypes
import fcntl
import os
import sys
import time

from echoic.local.servers import rootless

LOCK_WAIT_S = 15.0  # a predecessor that is shutting down; Postgres needs some tenths of a second
PR_SET_PDEATHSIG = 1


def main(lock: str, parent: str, death_signal: str, folder: str, command: list[str]) -> None:
    """Replace this process by `command`; ends with a sentence on stderr if that is impossible."""
    descriptor = _hold(lock)
    if folder and rootless.is_needed():
        try:
            rootless.become_unprivileged(folder, command[0])
        except rootless.Refused as exc:
            sys.exit(str(exc))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("The keeper is gone.")
    os.set_inheritable(descriptor, True)
    os.execv(command[0], command)


def _hold(lock: str) -> int:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                sys.exit("Another server still runs on this folder and does not stop.")
            time.sleep(0.01)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[6:])
