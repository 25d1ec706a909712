"""A program with `echoic.openai_memory` as a process of its own: memory in its thread, and its end."""

import json
import os
import socket
import subprocess
import sys
import threading

import psycopg
import pytest

from echoic.local.dev.run_command import addresses
from tests.openai_server import OpenAIServer

SYNC = """
import openai, echoic
client = echoic.openai_memory(openai.OpenAI(api_key="key"), user_id="maya")
for words in ("My dog is called Biscuit.", "What is my dog called?"):
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": words}])
    print(words, flush=True)
"""
LOOPS = """
import asyncio, openai, echoic
client = echoic.openai_memory(openai.OpenAI(api_key="key"), user_id="maya")
ask = {"model": "m", "messages": [{"role": "user", "content": "My dog is called Biscuit."}]}
client.chat.completions.create(**ask)
assert client.flush()

async def main(words):
    async with openai.AsyncOpenAI(api_key="key") as bare:
        client = echoic.openai_memory(bare, user_id="maya")
        assert "Biscuit" in await client.get_memory_prompt("What is my dog called?")
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": words}])

asyncio.run(main("What is my dog called?"))
asyncio.run(main("Is it a dog?"))
import threading
assert [one.name for one in threading.enumerate()].count("echoic.openai") == 1
"""
FORKED = """
import os, warnings, openai, echoic
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside a thread
client = echoic.openai_memory(openai.OpenAI(api_key="key"), user_id="maya")
ask = lambda words: client.chat.completions.create(model="m", messages=[{"role": "user", "content": words}])
ask("Said before the fork.")
if (child := os.fork()) == 0:
    ask("Said in the child.")
    assert client.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
AWAY = """
import json, time, openai, echoic
client = echoic.openai_memory(openai.OpenAI(api_key="key"), user_id="maya")
client.get_memory_prompt("x")  # it is open
took = []
for words in ("My dog is called Biscuit.", "What is my dog called?"):
    began = time.monotonic()
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": words}])
    took.append(time.monotonic() - began)
print(json.dumps(took), flush=True)
"""


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def run(memory_settings, server, tmp_path):
    """Runs a script to its end, and returns what it printed."""

    def run(script, never=("Biscuit", "never retrieved", "was destroyed", "Traceback"), **more):
        variables = os.environ | addresses(memory_settings) | {"OPENAI_BASE_URL": server.url} | more
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            env=variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        for word in never:
            assert word not in done.stderr, done.stderr
        return done.stdout

    return run


def turns(url):
    with psycopg.connect(url) as connection:
        return connection.execute("select role, text from turns order by said_at").fetchall()


@pytest.mark.timeout(120)
def test_what_was_said_last_is_stored_before_the_process_ends(run, server, database_url):
    """Nobody flushes; the process ends right after the answer, without waiting for long."""
    run(SYNC)
    said = [text for role, text in turns(database_url) if role == "user"]
    assert said == ["My dog is called Biscuit.", "What is my dog called?"]
    assert len(turns(database_url)) == 4 and len(server.asked) == 2


@pytest.mark.timeout(120)
def test_one_memory_for_threads_and_loops(run, server, database_url):
    """A sync client and two loops after each other share it."""
    run(LOOPS)
    assert "Biscuit" in server.asked[1].said and "Biscuit" in server.asked[2].said
    assert len(turns(database_url)) == 6


@pytest.mark.timeout(120)
def test_a_forked_process_opens_its_own(run, server, database_url):
    """As servers do that load the program before they fork."""
    run(FORKED)
    said = [text for role, text in turns(database_url) if role == "user"]
    assert said == ["Said before the fork.", "Said in the child."]


@pytest.mark.timeout(120)
def test_a_database_that_hangs_costs_the_budget_and_no_turn(run, server, data_dir):
    """It takes connections and never answers: replies go out in time, and the turns wait on the disk."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        held = []
        thread = threading.Thread(target=lambda: _accept(hung, held), daemon=True)
        thread.start()
        url = f"postgresql://nobody@127.0.0.1:{hung.getsockname()[1]}/echoic"
        took = json.loads(
            run(AWAY, ("Biscuit", "destroyed"), ECHOIC_DATABASE_URL=url, ECHOIC_RECALL_BUDGET_MS="150")
        )
    assert max(took) < 2.0, took  # when a store is given up; a request by itself takes some 10 ms
    spooled = "".join(path.read_text() for path in (data_dir / "spool").rglob("*") if path.is_file())
    assert "My dog is called Biscuit." in spooled and "What is my dog called?" in spooled


def _accept(hung, held):
    try:
        while True:
            held.append(hung.accept())
    except OSError:
        pass
