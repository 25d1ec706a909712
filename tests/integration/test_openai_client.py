"""`echoic.openai_memory` around the real `openai` package: what a model is sent, and what is stored."""

import asyncio
import copy
import inspect
import json
import sys
from datetime import UTC, datetime

import openai
import pytest
from pydantic import BaseModel

import echoic
from echoic.memory.errors import ConfigInvalid
from echoic.memory.service import open_memory
from tests.embedders import WordEmbedder
from tests.openai_server import MODEL, Cut, OpenAIServer, Refusal, Tool
from tests.remembered import fact, learn, said_of

QUESTION = [{"role": "user", "content": "What is my dog called?"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
HTTP = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
"""What this version of the package asks with."""


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


@pytest.fixture
async def sync(server, memory):
    """Used in a thread: memory lives in the test's own loop."""
    with openai.OpenAI(api_key="key", base_url=server.url, max_retries=0) as bare:
        yield echoic.openai_memory(bare, user_id="maya", memory=memory)


async def stored(client, memory, user_id="maya"):
    """What is kept of a person, as (role, words, cut off)."""
    assert await client.flush()
    return await said_of(memory, user_id)


def pair(reply, words="What is my dog called?"):
    return [("user", words, False), ("assistant", reply, False)]


async def test_a_request_is_given_what_is_remembered(client, server, memory):
    """Before the caller's words, in a copy: neither the program's list nor the system prompt changes."""
    messages = [{"role": "system", "content": "Be short."}, *QUESTION]
    before = copy.deepcopy(messages)
    server.replies.append("Biscuit.")
    answer = await client.chat.completions.create(model=MODEL, messages=messages, temperature=0.5)
    assert answer.choices[0].message.content == "Biscuit." and messages == before
    sent = server.asked[0].body
    assert sent["messages"][0] == before[0] and sent["temperature"] == 0.5
    assert sent["messages"][1]["content"].startswith("<memory>\n") and "Biscuit" in server.asked[0].said
    assert server.asked[0].said.endswith("</memory>\nWhat is my dog called?")
    assert "user_id" not in sent and not [name for name in server.asked[0].headers if "choic" in name]
    assert await stored(client, memory) == pair("Biscuit.")


async def test_it_is_one_of_its_kind(client, server, memory):
    """For `isinstance`, and for whoever prints it; the client that was given stays as it is."""
    assert isinstance(client, openai.AsyncOpenAI) and type(client).__name__ == "AsyncOpenAI"
    bare = openai.AsyncOpenAI(api_key="key", base_url=server.url)
    assert type(client.chat.completions) is type(bare.chat.completions)
    for name in ("create", "parse", "stream"):
        ours, theirs = getattr(client.chat.completions, name), getattr(bare.chat.completions, name)
        assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)
        assert inspect.signature(ours) == inspect.signature(theirs)
    echoic.openai_memory(bare, user_id="maya", memory=memory)
    await bare.chat.completions.create(model=MODEL, messages=QUESTION)
    assert server.asked[0].body["messages"] == QUESTION
    with pytest.raises(TypeError):
        await bare.chat.completions.create(model=MODEL, messages=QUESTION, user_id="maya")
    await bare.close()


async def test_without_a_user_it_is_the_client_as_it_was(server, memory):
    """Byte for byte, and nothing is stored."""
    bare = openai.AsyncOpenAI(api_key="key", base_url=server.url)
    nobody = echoic.openai_memory(bare, memory=memory)
    somebody = echoic.openai_memory(bare, user_id="maya", memory=memory)
    for ask in (
        bare.chat.completions.create(model=MODEL, messages=QUESTION),
        nobody.chat.completions.create(model=MODEL, messages=QUESTION),
        somebody.chat.completions.create(model=MODEL, messages=QUESTION, user_id=None),
    ):
        await ask
    first, *others = [(one.body, one.headers) for one in server.asked]
    assert others == [first, first] and await stored(somebody, memory) == []
    await bare.close()


async def test_a_call_names_its_user(client, server, memory):
    """In every method, raw ones too; it counts before the client's, and one does not see the other's."""
    await learn(memory, fact("Has a dog called Rex", "bo"))
    ask = {"model": MODEL, "messages": QUESTION, "user_id": "bo"}
    await client.chat.completions.create(**ask)
    await client.chat.completions.with_raw_response.create(**ask)
    async with client.chat.completions.with_streaming_response.create(**ask) as answer:
        await answer.read()
    async with client.chat.completions.stream(**ask) as stream:
        await stream.until_done()
    await client.beta.chat.completions.create(**ask)
    for asked in server.asked:
        assert "Rex" in asked.said and "Biscuit" not in asked.said
        assert not [name for name in asked.headers if "choic" in name.lower()]
    assert await stored(client, memory) == [] and await stored(client, memory, "bo") == pair("Hello there.")


async def test_each_person_sees_their_own_in_parallel(client, server, memory):
    """Fifty at once, of five people."""
    names = ["Ada", "Ben", "Cleo", "Dora", "Emil"]
    for name in names:
        await learn(memory, fact(f"Has a dog called {name}", name))
    asks = [
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"Dog of {name}, {at}?"}], user_id=name
        )
        for at in range(10)
        for name in names
    ]
    await asyncio.gather(*asks)
    for asked in server.asked:
        block, _, words = asked.said.partition("</memory>\n")
        assert f"dog called {words.split()[2].rstrip(',')}" in block
        assert sum(f"called {name}" in block for name in names) == 1
    for name in names:
        turns = await stored(client, memory, name)
        assert [role for role, *_ in turns] == ["user", "assistant"] * 10
        assert {text for role, text, _ in turns if role == "user"} == {
            f"Dog of {name}, {at}?" for at in range(10)
        }


