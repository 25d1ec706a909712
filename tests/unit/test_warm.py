"""What the first question of a process still has to read."""

import subprocess
import sys
from pathlib import Path

from tests.processes import environment

ASKED = """
import asyncio, re._compiler
import echoic.testing
from echoic.agent.commands.memory_commands import parse_memory_command, speaks_of_forgetting
from echoic.agent.commands.warm import warm
from echoic.memory.types import Caller
warm().join()
made, compile_one = [], re._compiler.compile
def noticed(pattern, flags=0):
    made.append(str(pattern)[:80])
    return compile_one(pattern, flags)
async def ask(question):
    call = await memory.open_call(Caller("maya", "echoic", "call"))
    await call.record("1", "user", "My dog is called Biscuit.")
    assert parse_memory_command(question) is None and not speaks_of_forgetting(question)
    assert parse_memory_command("No.", asked="may_forget").wish == "nothing"
    assert "Biscuit" in str(await call.recall(question, previous_user_text="My dog is called Biscuit."))
memory = echoic.testing.memory()
re._compiler.compile = noticed
asyncio.run(ask("What is the name of my dog?"))
print(*made, sep="\\n", end="")
"""

CALLED = """
import multiprocessing
import re._compiler
from functools import partial
def answer():
    from echoic.agent.commands.warm import read_languages
    re._compiler.compile = partial(print, "made")
    read_languages()
    print("answered", flush=True)
if __name__ == "__main__":
    from echoic.agent.worker.server import server
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(server._preload_modules)
    process = context.Process(target=answer)
    process.start()
    process.join()
"""


def test_the_first_question_of_a_process_makes_no_pattern():
    """All are made before, off the reply's path: at the first question they cost more than memory may."""
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, env=environment())
    assert (done.stdout, done.stderr) == ("", "")


def test_a_call_begins_in_a_process_that_has_them(tmp_path: Path):
    """LiveKit forks it from a server that imported what the worker names; a wrong name there is only slow."""
    (script := tmp_path / "called.py").write_text(CALLED)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment())
    assert (done.stdout, done.stderr) == ("answered\n", "")
