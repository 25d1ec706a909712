"""Makes .venv ready for make: installs a lock by hash, only when something changed.

Standard library only, output on stderr only.

`ready.py local` installs what `make talk` needs (locks/local.txt), `ready.py dev` everything (locks/dev.txt,
a superset), `ready.py lock` resolves the locks anew. uv does the work: the one on PATH, else the pinned one
of locks/uv.txt, brought into .tools by pip.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV, TOOLS, LOCKS = ROOT / ".venv", ROOT / ".tools", ROOT / "locks"
STAMP = VENV / "echoic-ready.json"
LEVELS = ("local", "dev")  # each holds the one before it
OURS = ("agent", "worker", "graph", "api", "mcp")
"""Extras that a server installs. `pipecat` is in no lock: its suite has an environment of its own."""
LEAST_UV = (0, 5)  # reads universal locks with hashes; older ones do not know every marker
NOT_FOR_UV = ("UV_SYSTEM_PYTHON", "UV_PYTHON", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
"""They would turn uv to another environment than .venv."""


class SetupFailed(Exception):
    """Set-up failed."""


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case [level] if level in LEVELS:
                make_ready(level)
            case ["lock", *options]:
                lock(options)
            case _:
                raise SetupFailed("usage: ready.py local | dev | lock [--upgrade | --upgrade-package NAME]")
    except SetupFailed as exc:
        say(str(exc))
        return 1
    return 0


def make_ready(level: str) -> None:
    """Return at once when .venv holds this lock already (some 20 ms), else install it.

    Two calls at once: the second waits.
    """
    if _installed(level):
        return
    with _alone():
        if _installed(level):
            return
        before = _stamp().get("level")
        wanted = max(level, before, key=LEVELS.index) if before in LEVELS else level
        started = time.monotonic()
        uv = find_uv()
        say(
            f"setting up .venv with Python {sys.version.split()[0]} (the first time this loads some 300 MB) …"
        )
        _create_venv(uv)
        _install(uv, wanted)
        STAMP.write_text(json.dumps({"level": wanted, "fingerprint": _fingerprint(wanted)}))
        say(f"ready after {time.monotonic() - started:.0f} s")


def find_uv() -> str:
    """Path of a uv that works: on PATH, or of our own."""
    on_path = shutil.which("uv")
    if on_path and _uv_version(on_path) >= LEAST_UV:
        return on_path
    return own_uv()


def own_uv() -> str:
    """The uv of locks/uv.txt, in .tools; installed by pip the first time.

    Raises:
        SetupFailed: this Python has neither pip nor venv, or the package index cannot be reached.
    """
    pinned = re.search(r"^uv==(\S+)", (LOCKS / "uv.txt").read_text(), re.MULTILINE)
    if not pinned:
        raise SetupFailed("locks/uv.txt names no uv: restore it from git")
    folder = TOOLS / f"uv-{pinned[1]}"
    if not (folder / "bin" / "uv").exists():
        say(f"no uv on PATH, bringing uv {pinned[1]} into .tools")
        part = TOOLS / f"uv-{pinned[1]}.part"
        shutil.rmtree(part, ignore_errors=True)
        pip = [
            *_pip(),
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--only-binary=:all:",
        ]
        # a user's `user = true` or `require-virtualenv = true` contradicts --target
        environment = os.environ | {
            "PIP_USER": "0",
            "PIP_REQUIRE_VIRTUALENV": "0",
            "PIP_ROOT_USER_ACTION": "ignore",
        }
        _run([*pip, "--require-hashes", "--target", str(part), "-r", str(LOCKS / "uv.txt")], environment)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    return str(folder / "bin" / "uv")


def lock(options: list[str]) -> None:
    """Resolve pyproject.toml into locks/, for every platform and Python we support.

    Dev comes first; the smaller ones are constrained by it. Pins stay as they are unless `options` say
    otherwise (--upgrade). Always by the uv of locks/uv.txt: two people get the same file.
    """
    uv = own_uv()
    common = [
        "--universal",
        "--generate-hashes",
        "--no-emit-find-links",
        "--no-emit-index-url",
        "--python-version",
        "3.11",
        "--quiet",
    ]
    constrained = ["--constraint", "locks/dev.txt"]
    for name, extra in (
        ("dev", [*options, "pyproject.toml", *_extras(*OURS, "local", "languages", "docs", "dev")]),
        ("local", [*constrained, "pyproject.toml", *_extras(*OURS, "local")]),
        ("server", [*constrained, "pyproject.toml", *_extras(*OURS, "e5")]),
        ("build", [*options, "locks/build.in"]),
        ("uv", [*options, "locks/uv.in"]),
    ):
        say(f"resolving locks/{name}.txt")
        _run([uv, "pip", "compile", *common, *extra, "--output-file", f"locks/{name}.txt"], _uv_environment())


def _extras(*names: str) -> list[str]:
    return [word for name in names for word in ("--extra", name)]


def say(text: str) -> None:
    print(f"echoic: {text}", file=sys.stderr, flush=True)


def _installed(level: str) -> bool:
    stamp = _stamp()
    has = stamp.get("level")
    return (
        has in LEVELS
        and LEVELS.index(has) >= LEVELS.index(level)
        and stamp.get("fingerprint") == _fingerprint(has)
        and (VENV / "bin" / "python").exists()
    )


def _stamp() -> dict[str, str]:
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _fingerprint(level: str) -> str:
    """Changes when .venv must be made anew: other pins, another Python, or a folder that was moved."""
    digest = hashlib.sha256(f"{ROOT}\0{sys.base_prefix}\0{sys.version}".encode())
    for path in (ROOT / "pyproject.toml", LOCKS / "build.txt", LOCKS / f"{level}.txt"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _alone() -> Iterator[None]:
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "setup.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another make is setting up, waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _create_venv(uv: str) -> None:
    if _base_of_venv() == sys.base_prefix:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    _run([uv, "venv", "--quiet", "--python", _base_python(), str(VENV)], _uv_environment())


def _base_of_venv() -> str:
    python = VENV / "bin" / "python"
    try:
        return subprocess.run(
            [python, "-I", "-c", "import sys; print(sys.base_prefix)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _base_python() -> str:
    """Not .venv's own python, which is about to be removed."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _install(uv: str, level: str) -> None:
    python = ["--python", str(VENV / "bin" / "python")]
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    environment = _uv_environment()
    _run(
        [uv, "pip", "sync", *quiet, *python, "--require-hashes", f"locks/{level}.txt", "locks/build.txt"],
        environment,
    )
    # hash mode cannot hold the project itself; the build backend is in .venv by now: nothing more is loaded
    _run(
        [uv, "pip", "install", "--quiet", *python, "--no-deps", "--no-build-isolation", "--editable", "."],
        environment,
    )