async def test_a_stream_is_the_same_object_and_is_heard(client, server, memory):
    """With the last chunk of the usage, which has no choices; `response` and `close` are there."""
    server.replies.append("Biscuit, I think.")
    stream = await client.chat.completions.create(
        model=MODEL, messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    assert isinstance(stream, openai.AsyncStream) and stream.response.headers["x-request-id"] == "req-1"
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].usage.total_tokens == 2 and not chunks[-1].choices
    await stream.close()
    assert "Biscuit" in server.asked[0].said
    assert await stored(client, memory) == pair("Biscuit, I think.")


async def test_a_stream_that_is_closed_early_keeps_what_came(client, server, memory):
    """Marked as cut off; the same for who leaves the loop and forgets it."""
    server.replies.append("One two three four.")
    server.stalls.append(2)
    stream = await client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
    heard = ""
    async for chunk in stream:
        heard += chunk.choices[0].delta.content or ""
        if heard.startswith("One two"):
            break
    await stream.close()
    server.release()
    assert await stored(client, memory) == [*pair("")[:1], ("assistant", "One two", True)]


async def test_a_stream_that_breaks_keeps_what_came(client, server, memory):
    """And raises what it raised before."""
    server.replies.append(Cut("I was about to"))
    stream = await client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
    with pytest.raises((openai.APIError, HTTP.HTTPError)):
        async for _ in stream:
            pass
    assert (await stored(client, memory))[1] == ("assistant", "I was about to", True)


async def test_stream_helper_and_parse(client, server, memory):
    """Events and structured outputs come as ever; the tools of `parse` too."""
    server.replies += ['{"name": "Biscuit"}', '{"name": "Rex"}', '{"name": "Ida"}']
    ask = {"model": MODEL, "messages": QUESTION, "response_format": Dog}
    async with client.chat.completions.stream(**ask) as stream:
        kinds = [event.type async for event in stream]
        assert (await stream.get_final_completion()).choices[0].message.parsed == Dog(name="Biscuit")
    assert "content.delta" in kinds and "content.done" in kinds
    parsed = await client.chat.completions.parse(**ask)
    assert parsed.choices[0].message.parsed == Dog(name="Rex")
    raw = await client.beta.chat.completions.with_raw_response.parse(**ask)
    assert raw.parse().choices[0].message.parsed == Dog(name="Ida")
    assert all("Biscuit" in one.said and "response_format" in one.body for one in server.asked)
    assert [text for role, text, _ in await stored(client, memory) if role == "assistant"] == [
        '{"name": "Biscuit"}',
        '{"name": "Rex"}',
        '{"name": "Ida"}',
    ]


