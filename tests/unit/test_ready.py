"""What make does before anything else: find a Python, bring a uv, install only what changed.

Nothing is downloaded here.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import ready

ROOT = Path(__file__).resolve().parents[2]


def bootstrap(on_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A copy of tools/bootstrap.sh, with nothing on PATH but what stands in `on_path`."""
    command = ["/bin/sh", str(on_path.parent / "a project" / "tools" / "bootstrap.sh"), "nonsense"]
    return subprocess.run(
        command, env={"PATH": str(on_path), **environment}, capture_output=True, text=True, timeout=30
    )


@pytest.fixture
def on_path(tmp_path: Path) -> Path:
    """A PATH with only a `uname` and a `dirname` on it, and a project without .venv beside it."""
    tools, folder = tmp_path / "a project" / "tools", tmp_path / "bin"
    shutil.copytree(ROOT / "tools", tools, ignore=shutil.ignore_patterns("__pycache__"))
    folder.mkdir()
    program(folder, "uname", "echo Linux")
    program(folder, "dirname", f"echo '{tools}'")
    return folder


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_other_systems_are_refused_with_a_sentence(on_path: Path) -> None:
    """Git Bash on Windows has make and sh; it is told about WSL."""
    program(on_path, "uname", "echo MINGW64_NT-10.0")
    done = bootstrap(on_path)
    assert done.returncode == 1
    assert "WSL 2" in done.stderr


def test_a_chosen_python_that_does_not_fit_is_said(on_path: Path) -> None:
    """PYTHON=… is obeyed or refused, never replaced by another one."""
    program(on_path, "old", "exit 1")
    done = bootstrap(on_path, PYTHON=str(on_path / "old"))
    assert done.returncode == 1
    assert "is not a CPython 3.11, 3.12 or 3.13" in done.stderr


def test_the_python_that_fits_is_taken(on_path: Path) -> None:
    """A shim that cannot run is passed over; standard output stays empty for the pipe's reader."""
    program(on_path, "python3", "exit 127")
    program(on_path, "python3.11", f"exec '{sys.executable}' \"$@\"")
    done = bootstrap(on_path)
    assert "usage: ready.py local | dev | lock" in done.stderr
    assert done.stdout == ""


def test_no_python_at_all_says_what_to_install(on_path: Path) -> None:
    """One sentence with the command for the common systems."""
    done = bootstrap(on_path)
    assert done.returncode == 1
    assert "no python3 at all" in done.stderr
    assert "apt install python3" in done.stderr


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with locks, set up with every command faked and written down."""
    for name in ("ROOT", "VENV", "TOOLS", "LOCKS", "STAMP"):
        monkeypatch.setattr(ready, name, tmp_path / getattr(ready, name).relative_to(ROOT))
    (tmp_path / "locks").mkdir()
    for name in ("local", "dev", "build"):
        (tmp_path / "locks" / f"{name}.txt").write_text(f"{name}==1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return tmp_path


@pytest.fixture
def commands(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was run; making a .venv leaves a python in it."""
    run: list[str] = []

    def fake(command: list[str], environment: dict[str, str]) -> None:
        run.append(" ".join(command[1:]))
        (project / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
        (project / ".venv" / "bin" / "python").touch()

    monkeypatch.setattr(ready, "_run", fake)
    monkeypatch.setattr(ready, "find_uv", lambda: "uv")
    monkeypatch.setattr(
        ready, "_base_of_venv", lambda: sys.base_prefix if (project / ".venv").exists() else ""
    )
    monkeypatch.setattr(ready, "_pip_settings", dict)
    return run


def test_nothing_is_installed_twice(commands: list[str]) -> None:
    """The second call finds the stamp and runs nothing; tests hold what talk needs."""
    ready.make_ready("dev")
    first = len(commands)
    ready.make_ready("dev")
    ready.make_ready("local")
    assert len(commands) == first


def test_a_changed_lock_is_installed_without_losing_the_tests_tools(
    commands: list[str], project: Path
) -> None:
    """After a pull, `make talk` in a folder where tests were run installs the larger lock again."""
    ready.make_ready("dev")
    commands.clear()
    (project / "locks" / "dev.txt").write_text("dev==2\n")
    ready.make_ready("local")
    assert [command for command in commands if "sync" in command and "locks/dev.txt" in command]
    assert json.loads((project / ".venv" / "echoic-ready.json").read_text())["level"] == "dev"


def test_a_failed_step_is_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    """What the command said stands above, and what to look at below."""
    with pytest.raises(ready.SetupFailed, match="a mirror of it"):
        ready._run([sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"], {})
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "the reason" in captured.err


def test_a_mirror_that_pip_knows_is_told_to_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """uv reads no pip.conf; what it was told itself wins."""
    monkeypatch.setattr(ready, "_pip_settings", lambda: {"index-url": "mirror", "cert": "ca.pem"})
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert ready._uv_environment()["UV_DEFAULT_INDEX"] == "mirror"
    assert ready._uv_environment()["SSL_CERT_FILE"] == "ca.pem"
    monkeypatch.setenv("UV_INDEX_URL", "own")
    assert "UV_DEFAULT_INDEX" not in ready._uv_environment()


def test_a_python_without_pip_and_venv_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    """Debian's python3 has neither until python3-venv is installed."""
    monkeypatch.setattr(ready, "_works", lambda command: False)
    with pytest.raises(ready.SetupFailed, match=rf"apt install python3\.{sys.version_info.minor}-venv"):
        ready._pip()
