"""README.md and docs/: snippets run, links lead somewhere, and what is named exists."""

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, SimpleNamespace
from typing import Any

import jwt
import pytest
import typer.main
from markdown.extensions.toc import slugify

from echoic.agent.identity.identity import Rules, user_of_token
from echoic.cli import app
from echoic.memory.config import MemorySettings
from echoic.memory.in_memory import open_in_memory
from tests.livekits.scripted import ScriptedLLM
from tools import docs_figures, docs_index, settings_docs

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
README_LINES, DECISION_LINES = 150, 5
SECRET = "a secret of thirty-two characters or more"
SOURCES = ("agent", "echoic", "evals", "local", "memory", "tests", "workers")
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")
FRAGMENT = "{.fragment}"
"""Marks a snippet that needs something the reader has, such as a room: it is compiled, not run."""
CLIENTS = ("pipecat.md",)
"""Pages of clients whose packages are not installed here: tests/clients runs their snippets."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """One Python block of a page."""

    where: str
    code: str
    runs: bool

    def compiled(self) -> CodeType:
        return compile(self.code, self.where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def snippets(page: Path) -> Iterator[Snippet]:
    text = page.read_text()
    for found in FENCE.finditer(text):
        language, _, info = found["info"].partition(" ")
        if language == "python":
            line = text.count("\n", 0, found.start()) + 1
            yield Snippet(f"{page.name}:{line}", textwrap.dedent(found["code"]), FRAGMENT not in info)


SNIPPETS = [snippet for page in PAGES for snippet in snippets(page)]


async def run(snippet: Snippet) -> dict[str, Any]:
    """Run a snippet as a module of its own, and any test in it with a scripted model; returns its names."""
    names: dict[str, Any] = {"__name__": "snippet"}
    returned = FunctionType(snippet.compiled(), names)()
    if inspect.isawaitable(returned):
        await returned
    for name, value in list(names.items()):
        if name.startswith("test_"):
            await value(ScriptedLLM("Peanuts."))
    return names


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader has set before they run a snippet; stores are in memory here."""

    @asynccontextmanager
    async def opened(settings: MemorySettings, **_: Any) -> AsyncIterator[Any]:
        yield open_in_memory(settings)

    monkeypatch.setattr("echoic.memory.direct.open_memory", opened)
    monkeypatch.setenv("ECHOIC_IDENTITY_SECRET", SECRET)
    monkeypatch.setenv("LIVEKIT_API_KEY", "key")
    monkeypatch.setenv("LIVEKIT_API_SECRET", SECRET)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.where)
async def test_snippet_runs(snippet: Snippet, reader: None) -> None:
    """Every Python block is Python; those that are complete do what they say."""
    if snippet.runs:
        await run(snippet)
    else:
        snippet.compiled()


def test_fragments_are_few() -> None:
    """A snippet that is not run may be wrong."""
    here = [snippet for snippet in SNIPPETS if not snippet.where.startswith(CLIENTS)]
    assert sum(not snippet.runs for snippet in here) <= 2


async def test_open_finds_what_the_guide_says(reader: None, capsys: pytest.CaptureFixture[str]) -> None:
    """What the guide records is in the block that it prints."""
    await run(next(snippet for snippet in SNIPPETS if "print(found.block)" in snippet.code))
    assert "Biscuit" in capsys.readouterr().out


async def test_token_of_the_docs_is_believed(reader: None) -> None:
    """The user token that docs/callers.md signs names the user for an agent with the same secret."""
    names = await run(next(snippet for snippet in SNIPPETS if "def token_for" in snippet.code))
    token = names["token_for"]("maya", "browser-1", "call-1")
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    participant = SimpleNamespace(identity="browser-1", kind=0, attributes=claims["attributes"])
    assert user_of_token(participant, "call-1", Rules(identity_secret=SECRET)) == "maya"


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def headings(page: Path) -> list[str]:
    return [heading.replace("`", "") for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)]


