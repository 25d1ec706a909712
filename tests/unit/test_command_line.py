"""What the command line says of itself: for a person, in a terminal, a file or a pipe."""

import re
from collections.abc import Iterator

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from echoic.cli import app


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
    for foreign in ("Value error", "Input should", "╭"):
        assert foreign not in ended.stderr
