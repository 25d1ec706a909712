"""Writes the tree of modules into docs/architecture.md, each with its docstring's first sentence.

Part of `make docs`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tools.settings_docs import ROOT, between

PAGE = ROOT / "docs" / "architecture.md"
MARKS = ("<!-- tree: written by `make docs` -->\n", "<!-- tree end -->\n")
PACKAGES = ("echoic", "agent", "memory", "workers", "local", "evals")
WIDTH = 24
MOST_CHARS = 96
REST = {
    "memory/store/sql/": "queries.sql (named queries) and migrations/0001_*.sql",
    "tests/": "unit/ (nothing needed), contract/, integration/ (real stores), e2e/ (a pipe), "
    "rooms/ (real calls), browser/ (Chromium)",
    "tools/": "what make needs: a Python, a uv, the locks, the written parts of this file",
    "locks/": "versions and SHA-256 sums of everything that is installed",
    "docs/": "decisions.md answers “why this way?”, phone.md connects a number, "
    "observability.md and grafana/ show what happens",
}


def tree() -> str:
    """The block for docs/architecture.md."""
    lines = [line for package in PACKAGES if (ROOT / package).is_dir() for line in _package(package)]
    lines += [_line(path, says) for path, says in REST.items()]
    return "```\n" + "\n".join(lines) + "\n```\n"


def main() -> None:
    PAGE.write_text(between(PAGE.read_text(), MARKS, tree()))


def _package(package: str) -> Iterator[str]:
    yield f"{package}/"
    modules = [path for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"]
    for path in sorted(modules, key=lambda path: (len(path.parts), path)):
        yield _line(f"  {path.relative_to(ROOT / package)}", _says(path))


def _line(name: str, says: str) -> str:
    return f"{name:<{WIDTH}} {says}"


def _says(path: Path) -> str:
    """The first sentence of the docstring, cut at a comma or colon when it is long."""
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    says = first.partition(". ")[0].partition("; ")[0].rstrip(".")
    if len(says) <= MOST_CHARS:
        return says
    cut = max(says.rfind(mark, 0, MOST_CHARS) for mark in (", ", ": "))
    return says[:cut] if cut > 0 else says


if __name__ == "__main__":
    main()