def anchors(page: Path) -> set[str]:
    """Those that lead to a heading both in the site and on a code host, which make them differently."""
    return {slugify(heading, "-") for heading in headings(page)} & {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Files exist, and so do anchors; addresses elsewhere are not tried."""
    wrong = []
    for found in LINK.finditer(prose(page)):
        path, _, anchor = found["target"].partition("#")
        if path.startswith(("http://", "https://")):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(found["target"])
    assert not wrong


def test_headings_of_a_page_differ() -> None:
    """An anchor leads to one place."""
    for page in PAGES:
        assert len(headings(page)) == len(set(headings(page))), page.name


def test_readme_is_a_front_door() -> None:
    """150 lines or less, with the commands of a fresh clone as they are."""
    text = README.read_text()
    assert len(text.splitlines()) <= README_LINES
    assert {"make talk", "make dev", "make test"} <= set(text.splitlines())


def test_readme_shows_the_committed_figures() -> None:
    """The small table is what evals/results holds."""
    page, figures = README.read_text(), docs_figures.table(docs_figures.RESULTS)
    assert page == settings_docs.between(page, docs_figures.MARKS, figures), "run `make docs`"


def test_figures_leave_out_what_was_not_measured(tmp_path: Path) -> None:
    """A missing result is a missing row."""
    assert docs_figures.table(tmp_path).count("\n") == 2


def test_llms_txt_lists_the_pages_as_they_are() -> None:
    """Titles and first sentences; every page is in it."""
    assert docs_index.PAGE.read_text() == docs_index.index(), "run `make docs`"
    listed = {found["target"] for found in LINK.finditer(docs_index.index())}
    assert listed | {"index.md"} == {page.name for page in PAGES[1:]}


def test_a_page_without_a_first_sentence_is_refused(tmp_path: Path) -> None:
    """llms.txt would describe it by a table."""
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n| a | b |\n")
    with pytest.raises(ValueError, match="title and a sentence"):
        docs_index.title_and_sentence(page)


def test_commands_are_there_and_described() -> None:
    """Docs name each command of `echoic --help`, and no other."""
    text = "\n".join(page.read_text() for page in PAGES)
    inner = "pull|try|add|list|status|clean|remove|revoke|unset|rotate|key"
    named = set(re.findall(rf"(?:`|^|bin/)echoic ([a-z]+(?: (?:{inner})\b)?)", text, re.MULTILINE))
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert named == {
        f"{name} {sub}".strip()
        for name, command in commands.items()
        for sub in getattr(command, "commands", [""])
    }


def test_every_target_is_there_and_described() -> None:
    """`make` has each target that docs name, and docs name each target that `make help` shows."""
    makefile, text = (ROOT / "Makefile").read_text(), "\n".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"(?:`|^|\| )make (?:[A-Z]+=\S+ )?([a-z-]+)", text, re.MULTILINE))
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)) - {"help"} <= named


def test_every_variable_is_read_by_something() -> None:
    """A setting that was renamed is renamed here too."""
    known = {name for setting in settings_docs.settings() for name in setting.names}
    for path in [
        path for folder in SOURCES for path in (ROOT / folder).rglob("*.py") if path != Path(__file__)
    ]:
        known |= set(re.findall(r"ECHOIC_[A-Z0-9_]+", path.read_text()))
    assert {name for page in PAGES for name in re.findall(r"ECHOIC_[A-Z0-9_]+", page.read_text())} <= known


def test_every_module_named_is_there() -> None:
    """A file that moved has moved here too; `src/` is the reader's own."""
    named = {
        name
        for page in PAGES
        for name in re.findall(r"`((?:[\w.]+/)+[\w.]+\.(?:py|txt|toml))`", page.read_text())
    }
    assert not [name for name in named if not name.startswith("src/") and not (ROOT / name).exists()]


def test_decisions_take_five_lines() -> None:
    """Choice, measurement, and what would change our mind; the story is in the history."""
    entries = (ROOT / "docs" / "decisions.md").read_text().split("\n## ")[1:]
    for entry in entries:
        heading, *lines = [line for line in entry.splitlines() if line]
        assert len(lines) <= DECISION_LINES, heading
        assert entry.count("**Measured") == entry.count("**Reconsider if**") == 1, heading


def test_site_builds(tmp_path: Path) -> None:
    """Strictly: no broken link, no page outside the navigation, nothing loaded from the network."""
    command = [sys.executable, "-m", "tools.docs_site", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "index.html").exists() and (tmp_path / "llms.txt").exists()
    assert {page.name for page in PAGES[1:]} <= {path.name for path in tmp_path.glob("*.md")}
