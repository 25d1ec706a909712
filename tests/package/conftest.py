"""What a user installs: the wheel in an environment of its own, alone or with what a laptop needs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.inference_gateway import Gateway
from tests.package.project import write_project
from tools.ready import find_uv
from tools.wheel import build_wheel

INSTALL_S = 240
"""Longest an install may take: 2 s from uv's cache, a minute from an index."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that is not the one of these tests."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def site_packages(self) -> Path:
        (found,) = self.folder.glob("lib/python3.*/site-packages")
        return found

    @property
    def packages(self) -> list[str]:
        """What is installed, by name."""
        return [one["name"] for one in json.loads(self.uv("list", "--format", "json"))]

    @property
    def megabytes(self) -> float:
        """What it takes on a disk."""
        return sum(path.lstat().st_size for path in self.folder.rglob("*") if path.is_file()) / 1e6

    def uv(self, command: str, *arguments: str) -> str:
        """`uv pip COMMAND` on this environment; gives what it printed."""
        call = [find_uv(), "pip", command, "--quiet", *arguments, "--python", str(self.bin / "python")]
        done = subprocess.run(call, capture_output=True, text=True, timeout=INSTALL_S)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install echoic`, and nothing else."""
    return _installed(tmp_path_factory.mktemp("base") / "venv", f"echoic @ {wheel.as_uri()}")


@pytest.fixture(scope="session")
def laptop(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install 'echoic[local]'`: no database to set up."""
    return _installed(tmp_path_factory.mktemp("laptop") / "venv", f"echoic[local] @ {wheel.as_uri()}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """A user's environment: no keys, no settings, an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR", "PATH") if name in os.environ}
    return {**kept, "HOME": str(home)}


def _installed(folder: Path, requirement: str) -> Environment:
    subprocess.run([find_uv(), "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    made = Environment(folder)
    made.uv("install", requirement)
    return made
