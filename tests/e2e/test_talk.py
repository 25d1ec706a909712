"""`echoic talk` as a person or a script starts it, and what happens when something is killed midway."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from echoic.memory.service import open_memory
from echoic.memory.types import Turn
from tests.fakes import ScriptedModel, facts
from tests.processes import environment, ordinary_user, state_of, wait_until

pytestmark = pytest.mark.timeout(120)
ECHOIC = [sys.executable, "-m", "echoic"]


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile the source once, as a user's second start finds it: reading it is half of a start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with a space in its name, whose stores run while these tests do."""
    path = tmp_path_factory.mktemp("e2e") / "a folder"
    with open_stores(path):
        yield path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., "Talking"]]:
    """Starts talks; what still runs at the end is killed."""
    started: list[Talking] = []

    def start_one(user: str) -> Talking:
        started.append(Talking(folder, user))
        return started[-1]

    yield start_one
    for talking in started:
        talking.kill()


class Talking:
    """A running `echoic talk --json`, asked one line at a time."""

    def __init__(self, folder: Path, user: str, env: dict[str, str] | None = None) -> None:
        command = [*ECHOIC, "talk", "--json", "--user", user, "--data-dir", str(folder)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._process = subprocess.Popen(command, text=True, env=environment(env), **pipes)  # type: ignore[call-overload]

    def ask(self, words: str) -> dict[str, Any]:
        """The JSON object of the turn; it is acknowledged when this returns."""
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()
        return json.loads(line)

    def leave(self) -> str:
        """End the input; returns what ended badly, or nothing."""
        self._process.stdin.close()
        return self._process.stderr.read() if self._process.wait(30) else ""

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            pipe.close()


def run(
    *arguments: str, text: str = "", env: dict[str, str] | None = None, prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, *ECHOIC, *arguments],
        input=text,
        capture_output=True,
        text=True,
        env=environment(env),
        timeout=60,
    )


async def turns_of(folder: Path, user: str) -> list[Turn]:
    with open_stores(folder) as stores:
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=folder
        )
    async with open_memory(settings) as memory:
        return await memory.turns.list(user)


def family(pid: int) -> list[int]:
    """A process and its children: those of Postgres answer while their parent is halted."""
    rows = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout.split()
    return [
        pid,
        *(int(child) for child, parent in zip(rows[::2], rows[1::2], strict=True) if int(parent) == pid),
    ]


def learners(folder: Path) -> list[str]:
    """Workers that run beside a talk, or have outlived it."""
    running = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in running if "--until-eof" in line and str(folder) in line]


def test_said_in_one_process_known_in_the_next(folder: Path):
    """No model, no key, no settings: the words come back with their date, and `memories` shows the rows."""
    first = run("talk", "--user", "maya", "--data-dir", str(folder), text="My dog is called Biscuit.\n")
    assert first.returncode == 0 and "memory" in first.stdout and first.stderr == ""
    second = run(
        "talk", "--user", "maya", "--data-dir", str(folder), "--json", text="What is my dog called?\n"
    )
    assert second.returncode == 0
    answer = json.loads(second.stdout)
    assert "You told me" in answer["reply"] and "Biscuit" in answer["reply"]
    shown = json.loads(run("memories", "--user", "maya", "--json", "--data-dir", str(folder)).stdout)
    assert set(shown) == {"facts", "turns"} and shown["facts"] == []
    assert [turn["text"] for turn in shown["turns"]][:1] == ["My dog is called Biscuit."]
    keys = {"turn_id", "role", "text", "said_at", "interrupted", "state", "timezone"}
    assert all(set(turn) == keys for turn in shown["turns"])
    assert answer["turn_ids"] == [turn["turn_id"] for turn in shown["turns"][2:]]
    assert not [path.name for path in (folder / "logs").iterdir() if "Biscuit" in path.read_text()]


