"""`python rootless.py FOLDER COMMAND…`: become COMMAND, as a user that Postgres accepts.

Postgres refuses to run as root, and as a user without a name. Here a process becomes one it accepts, widening
nothing.

Two ways, neither of which changes the owner or mode of any existing file:

- A user namespace of its own, in which the same user has the number of `nobody`. Files stay ours; no
  privilege is left.
- Where namespaces are refused (Docker's default) or cannot reach the files, root becomes `nobody` and keeps
  only the capability to pass through our private folders. Files made so belong to `nobody` inside a folder
  that only root can enter.
"""

import ctypes
import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522

HINT = "use an ordinary user, or a Postgres of your own (ECHOIC_DATABASE_URL)."


class Refused(Exception):
    """This system offers no way to run Postgres as this user; the message is a sentence for that user."""


def command(folder: Path, command: Sequence[str]) -> list[str]:
    """`command` as it is started here: with this program before it if Postgres would refuse this user."""
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return list(command)
    return [sys.executable, "-S", "-P", __file__, str(folder), *command]


def main(folder: str, *command: str) -> None:
    """Replace this process by `command`; ends with a sentence on stderr if no way is open here."""
    parent, death_signal = os.getppid(), ctypes.c_int()
    if sys.platform == "linux":
        _libc().prctl(PR_GET_PDEATHSIG, ctypes.byref(death_signal), 0, 0, 0)
    try:
        become_unprivileged(folder, command[0])
    except Refused as exc:
        sys.exit(str(exc))
    _libc().prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)  # the kernel forgets it with the old privileges
    if os.getppid() != parent:
        sys.exit("The daemon is gone.")
    os.execv(command[0], command)


def become_unprivileged(folder: str, program: str) -> None:
    """Make this process one that Postgres accepts and that can write `folder` (or create it) and run
    `program`.

    A folder that exists keeps the way it was made with. Call it in a process with a single thread, just
    before exec.

    Raises:
        Refused: neither way is allowed here.
    """
    if sys.platform != "linux":
        raise Refused(f"Postgres refuses to run as root: {HINT}")
    account = _account()
    owner = os.stat(folder).st_uid if os.path.exists(folder) else None
    if owner in (None, os.geteuid()) and _namespace_reaches(account, folder, program):
        _enter_namespace(account)
    elif owner == os.geteuid() or os.geteuid() != 0:
        raise Refused(
            "Postgres refuses to run as this user, and a user namespace is not allowed here or cannot reach "
            f"{folder}: {HINT}"
        )
    else:
        _become_nobody(account)


def _account() -> pwd.struct_passwd:
    """`nobody`, or any other account that is not root."""
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        others = [account for account in pwd.getpwall() if account.pw_uid != 0]
    if not others:
        raise Refused(f"Postgres refuses to run as root, and this system has no other account: {HINT}")
    return others[0]


def _namespace_reaches(account: pwd.struct_passwd, folder: str, program: str) -> bool:
    """Try it in a child, because a namespace cannot be left again."""
    child = os.fork()
    if child == 0:
        reached = False
        try:
            _enter_namespace(account)
            existing = folder if os.path.exists(folder) else os.path.dirname(folder)
            reached = os.access(program, os.X_OK) and os.access(existing, os.R_OK | os.W_OK | os.X_OK)
        except OSError:
            reached = False
        finally:
            os._exit(0 if reached else 1)
    return os.waitpid(child, 0)[1] == 0


def _enter_namespace(account: pwd.struct_passwd) -> None:
    uid, gid = os.geteuid(), os.getegid()
    _checked(_libc().unshare(CLONE_NEWUSER))
    _write("/proc/self/setgroups", "deny")  # what the kernel asks for before an ordinary user may map a group
    _write("/proc/self/uid_map", f"{account.pw_uid} {uid} 1")
    _write("/proc/self/gid_map", f"{account.pw_gid} {gid} 1")


def _become_nobody(account: pwd.struct_passwd) -> None:
    libc = _libc()
    try:
        _checked(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        keep = 1 << CAP_DAC_OVERRIDE
        _checked(libc.capset(header, (ctypes.c_uint32 * 6)(keep, keep, keep, 0, 0, 0)))
        _checked(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0))
    except OSError as exc:
        raise Refused(
            f"Postgres refuses to run as root, and root may not become `{account.pw_name}` here: {HINT}"
        ) from exc


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _has_name(uid: int) -> bool:
    try:
        return bool(pwd.getpwuid(uid))
    except KeyError:
        return False


if __name__ == "__main__":
    main(*sys.argv[1:])