def _uv_environment() -> dict[str, str]:
    """The environment, with pip's settings for a mirror repeated for uv, which does not read them."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_UV}
    environment["UV_CUSTOM_COMPILE_COMMAND"] = "make lock"
    told = _pip_settings()
    for pip_name, uv_names in (
        ("index-url", ("UV_DEFAULT_INDEX", "UV_INDEX_URL")),
        ("extra-index-url", ("UV_INDEX", "UV_EXTRA_INDEX_URL")),
    ):
        if pip_name in told and not any(environment.get(name) for name in uv_names):
            environment[uv_names[0]] = told[pip_name]
    if "cert" in told:
        environment.setdefault("SSL_CERT_FILE", told["cert"])
    return environment


def _pip_settings() -> dict[str, str]:
    """index-url, extra-index-url and cert as pip would use them; empty without pip."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    found = {}
    for scope in ("global", "install", ":env:"):  # later ones win, as in pip
        for name, value in re.findall(rf"^{scope}\.([a-z-]+)='(.*)'$", listed.stdout, re.MULTILINE):
            found[name] = value.replace("\\n", " ").strip()
    return found


def _pip() -> list[str]:
    if _works([sys.executable, "-m", "pip", "--version"]):
        return [sys.executable, "-m", "pip"]
    own = TOOLS / "pip"
    if not _works([str(own / "bin" / "python"), "-m", "pip", "--version"]):
        shutil.rmtree(own, ignore_errors=True)
        if not _works([_base_python(), "-m", "venv", str(own)]):
            shutil.rmtree(own, ignore_errors=True)
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise SetupFailed(
                f"this Python ({_base_python()}) has neither pip nor venv, and there is no uv on PATH. "
                f"Debian and Ubuntu: apt install python{version}-venv. "
                "Elsewhere install uv or pip, then call make again."
            )
    return [str(own / "bin" / "python"), "-m", "pip"]


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def _uv_version(uv: str) -> tuple[int, ...]:
    """(0,) when it does not even say its version, as a shim without a version behind it."""
    try:
        said = subprocess.run(
            [uv, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL
        ).stdout
    except OSError:
        return (0,)
    found = re.search(r"(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0,)


def _run(command: list[str], environment: dict[str, str]) -> None:
    """Run in the project folder; what the command prints goes to stderr, and stdin stays with make's caller.

    Raises:
        SetupFailed: it ended with an error, which stands above our sentence.
    """
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if done.returncode != 0:
        raise SetupFailed(
            f"set-up stopped: `{Path(command[0]).name} {' '.join(command[1:4])}` failed, "
            "the reason stands above. It needs PyPI or\n"
            "echoic: a mirror of it (UV_DEFAULT_INDEX or pip's index-url name one), 1 GB of disk, "
            "and this folder writable.\n"
            "echoic: Call make again to go on."
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