async def test_killed_after_a_reply_while_postgres_is_halted_loses_nothing(
    folder: Path, start: Callable[[str], Talking]
):
    """A halted Postgres costs no reply, and what was acknowledged outlives `kill -9`."""
    talking = start("nora")
    assert talking.ask("My cat is called Tom.")["reply"]
    halted = family(state_of(folder).pids["postgres"])
    for pid in halted:
        os.kill(pid, signal.SIGSTOP)
    try:
        answer = talking.ask("My dog is called Biscuit.")
        assert answer["reply"] and len(answer["turn_ids"]) == 2
        assert "Tom" in talking.ask("What is my cat called?")["reply"], (
            "tier 1 and the call's own words need no store"
        )
        talking.kill()
    finally:
        for pid in halted:
            os.kill(pid, signal.SIGCONT)
    successor = start("nora")
    assert "Biscuit" in successor.ask("What is my dog called?")["reply"]
    assert successor.leave() == ""
    said = [turn.text for turn in await turns_of(folder, "nora") if turn.role == "user"]
    assert said[:3] == ["My cat is called Tom.", "My dog is called Biscuit.", "What is my cat called?"]


async def test_stores_that_die_midway_cost_no_reply_and_no_turn(
    folder: Path, start: Callable[[str], Talking]
):
    """Redis halted, then both killed: replies go on, and every turn is stored in the end, once, in order."""
    talking = start("omar")
    talking.ask("My name is Omar.")
    before = state_of(folder).pids
    os.kill(before["redis"], signal.SIGSTOP)
    assert talking.ask("I live in Porto.")["reply"]
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    assert len(talking.ask("I moved to Lisbon.")["turn_ids"]) == 2
    assert talking.ask("I am a baker.")["reply"]
    assert talking.leave() == ""
    wait_until(
        lambda: (
            len(state_of(folder).pids.keys() & before) == 2
            and not state_of(folder).pids.items() & before.items()
        ),
        30,
    )
    expected = ["My name is Omar.", "I live in Porto.", "I moved to Lisbon.", "I am a baker."]
    assert [turn.text for turn in await turns_of(folder, "omar") if turn.role == "user"] == expected


def test_two_talks_of_one_user_at_once(start: Callable[[str], Talking]):
    """What one hears the other knows at once; neither waits for the other."""
    one, other = start("pia"), start("pia")
    other.ask("Hello, my name is Pia.")
    one.ask("My dog is called Biscuit.")
    assert "Biscuit" in other.ask("What is my dog called?")["reply"]
    assert (one.leave(), other.leave()) == ("", "")


def test_what_cannot_work_ends_in_a_sentence(folder: Path, tmp_path: Path):
    """Exit code 1 and one line on standard error for faults, 2 for wrong usage; never a traceback."""
    wrong = {
        "ECHOIC_DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:9/none",
        "ECHOIC_REDIS_URL": "redis://127.0.0.1:9",
    }
    refused = run("talk", "--data-dir", str(tmp_path), env=wrong, text="Hello.\n")
    assert (
        refused.returncode == 1
        and refused.stderr.count("\n") == 1
        and "ECHOIC_DATABASE_URL" in refused.stderr
    )
    assert "secret" not in refused.stderr + refused.stdout
    nobody = run("talk", "--user", "", "--data-dir", str(folder))
    assert nobody.returncode == 1 and "user id" in nobody.stderr
    assert run("talk", "--frobnicate").returncode == 2


def test_a_folder_without_permission_is_a_sentence(tmp_path: Path):
    """As an ordinary user, since root may write everywhere."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    result = run("talk", "--data-dir", str(closed / "data"), text="Hello.\n", prefix=ordinary_user())
    assert result.returncode == 1 and "--data-dir" in result.stderr and "Traceback" not in result.stderr


def test_facts_are_learned_although_the_talk_was_killed(folder: Path):
    """A worker beside the talk outlives it: `kill -9` after a reply, and the fact is there a moment later."""

    def speaks(request: dict[str, Any]) -> Any:
        if request.get("stream"):
            return "Nice to meet you."
        return facts("Has a dog called Biscuit")

    with ScriptedModel(otherwise=speaks) as model:
        settings = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "key", "OPENAI_MODEL": "scripted"}
        talking = Talking(folder, "quinn", settings | {"ECHOIC_LLM_GRADE": "full"})
        assert talking.ask("My dog is called Biscuit.")["reply"] == "Nice to meet you."
        talking.kill()

        def learned() -> bool:
            shown = json.loads(run("memories", "--user", "quinn", "--json", "--data-dir", str(folder)).stdout)
            return any("Biscuit" in fact["text"] for fact in shown["facts"])

        wait_until(learned, 60)
        wait_until(lambda: not learners(folder), 30)
