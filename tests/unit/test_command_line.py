"""What the command line says of itself: for a person, in a terminal, a file or a pipe."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from echoic.cli import app
from echoic.commands.variables import misspelt
from echoic.memory.errors import ConfigInvalid
from tests.processes import ROOT, environment


def paths(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and of every group of them."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, (*path, name))


@pytest.mark.parametrize("path", list(paths(get_command(app))), ids=" ".join)
def test_help_is_in_plain_words(path: tuple[str, ...]) -> None:
    """No types of the framework, no frames, and no sentence cut off in the list of commands."""
    said = CliRunner().invoke(app, [*path, "--help"]).output
    assert said.startswith("Usage: ") and len(said.splitlines()) > 3
    assert not re.search(r"<\w|[╭{]|\[\[|[a-z]\.\.\.", said), said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["keys", "add", "x", "--role", "king"], "'king' is not one of 'admin', 'service', 'user'"),
        (["keys", "add", "x", "--days", "99999999"], "less than or equal to 36500"),
        (["keys", "revoke", "x"], "'x' is no id: `echoic keys list` shows them"),
        (["jobs", "--rerun", "x"], "'x' is no id: `echoic jobs` shows them"),
        (["undo"], "one of --call, --batch and --maintenance"),
        (["graph"], "Missing option '--user'"),
    ],
)
def test_wrong_usage_ends_in_one_sentence(words: list[str], sentence: str) -> None:
    """Behind the usage; in no words of the framework's own."""
    ended = CliRunner().invoke(app, words)
    *_, last = ended.stderr.splitlines()
    assert ended.exit_code == 2 and last.startswith("Error: ") and sentence in last
    for foreign in ("Value error", "valid UUID", "╭"):
        assert foreign not in ended.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "ECHOIC_RECALL_BUDGET",
            "ECHOIC_RECALL_BUDGET is no setting and changes nothing. Is ECHOIC_RECALL_BUDGET_MS meant?",
        ),
        ("ECHOIC_API_PROT", "ECHOIC_API_PROT is no setting and changes nothing. Is ECHOIC_API_PORT meant?"),
        ("echoic_mcp_users", "echoic_mcp_users is no setting and changes nothing. Is ECHOIC_MCP_USER meant?"),
        ("ECHOIC_XYZ", "ECHOIC_XYZ is no setting and changes nothing."),
        ("ECHOICS", ""),
    ],
)
def test_a_misspelt_setting_is_named(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the nearest one, beside what the command does; from the environment as from .env."""
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text(f"{name}=1\n")
    script = "import sys; sys.argv[1:] = ['settings', 'key']; from echoic.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), timeout=60
    )
    assert ended.stderr.strip() == said and len(ended.stdout.strip()) == 44


def test_every_setting_that_is_documented_is_one() -> None:
    """Those of optional parts too, and those that are read by themselves."""
    page = (ROOT / "docs" / "settings.md").read_text()
    documented = set(re.findall(r"\bECHOIC_[A-Z0-9_]+\b", page)) - {"ECHOIC_API_"}
    assert len(documented) > 80 and list(misspelt(documented)) == []


@pytest.mark.parametrize("words", [["b"], ["b", "--every", "24h"]])
def test_a_backup_of_a_postgres_of_ones_own_is_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of old embedded stores beside it would pass for one."""
    monkeypatch.setenv("ECHOIC_DATABASE_URL", "postgresql://127.0.0.1:9/echoic")
    (tmp_path / "postgres").mkdir()
    ended = CliRunner().invoke(app, ["backup", *words, "--data-dir", str(tmp_path)])
    assert isinstance(ended.exception, ConfigInvalid) and "pg_dump" in str(ended.exception)