async def test_raw_responses(client, server, memory):
    """Headers, parsing and bytes are there; a stream of them is heard however it is read."""
    server.replies += ["One.", "Two.", "Three and four.", "Five."]
    raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION)
    assert raw.headers["x-request-id"] == "req-1" and raw.parse().choices[0].message.content == "One."
    streaming = client.chat.completions.with_streaming_response
    async with streaming.create(model=MODEL, messages=QUESTION) as answer:
        assert json.loads(await answer.text())["choices"][0]["message"]["content"] == "Two."
    async with streaming.create(model=MODEL, messages=QUESTION, stream=True) as answer:
        lines = [line async for line in answer.iter_lines()]
    assert "data: [DONE]" in lines
    raw = await client.with_raw_response.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
    assert [chunk async for chunk in raw.parse()]
    said = await stored(client, memory)
    assert said == [*pair("One."), *pair("Two.")[1:], *pair("Three and four.")[1:], *pair("Five.")[1:]]


async def test_copies_remember(client, server, memory):
    """`with_options` and `copy` are for one call, and are made by the client's own class."""
    for made in (client.with_options(timeout=5), client.copy(default_headers={"x-mine": "1"})):
        assert isinstance(made, openai.AsyncOpenAI)
        await made.chat.completions.create(model=MODEL, messages=QUESTION, user_id="maya")
    assert all("Biscuit" in one.said for one in server.asked)
    assert server.asked[1].headers["x-mine"] == "1"
    again = echoic.openai_memory(client, user_id="bo", memory=memory)
    await again.chat.completions.create(model=MODEL, messages=QUESTION)
    assert "Biscuit" not in server.asked[2].said and type(again) is type(client)
    assert await again.flush()


async def test_a_tool_loop_is_one_turn(client, server, memory):
    """The words are shown with memory in each step and stored once; tools and what they found are not."""
    server.replies += [Tool("weather", {"city": "Porto"}, "Let me look."), "It rains, take Biscuit's coat."]
    messages = list(QUESTION)
    first = await client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    messages.append(first.choices[0].message)
    call = first.choices[0].message.tool_calls[0]
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "Rain, secret 42"})
    await client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    assert all("Biscuit" in one.said for one in server.asked)
    assert server.asked[1].body["messages"][1]["tool_calls"][0]["function"]["name"] == "weather"
    assert await stored(client, memory) == [
        *pair("Let me look."),
        ("assistant", "It rains, take Biscuit's coat.", False),
    ]


async def test_a_tool_call_without_words_stores_the_callers(client, server, memory):
    """Streamed too: its deltas have no content."""
    server.replies += [Tool("weather", {}), Tool("weather", {})]
    await client.chat.completions.create(model=MODEL, messages=QUESTION, tools=[WEATHER])
    strict = {"type": "function", "function": WEATHER["function"] | {"strict": True}}
    other = [{"role": "user", "content": "And tomorrow?"}]
    async with client.chat.completions.stream(model=MODEL, messages=other, tools=[strict]) as stream:
        await stream.until_done()
    assert await stored(client, memory) == [*pair("")[:1], ("user", "And tomorrow?", False)]


