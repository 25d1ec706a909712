"""What the main run cannot show: this version of the package, and nothing of LiveKit beside it."""

import asyncio
import importlib.util
import os
import subprocess
import sys
from importlib.metadata import version

import openai
import pytest
from pydantic import BaseModel

from echoic.api.access.keys import add_key
from echoic.local.dev.run_command import addresses
from tests.api.conftest import address, memory, served
from tests.api.test_gateway import memory_settings, server
from tests.openai_server import Tool
from tests.remembered import fact, learn, said_of

__all__ = ["address", "memory", "memory_settings", "served", "server"]  # fixtures
QUESTION = [{"role": "user", "content": "What is my dog called?"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
PROGRAM = """
import sys, openai, echoic
client = echoic.openai_memory(openai.OpenAI(api_key="key"), user_id="maya")
client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello."}])
assert client.flush()
print(*sorted(name for name in sys.modules if name.split(".")[0] in ("livekit", "mem0", "fastapi")))
"""


class Dog(BaseModel):
    name: str


@pytest.fixture
async def program(served, address):
    """The blocking client, which knows the gateway's address and a key."""
    await learn(served.memory, fact("Has a dog called Biscuit", "maya"))
    key, _ = await add_key(served.memory.db, "a program", "service")
    headers = {"Echoic-User": "maya"}
    with openai.OpenAI(
        api_key=key, base_url=f"{address}/v1", default_headers=headers, max_retries=0
    ) as client:
        yield client


def test_it_is_the_version_that_the_suite_names():
    """And no plugin of LiveKit has brought another."""
    assert openai.__version__ == version("openai")
    assert importlib.util.find_spec("livekit.plugins") is None


@pytest.mark.timeout(120)
def test_a_program_loads_nothing_of_livekit(memory_settings, server, tmp_path):
    """It speaks with a model and a memory."""
    variables = os.environ | addresses(memory_settings) | {"OPENAI_BASE_URL": server.url}
    run = [sys.executable, "-W", "error", "-c", PROGRAM]
    done = subprocess.run(run, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "\n"


async def test_the_blocking_client_over_the_gateway(served, program, server):
    """Whole, streamed, raw, with options, parsed; each reply is stored."""
    server.replies += ["One.", "Two three.", "Four.", "Five.", '{"name": "Biscuit"}', "Six seven."]
    ask = {"model": "gpt", "messages": QUESTION}

    def talk():
        chat = program.chat.completions
        assert chat.create(**ask).choices[0].message.content == "One."
        with chat.create(**ask, stream=True) as stream:
            said = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert said == "Two three."
        raw = chat.with_raw_response.create(**ask)
        assert raw.headers["x-request-id"] == "req-1" and raw.parse().choices[0].message.content == "Four."
        short = program.with_options(timeout=9, default_headers={"x-mine": "1"})
        assert short.chat.completions.create(**ask).choices[0].message.content == "Five."
        assert chat.parse(**ask, response_format=Dog).choices[0].message.parsed == Dog(name="Biscuit")
        with chat.stream(**ask) as events:
            assert "content.delta" in [event.type for event in events]

    await asyncio.to_thread(talk)
    assert all("Biscuit" in asked.said for asked in server.asked)
    await served.app.state.conversations.settle()
    said = await said_of(served.memory, "maya")
    assert [text for role, text, _ in said if role == "assistant"] == [
        *("One.", "Two three.", "Four.", "Five.", '{"name": "Biscuit"}', "Six seven.")
    ]
    assert [role for role, *_ in said].count("user") == 1  # the same words at the same point


async def test_tools_over_the_gateway(served, program, server):
    """A call of a tool comes back whole and in a stream, and its result is no turn."""
    server.replies += [Tool("weather", {"city": "Porto"}), Tool("weather", {"city": "Porto"}), "It rains."]

    def talk():
        chat, messages = program.chat.completions, list(QUESTION)
        first = chat.create(model="gpt", messages=messages, tools=[WEATHER]).choices[0].message
        assert first.tool_calls[0].function.arguments == '{"city": "Porto"}'
        stream = chat.create(model="gpt", messages=messages, tools=[WEATHER], stream=True)
        called = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
        assert called[0].function.name == "weather"
        result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "rain, secret 42"}
        chat.create(model="gpt", messages=[*messages, first, result], tools=[WEATHER])

    await asyncio.to_thread(talk)
    await served.app.state.conversations.settle()
    said = await said_of(served.memory, "maya")
    assert [(role, text) for role, text, _ in said] == [
        ("user", "What is my dog called?"),
        ("assistant", "It rains."),
    ]


async def test_blocking_calls_in_parallel(served, program, server):
    """From many threads with one client, each for another person."""
    names = ["Ada", "Ben", "Cleo"]
    for name in names:
        await learn(served.memory, fact(f"Has a dog called {name}", name))

    def ask(name, at):
        words = [{"role": "user", "content": f"What is my dog called, {at}?"}]
        headers = {"Echoic-User": name}
        program.chat.completions.create(model="gpt", messages=words, user=name, extra_headers=headers)

    await asyncio.gather(*(asyncio.to_thread(ask, name, at) for at in range(3) for name in names))
    assert len(server.asked) == 9
    for asked in server.asked:
        block = asked.said.partition("</memory>\n")[0]
        assert [name for name in names if f"called {name}" in block] == [asked.body["user"]]


async def test_other_routes_are_not_the_gateways(program):
    """They are refused as OpenAI's package expects it, and not passed on."""

    def ask():
        with pytest.raises(openai.NotFoundError):
            program.responses.create(model="gpt", input="Hello.")
        with pytest.raises(openai.NotFoundError):
            program.embeddings.create(model="gpt", input="Hello.")

    await asyncio.to_thread(ask)
