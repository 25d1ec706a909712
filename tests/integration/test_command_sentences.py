"""What a command says when there was nothing to do: that, and not that something was done."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from echoic.cli import app
from echoic.memory.errors import ConfigInvalid
from echoic.memory.service import open_memory
from echoic.memory.types import Turn

NOBODY = ("--user", "nobody")
NO_ID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def stores(memory_settings, monkeypatch):
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(f"ECHOIC_{name.upper()}", getattr(memory_settings, name).get_secret_value())
    monkeypatch.setenv("ECHOIC_DATA_DIR", str(memory_settings.data_dir))
    return memory_settings


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["erase", *NOBODY], "Nothing was remembered about “nobody”."),
        (["flush", *NOBODY], "Nothing that was said waits to be learned."),
        (["maintain"], "There was nothing to do."),
        (["maintain", *NOBODY, "--dry-run"], "There was nothing to do."),
        (["jobs", "--rerun", "all"], "Nothing was given up."),
        (["keys", "list"], "There are no keys: `echoic keys add` makes one."),
        (["settings", "unset", "llm_url", "llm_model"], "None of these was set in the database."),
        (["settings", "unset", "llm_url"], "It was not set in the database."),
        (["settings", "rotate"], "No secret is stored."),
        (["reembed"], "Everything is embedded with minilm-use-e5 already."),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_of_an_empty_memory(stores, words, said):
    """In one sentence, and as a success: what was wanted is so."""
    ended = CliRunner().invoke(app, words)
    assert (ended.exit_code, ended.stdout) == (0, f"{said}\n"), ended.exception


def test_an_id_of_nothing_that_was_given_up_is_refused(stores):
    """A slip of the pen would otherwise pass for done."""
    assert isinstance(CliRunner().invoke(app, ["jobs", "--rerun", NO_ID]).exception, ConfigInvalid)


def test_what_was_erased_is_counted_as_one_counts(stores):
    """One turn is no "1 turns"."""

    async def say():
        async with open_memory(stores) as memory:
            turn = Turn(uuid4(), "ana", "echoic", "c", 0, "user", "words", datetime.now(UTC))
            await memory.turns.record(turn)

    asyncio.run(say())
    ended = CliRunner().invoke(app, ["erase", "--user", "ana"])
    assert ended.stdout == "Erased 1 turn and 0 facts of “ana”.\n", ended.exception
