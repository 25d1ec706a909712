"""Writes the tree of modules into docs/architecture.md: what each folder's door says, then its modules.

Part of `make docs`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tools.settings_docs import ROOT, between

PAGE = ROOT / "docs" / "architecture.md"
MARKS = ("<!-- tree: written by `make docs` -->\n", "<!-- tree end -->\n")
PACKAGES = ("echoic", "agent", "memory", "workers", "api", "local", "evals", "tools")
DOORLESS = {
    "evals": "Programs that measure Echoic, each next to a baseline, and the results that are committed.",
    "tools": "What `make` needs: a Python, a uv, the locks, and the parts of these pages that code writes.",
}
"""Folders that nobody imports from: they are programs."""
REST = {
    "memory/store/sql": "The named queries and the numbered migrations of the database.",
    "tests": "Tests by what they need: `unit` (nothing), `contract`, `integration` and `api` (real stores), "
    "`e2e` (a pipe), `rooms` (a LiveKit server), `graph` (Neo4j), `browser` and `page` (Chromium), "
    "`livekits` (other versions of LiveKit).",
    "locks": "Exact versions and SHA-256 sums of everything that is installed.",
    "docs": "These pages, and a Grafana dashboard in `docs/grafana`.",
}
SENTENCE = re.compile(r"(?<!e\.g)(?<!i\.e)[.!?](?=\s|$)")


def tree() -> str:
    """The block for docs/architecture.md."""
    folders = [folder for package in PACKAGES if (ROOT / package).is_dir() for folder in _folders(package)]
    rest = [f"### `{name}/`\n\n{says}\n" for name, says in REST.items()]
    return "\n".join([*(_part(folder) for folder in folders), *rest])


def main() -> None:
    PAGE.write_text(between(PAGE.read_text(), MARKS, tree()))


def _folders(package: str) -> Iterator[Path]:
    """The package, then its folders by name; the packages that `echoic/` links to come by themselves."""
    modules = (path for path in (ROOT / package).rglob("*.py") if path.resolve() == path)
    yield from sorted({path.parent for path in modules})


def _part(folder: Path) -> str:
    """A folder's name, what its door says, and a line for each of its modules."""
    name = str(folder.relative_to(ROOT))
    lines = [f"### `{name}/`", "", DOORLESS.get(name) or _says(folder / "__init__.py"), ""]
    modules = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    lines += [f"- `{path.name}`: {_says(path)}" for path in modules]
    return "\n".join(lines) + "\n"


def _says(path: Path) -> str:
    """The first sentence of the docstring."""
    paragraph = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0]
    text = " ".join(paragraph.split())
    end = SENTENCE.search(text)
    return text[: end.end()] if end else f"{text.rstrip(':')}."


if __name__ == "__main__":
    main()