async def test_lists_of_parts_keep_their_form(client, server, memory):
    """Pictures stay, words are stored, and a system prompt may be a list too."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    words = {"type": "text", "text": "Is this my dog?"}
    system = {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}
    messages = [system, {"role": "user", "content": [picture, words]}]
    await client.chat.completions.create(model=MODEL, messages=messages)
    sent = server.asked[0].body["messages"]
    assert sent[0] == system and sent[1]["content"][1:] == [picture, words]
    assert sent[1]["content"][0]["type"] == "text" and "Biscuit" in sent[1]["content"][0]["text"]
    assert await stored(client, memory) == pair("Hello there.", "Is this my dog?")


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Sum up."}],
        [*QUESTION, {"role": "assistant", "content": "Your dog"}],
    ],
    ids=["nobody speaks", "an answer is begun"],
)
async def test_what_nobody_asked_is_passed_through(client, server, memory, messages):
    """Nothing is recalled or stored where no person waits for an answer."""
    await client.chat.completions.create(model=MODEL, messages=messages)
    assert server.asked[0].body["messages"] == messages and await stored(client, memory) == []


async def test_the_running_conversation_is_not_told_twice(client, server, memory):
    """What stands in the list is not repeated in the block, nor stored again."""
    messages = [{"role": "user", "content": "My sister Maria lives in Porto."}]
    server.replies += ["Porto is lovely!", "In Porto."]
    answer = await client.chat.completions.create(model=MODEL, messages=messages)
    messages += [answer.choices[0].message, {"role": "user", "content": "Where does my sister Maria live?"}]
    assert await client.flush()
    await client.chat.completions.create(model=MODEL, messages=messages)
    assert "Porto" not in server.asked[1].said
    said = await stored(client, memory)
    assert [text for _, text, _ in said] == [
        "My sister Maria lives in Porto.",
        "Porto is lovely!",
        "Where does my sister Maria live?",
        "In Porto.",
    ]


async def test_another_conversation_knows_what_was_said(client, server, memory):
    """Also before anything was learned, and through another client of the same person."""
    await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "My sister Maria lives in Porto."}]
    )
    assert await client.flush()
    asking = [{"role": "user", "content": "Where does my sister Maria live?"}]
    await client.responses.create(model=MODEL, input=asking)
    assert "Maria lives in Porto" in server.asked[1].said


async def test_a_refusal_is_what_was_said(client, server, memory):
    server.replies.append(Refusal("I cannot do that."))
    await client.chat.completions.create(model=MODEL, messages=QUESTION)
    assert await stored(client, memory) == pair("I cannot do that.")


async def test_of_several_answers_the_first_is_kept(client, server, memory):
    server.replies.append("The first.")
    answer = await client.chat.completions.create(model=MODEL, messages=QUESTION, n=3)
    assert len(answer.choices) == 3 and await stored(client, memory) == pair("The first.")


async def test_a_model_that_fails_raises_its_error_and_the_words_stay(client, server, memory):
    """Once, however often it is tried again."""
    server.replies += [429, 500, "Biscuit."]
    for error in (openai.RateLimitError, openai.InternalServerError):
        with pytest.raises(error):
            await client.chat.completions.create(model=MODEL, messages=QUESTION)
    await client.chat.completions.create(model=MODEL, messages=QUESTION)
    assert await stored(client, memory) == pair("Biscuit.")


async def test_retries_of_the_client_itself(client, server, memory):
    """The same words with the same block are sent again, and are one turn."""
    server.replies += [429, "Biscuit."]
    await client.with_options(max_retries=2).chat.completions.create(model=MODEL, messages=QUESTION)
    assert server.asked[0].body == server.asked[1].body and await stored(client, memory) == pair("Biscuit.")


@pytest.mark.parametrize("bad", ["", "   ", "x" * 201, 42], ids=["empty", "blank", "long", "number"])
async def test_an_id_that_cannot_be_one_costs_no_reply(client, server, memory, bad):
    """The request goes out without memory; named for the whole client, it is refused at once."""
    await client.chat.completions.create(model=MODEL, messages=QUESTION, user_id=bad)
    assert server.asked[0].body["messages"] == QUESTION
    if isinstance(bad, str):
        with pytest.raises(ConfigInvalid):
            echoic.openai_memory(client, user_id=bad, memory=memory)


async def test_ids_and_words_of_any_language(client, server, memory):
    """An id is no header: it never has to be ASCII."""
    await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "我的狗叫饼干 🐶"}], user_id="mäya/小"
    )
    assert await stored(client, memory, "mäya/小") == pair("Hello there.", "我的狗叫饼干 🐶")


async def test_what_is_no_client_is_refused():
    with pytest.raises(TypeError, match="openai"):
        echoic.openai_memory(object(), user_id="maya")
    with pytest.raises(ConfigInvalid, match="ECHOIC_DATABASE_URL"):
        echoic.openai_memory(openai.OpenAI(api_key="k"), user_id="maya")


async def test_prompt_for_other_code(client, server, memory):
    """For words as a reply would see it; without words, what is known of the person."""
    assert "Biscuit" in await client.get_memory_prompt("What is my dog called?")
    assert "Biscuit" in await client.get_memory_prompt()
    assert await client.get_memory_prompt("What is my dog called?", user_id="bo") == ""
    assert await client.get_memory_prompt("x", user_id=None) == "" and server.asked == []


async def test_scope_is_the_agents(server, memory):
    """What one agent was told word for word is not another's."""
    bare = openai.AsyncOpenAI(api_key="key", base_url=server.url)
    shop, bank = (echoic.openai_memory(bare, "maya", scope=one, memory=memory) for one in ("shop", "bank"))
    said = [{"role": "user", "content": "My size is thirty eight."}]
    await shop.chat.completions.create(model=MODEL, messages=said)
    assert await shop.flush()
    asking = [{"role": "user", "content": "What is my size?"}]
    await bank.chat.completions.create(model=MODEL, messages=asking)
    await shop.chat.completions.create(model=MODEL, messages=asking)
    assert "thirty" not in server.asked[1].said and "thirty" in server.asked[2].said
    assert await bank.flush()
    await bare.close()


