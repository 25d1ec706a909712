"""`echoic.openai_memory` and the Responses API: texts, lists of items, events, tools, threads."""

import openai
import pytest
from pydantic import BaseModel

import echoic
from echoic.memory.service import open_memory
from tests.embedders import WordEmbedder
from tests.openai_server import MODEL, OpenAIServer, Tool
from tests.remembered import fact, learn, said_of

WORDS = "What is my dog called?"


class Dog(BaseModel):
    name: str


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        await learn(memory, fact("Has a dog called Biscuit", "maya"))
        yield memory


@pytest.fixture
async def client(server, memory):
    async with openai.AsyncOpenAI(api_key="key", base_url=server.url, max_retries=0) as bare:
        client = echoic.openai_memory(bare, user_id="maya", memory=memory)
        yield client
        assert await client.flush()


async def stored(client, memory):
    """What is kept of the person, once everything is."""
    assert await client.flush()
    return await said_of(memory, "maya")


def pair(reply):
    return [("user", WORDS, False), ("assistant", reply, False)]


async def test_a_text_is_the_callers_words(client, server, memory):
    """Instructions stay as they are."""
    server.replies.append("Biscuit.")
    answer = await client.responses.create(model=MODEL, input=WORDS, instructions="Be short.")
    assert answer.output_text == "Biscuit." and server.asked[0].body["instructions"] == "Be short."
    assert server.asked[0].said.startswith("<memory>") and server.asked[0].said.endswith(f"\n{WORDS}")
    assert await stored(client, memory) == pair("Biscuit.")


@pytest.mark.parametrize("content", [WORDS, [{"type": "input_text", "text": WORDS}]], ids=["text", "parts"])
async def test_items(client, server, memory, content):
    """A list of items, with developer's words first; the program's own list stays."""
    items = [{"role": "developer", "content": "Be short."}, {"role": "user", "content": content}]
    await client.responses.create(model=MODEL, input=items, user_id="maya")
    sent = server.asked[0].body["input"]
    assert sent[0] == items[0] and items[1]["content"] == content
    block = sent[1]["content"] if isinstance(content, str) else sent[1]["content"][0]["text"]
    assert "Biscuit" in block and (isinstance(content, str) or sent[1]["content"][1:] == content)
    assert await stored(client, memory) == pair("Hello there.")


async def test_events_and_parsing(client, server, memory):
    """Streams of both kinds, and structured outputs."""
    server.replies += ["One two.", '{"name": "Biscuit"}', '{"name": "Rex"}']
    stream = await client.responses.create(model=MODEL, input=WORDS, stream=True)
    assert isinstance(stream, openai.AsyncStream)
    assert [event.type async for event in stream][-1] == "response.completed"
    async with client.responses.stream(model=MODEL, input=WORDS, text_format=Dog, user_id="maya") as events:
        assert (await events.get_final_response()).output_parsed == Dog(name="Biscuit")
    parsed = await client.responses.parse(model=MODEL, input=WORDS, text_format=Dog)
    assert parsed.output_parsed == Dog(name="Rex")
    assert all("Biscuit" in one.said for one in server.asked)
    said = [text for role, text, _ in await stored(client, memory) if role == "assistant"]
    assert said == ["One two.", '{"name": "Biscuit"}', '{"name": "Rex"}']


async def test_a_stream_closed_early(client, server, memory):
    server.replies.append("One two three four.")
    server.stalls.append(2)
    async with await client.responses.create(model=MODEL, input=WORDS, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta" and event.delta.startswith("two"):
                break
    server.release()
    assert (await stored(client, memory))[1] == ("assistant", "One two", True)


async def test_tools_and_their_results(client, server, memory):
    """A result is no answer of a person, and is not stored; with a thread the words may stand elsewhere."""
    server.replies += [Tool("weather", {"city": "Porto"}), "It rains.", "It still rains."]
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
    items = [{"role": "user", "content": WORDS}]
    first = await client.responses.create(model=MODEL, input=items, tools=[tool])
    result = {"type": "function_call_output", "call_id": "call-1", "output": "rain, secret 42"}
    whole = [*items, *[one.model_dump(exclude_none=True) for one in first.output], result]
    await client.responses.create(model=MODEL, input=whole, tools=[tool])
    assert "Biscuit" in server.asked[1].said
    await client.responses.create(model=MODEL, input=[result], previous_response_id="resp-1")
    assert server.asked[2].body["input"] == [result]
    assert await stored(client, memory) == pair("It rains.")


async def test_the_same_words_in_another_thread_are_another_turn(client, server, memory):
    """`yes` after one question is not `yes` after another."""
    for thread in ("resp-1", "resp-2", "resp-2"):
        await client.responses.create(model=MODEL, input="Yes, do that", previous_response_id=thread)
    said = [text for role, text, _ in await stored(client, memory) if role == "user"]
    assert said == ["Yes, do that", "Yes, do that"]


async def test_raw_and_other_routes(client, server, memory):
    """Raw answers are heard; what is no question goes as it is."""
    raw = await client.responses.with_raw_response.create(model=MODEL, input=WORDS, user_id="maya")
    assert raw.parse().output_text == "Hello there."
    with pytest.raises(openai.NotFoundError):
        await client.responses.cancel("resp-1")
    assert await stored(client, memory) == pair("Hello there.")
