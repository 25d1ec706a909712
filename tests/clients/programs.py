"""Clients that are no Python: Node with packages of npm, exactly those of a committed lock, and Go."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.run import FOLDER

FILES = ("package.json", "package-lock.json")
BIN = Path(sys.executable).parent
"""Of this environment, which has Node and npm (`NODE` in tests/clients/run.py)."""


def with_node(more: dict[str, str] | None = None) -> dict[str, str]:
    """An environment in which `node` is that one."""
    return os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | (more or {})


def npm_folder(name: str, locked: Path) -> Path:
    """A folder with `node_modules` as the lock in `locked` has it: npm compares the hash of every package.

    Installed once, and again when the lock changes. No package's own scripts are run.
    """
    folder = FOLDER / f"npm-{name}"
    done = folder / "node_modules" / ".package-lock.json"
    if not done.exists() or any((folder / one).read_bytes() != (locked / one).read_bytes() for one in FILES):
        folder.mkdir(parents=True, exist_ok=True)
        for one in FILES:
            shutil.copy(locked / one, folder)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run([str(BIN / "npm"), "ci", *quiet], cwd=folder, env=with_node(), check=True, timeout=280)
    return folder


def go_program(name: str, source: Path) -> Path:
    """A program of one file, built with the standard library alone; fails the test where Go is missing."""
    built = FOLDER / "go" / name
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        if (go := shutil.which("go")) is None:
            pytest.fail(
                "Go 1.19 or newer builds this client: install it (Debian, Ubuntu: apt install golang-go)."
            )
        subprocess.run([go, "build", "-o", str(built), str(source)], check=True, timeout=280)
    return built
