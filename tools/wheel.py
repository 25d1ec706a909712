"""Builds the wheel as a release does, without an index: `python -m tools.wheel FOLDER`."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.ready import ROOT

TREE = ("agent", "api", "echoic", "evals", "local", "memory", "workers")
"""What a clone holds beside tests; not all of it may be there, and not all of it ships."""
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def copy_tree(folder: Path) -> Path:
    """The source tree as a clone has it, with its links, and without what tests leave behind."""
    for name in [name for name in TREE if (ROOT / name).is_dir()]:
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted, symlinks=True)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def build_wheel(folder: Path) -> Path:
    """The wheel, built in `folder` by the pinned backend of `.venv`."""
    with tempfile.TemporaryDirectory() as tree:
        copy_tree(Path(tree))
        subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=tree, check=True, capture_output=True)
    (wheel,) = folder.glob("echoic-*.whl")
    return wheel


if __name__ == "__main__":
    print(build_wheel(Path(sys.argv[1])))
