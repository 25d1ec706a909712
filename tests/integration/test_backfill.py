"""Past conversations and facts, brought in once, whatever interrupts; learned behind those who speak now."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from typer.testing import CliRunner

from echoic.cli import app
from echoic.memory.backfill.backfill import STOPPED, VOID, Backfill
from echoic.memory.backfill.entries import Conversation, Statement, Utterance
from echoic.memory.call import CallMemory
from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.forget import forget
from echoic.memory.service import open_memory
from echoic.memory.types import ForgetRequest
from echoic.workers import sweep as sweep_module
from echoic.workers.learn.extractor import Extraction
from echoic.workers.learn.learner import Learner
from echoic.workers.sweep import sweep
from tests.embedders import WordEmbedder
from tests.processes import ROOT, environment
from tests.remembered import caller, say

THEN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder()) as opened:
        yield opened


def talk(*texts, user_id="ana", call_id="past", at=THEN):
    said = (Utterance("user", text, at + timedelta(seconds=place)) for place, text in enumerate(texts))
    return Conversation(user_id, "echoic", call_id, tuple(said))


def knows(text, user_id="ana", at=THEN):
    return Statement(user_id, f"mem0:{text}", text, "pets", at)


async def bring_in(memory, *entries):
    refused = []
    report = await Backfill(memory, "echoic", refused.append).run(entries)
    return report, refused


async def test_brought_in_it_is_as_if_said_then(memory):
    """Turns at their time, open for learning; facts with theirs; both are recalled. Twice is once."""
    entries = talk("My boat is called Ada.", "Yes.", "Yes."), knows("Has a dog called Biscuit")
    report, refused = await bring_in(memory, *entries)
    assert (report.turns, report.facts, report.known, refused) == (3, 1, 0, [])
    turns, (fact,) = await memory.turns.list("ana"), await memory.facts.list("ana")
    assert [turn.said_at for turn in turns] == [THEN + timedelta(seconds=place) for place in range(3)]
    assert {turn.state for turn in turns} == {"open"} and fact.said_at == THEN and fact.about is None
    call = await memory.open_call(caller("ana"))
    await memory.search.wait_held(call.caller.call_id)
    for asked, text in (("What is my boat called?", "Ada"), ("What is my dog called?", "Biscuit")):
        assert text in (await call.recall(asked, budget_s=10)).block
    await call.end(hurry=False)
    report, _ = await bring_in(memory, *entries)
    assert (report.turns, report.facts, report.known) == (0, 0, 4)


async def test_nothing_comes_back_by_it(memory):
    """What was forgotten, whoever was erased, and who does not want to be remembered."""
    entries = talk("My boat is called Ada."), knows("Has a dog called Biscuit")
    await bring_in(memory, *entries)
    (turn,), (fact,) = await memory.turns.list("ana"), await memory.facts.list("ana")
    wanted = ForgetRequest(turn_ids=frozenset({turn.turn_id}), fact_ids=frozenset({fact.fact_id}))
    await forget(CallMemory(memory, caller("ana")), wanted)
    report, refused = await bring_in(memory, *entries)
    assert (report.turns, report.facts) == (0, 0) and [one.reason for one in refused] == [VOID]
    await erase_user(memory, "bo")
    theirs = talk("I am Bo.", user_id="bo"), knows("Is called Bo", "bo")
    _, refused = await bring_in(memory, *theirs)
    assert [one.reason for one in refused] == [VOID, VOID]
    await memory.consents.write("cleo", "off")
    theirs = talk("I am Cleo.", user_id="cleo"), knows("Is called Cleo", "cleo")
    report, refused = await bring_in(memory, *theirs)
    assert [one.reason for one in refused] == [STOPPED, STOPPED] and report.refused == {STOPPED: 2}
    for user_id in ("ana", "bo", "cleo"):
        assert await memory.turns.list(user_id) == [] and await memory.facts.list(user_id) == []


async def test_secrets_are_masked_as_in_a_call(memory):
    """A past transcript holds as many as a new one."""
    await bring_in(memory, talk("My card is 4111 1111 1111 1111."), knows("The card is 4111 1111 1111 1111"))
    (turn,), (fact,) = await memory.turns.list("ana"), await memory.facts.list("ana")
    assert "4111" not in turn.text + fact.text


class Slow:
    """An extractor that notes whom it is given."""

    name = "slow"

    def __init__(self):
        self.given = []

    async def extract(self, turns, known, profile, embedder):
        self.given.append((turns[0].user_id, len(turns)))
        return Extraction()


async def test_it_is_learned_behind_those_who_speak_now(memory, monkeypatch):
    """A batch of each in turn and for a while; whoever spoke now is learned first and whole."""
    past = [talk(f"words {place}", call_id=f"past {place}") for place in range(3)]
    await bring_in(memory, *past, talk("other words", user_id="bo"))
    await say(memory, "I speak now.", user_id="zoe", call_id="now 1")
    await say(memory, "And again.", user_id="zoe", call_id="now 2")
    extractor = Slow()
    learner = Learner(memory, extractor)
    await sweep(memory, learner, idle_s=0)
    assert extractor.given == [("zoe", 1), ("zoe", 1), ("ana", 1), ("bo", 1)]
    monkeypatch.setattr(sweep_module, "PAST_S", 0.0)
    await sweep(memory, learner, idle_s=0)
    assert len(extractor.given) == 4, "the time for what is past is used up"
    monkeypatch.undo()
    for _ in range(2):
        await sweep(memory, learner, idle_s=0)
    assert extractor.given[4:] == [("ana", 1), ("ana", 1)]
    assert {turn.state for turn in await memory.turns.list("ana")} == {"learned"}


def exported(path, users=40, turns=25):
    """JSON Lines, a call each."""
    lines = []
    for user in range(users):
        said = [
            {
                "role": "user",
                "text": f"words {place} of {user}",
                "said_at": (THEN + timedelta(minutes=place)).isoformat(),
            }
            for place in range(turns)
        ]
        lines.append(json.dumps({"user_id": f"user {user}", "call_id": f"call {user}", "turns": said}))
    path.write_text("\n".join(lines))
    return users * turns


@pytest.mark.timeout(180)
def test_killed_in_the_middle_and_run_again_each_turn_is_there_once(memory_settings, tmp_path):
    """By SIGKILL, when some are in and some are not."""
    url = memory_settings.database_url.get_secret_value()
    variables = environment(
        {
            "ECHOIC_DATABASE_URL": url,
            "ECHOIC_REDIS_URL": memory_settings.redis_url.get_secret_value(),
            "ECHOIC_DATA_DIR": str(memory_settings.data_dir),
        }
    )
    total = exported(tmp_path / "calls.jsonl")
    command = [sys.executable, "-m", "echoic", "import", str(tmp_path / "calls.jsonl")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def stored():
        with psycopg.connect(url) as connection:
            return connection.execute("select count(*), count(distinct text) from turns").fetchone()

    process = subprocess.Popen(command, cwd=ROOT, env=variables, start_new_session=True, **quiet)
    while stored()[0] < 50:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < stored()[0] < total
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    assert stored() == (total, total) and "There before: " in done.stdout


def test_the_command_says_what_came_of_it(memory_settings, monkeypatch, tmp_path):
    """Counts and time; what is refused is in a private file beside, and is gone when it was mended."""
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(f"ECHOIC_{name.upper()}", getattr(memory_settings, name).get_secret_value())
    monkeypatch.setenv("ECHOIC_DATA_DIR", str(memory_settings.data_dir))
    file, rejected = tmp_path / "rows.csv", tmp_path / "rows.csv.rejected.jsonl"
    header = "phone,role,text,said_at\n"
    file.write_text(
        f"{header}+4930901820,user,My dog is called Biscuit.,2026-03-01\n,user,Who am I?,2026-03-01\n"
    )
    run = CliRunner().invoke(app, ["import", str(file)])
    assert run.exit_code == 1 and "1 turn and 0 facts." in run.output
    assert "Not taken, 1: it names nobody" in run.output and "rows.csv.rejected.jsonl" in run.output
    (line,) = rejected.read_text().splitlines()
    assert json.loads(line)["record"]["text"] == "Who am I?" and rejected.stat().st_mode & 0o777 == 0o600
    run = CliRunner().invoke(app, ["import", str(file), "--user", "me"])
    assert run.exit_code == 0 and "There before: 1." in run.output and not rejected.exists()
    with psycopg.connect(memory_settings.database_url.get_secret_value()) as connection:
        users = {row[0][:6] for row in connection.execute("select user_id from turns")}
    assert users == {"phone:", "me"}