async def test_who_does_not_want_to_be_remembered_is_not(client, server, memory):
    """Answered all the same."""
    await memory.consents.write("maya", "off")
    answer = await client.chat.completions.create(model=MODEL, messages=QUESTION)
    assert answer.choices[0].message.content and await stored(client, memory) == []


async def test_turns_have_their_time_and_agent(client, memory):
    began = datetime.now(UTC)
    await client.chat.completions.create(model=MODEL, messages=QUESTION)
    assert await client.flush()
    first, second = await memory.turns.list("maya")
    assert first.agent_id == "echoic" and first.call_id == second.call_id
    assert first.call_id.startswith("openai.") and began <= first.said_at <= second.said_at


async def test_a_sync_client(sync, client, server, memory):
    """Asked in a thread, of the same memory; streams and parsing too."""
    server.replies += ["Biscuit.", "One two.", '{"name": "Biscuit"}', "Three."]

    def ask():
        assert isinstance(sync, openai.OpenAI)
        sync.chat.completions.create(model=MODEL, messages=QUESTION)
        stream = sync.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
        assert isinstance(stream, openai.Stream)
        with stream:
            said = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert said == "One two."
        with sync.chat.completions.stream(model=MODEL, messages=QUESTION, response_format=Dog) as events:
            assert events.get_final_completion().choices[0].message.parsed == Dog(name="Biscuit")
        raw = sync.with_options(timeout=9).chat.completions.with_raw_response.create(
            model=MODEL, messages=QUESTION, user_id="maya"
        )
        assert raw.parse().choices[0].message.content == "Three."
        assert "Biscuit" in sync.get_memory_prompt("What is my dog called?")
        assert sync.flush()

    await asyncio.to_thread(ask)
    assert all("Biscuit" in one.said for one in server.asked)
    replies = ["Biscuit.", "One two.", '{"name": "Biscuit"}', "Three."]
    assert [text for role, text, _ in await stored(client, memory) if role == "assistant"] == replies


async def test_a_sync_stream_closed_early(sync, client, server, memory):
    server.replies.append("One two three four.")
    server.stalls.append(2)

    def ask():
        with sync.chat.completions.create(model=MODEL, messages=QUESTION, stream=True) as stream:
            for chunk in stream:
                if (chunk.choices[0].delta.content or "").startswith("two"):
                    break
        server.release()
        assert sync.flush()

    await asyncio.to_thread(ask)
    assert (await stored(client, memory))[1] == ("assistant", "One two", True)


async def test_a_sync_client_in_the_loop_of_its_memory_does_not_hang(sync, server):
    """It cannot wait there: it is answered without memory."""
    assert sync.chat.completions.create(model=MODEL, messages=QUESTION).choices
    assert server.asked[0].body["messages"] == QUESTION
    assert sync.get_memory_prompt("dog") == "" and not sync.flush()


@pytest.mark.parametrize("waits", [True, False])
async def test_azure(server, memory, client, waits):
    """The deployment stands in the address; raw and streamed as elsewhere."""
    kind = openai.AzureOpenAI if waits else openai.AsyncAzureOpenAI
    bare = kind(api_key="key", azure_endpoint=server.address, api_version="2024-10-21", max_retries=0)
    azure = echoic.openai_memory(bare, user_id="maya", memory=memory)
    assert isinstance(azure, kind)
    ask = {"model": "gpt", "messages": QUESTION}

    def wait():
        azure.chat.completions.create(**ask)
        list(azure.with_options(timeout=5).chat.completions.create(**ask, stream=True))
        assert azure.flush()
        bare.close()

    if waits:
        await asyncio.to_thread(wait)
    else:
        await azure.chat.completions.create(**ask)
        async for _ in await azure.with_options(timeout=5).chat.completions.create(**ask, stream=True):
            pass
        assert await azure.flush()
        await bare.close()
    for asked in server.asked:
        assert asked.path == "/openai/deployments/gpt/chat/completions" and "Biscuit" in asked.said
    assert await stored(client, memory) == pair("Hello there.")
