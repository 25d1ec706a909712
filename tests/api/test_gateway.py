"""`POST /v1/chat/completions`: any model behind it, whoever the header names, and nobody else."""

import asyncio
import json
from contextlib import AsyncExitStack

import httpx
import openai
import pytest
from pydantic import SecretStr

from echoic.api.access.keys import add_key
from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.api.desk import AT_ONCE
from echoic.api.edge import LARGER_BODIES
from tests.openai_server import MODEL, Cut, OpenAIServer, Tool
from tests.remembered import fact, learn, said_of

WORDS = "What is my dog called?"
QUESTION = [{"role": "user", "content": WORDS}]
PATH = "/v1/chat/completions"


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def memory_settings(memory_settings, server):
    model = {"llm_url": server.url, "llm_api_key": SecretStr("model-key"), "llm_model": "ours"}
    return memory_settings.model_copy(update=model)


@pytest.fixture
async def program(served, address):
    """The real client of OpenAI, which knows an address and a key."""
    await learn(served.memory, fact("Has a dog called Biscuit", "maya"))
    key, _ = await add_key(served.memory.db, "a program", "service")
    headers = {"Echoic-User": "maya"}
    async with openai.AsyncOpenAI(
        api_key=key, base_url=f"{address}/v1", default_headers=headers, max_retries=0
    ) as client:
        yield client


async def stored(served, user_id="maya"):
    """What is kept of a person, once everything is."""
    await served.app.state.conversations.settle()
    return await said_of(served.memory, user_id)


async def test_a_program_has_memory_by_an_address_and_a_header(served, program, server):
    """The model sees the block and its own key, and nothing of ours."""
    server.replies.append("Biscuit.")
    answer = await program.chat.completions.create(model="gpt", messages=QUESTION, temperature=0.5)
    assert answer.choices[0].message.content == "Biscuit." and answer._request_id == "req-1"
    (asked,) = server.asked
    assert asked.said.startswith("<memory>") and "Biscuit" in asked.said and asked.said.endswith(WORDS)
    assert asked.body["model"] == "gpt" and asked.body["temperature"] == 0.5
    assert asked.headers["Authorization"] == "Bearer model-key"
    assert not [name for name in asked.headers if "choic" in name.lower()]
    assert await stored(served) == [("user", WORDS, False), ("assistant", "Biscuit.", False)]
    assert {one.agent_id for one in await served.memory.turns.list("maya")} == {"echoic"}


async def test_a_program_may_choose_among_models(program, server):
    """As the model's server lists them; the one of the settings where it lists none. Nobody need be named."""
    alone = program.with_options(default_headers={})
    assert [one.id async for one in alone.models.list()] == ["ours"]
    server.models = ["ours", "theirs"]
    assert [(one.id, one.owned_by) async for one in program.models.list()] == [
        ("ours", "them"),
        ("theirs", "them"),
    ]
    assert {one.headers["Authorization"] for one in server.asked} == {"Bearer model-key"}


async def test_words_come_as_the_model_says_them(served, program, server):
    """The first is there while the others are not said yet."""
    server.replies.append("One two three.")
    server.stalls.append(1)
    stream = await program.chat.completions.create(
        model="gpt", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    first = ""
    async for chunk in stream:
        first += chunk.choices[0].delta.content or ""
        if first:
            break
    assert first == "One "
    server.release()
    rest = [chunk async for chunk in stream]
    assert rest[-1].usage.total_tokens == 2 and "Biscuit" in server.asked[0].said
    assert await stored(served) == [("user", WORDS, False), ("assistant", "One two three.", False)]


async def test_who_leaves_in_the_middle_has_heard_so_much(served, program, server):
    """What came is stored, marked as cut off."""
    server.replies.append("One two three four.")
    server.stalls.append(2)
    async with await program.chat.completions.create(model="gpt", messages=QUESTION, stream=True) as stream:
        async for chunk in stream:
            if (chunk.choices[0].delta.content or "").startswith("two"):
                break
    async with asyncio.timeout(10):
        while len(await stored(served)) < 2:  # the server hears of it by its socket
            await asyncio.sleep(0.01)
    server.release()
    assert (await stored(served))[1] == ("assistant", "One two", True)


@pytest.mark.parametrize("stream", [True, False])
async def test_who_left_before_the_answer_has_heard_nothing(served, program, server, monkeypatch, stream):
    """Their words are kept, and no reply that was told to nobody."""
    model, answered = served.app.state.model, asyncio.Event()
    send, settled = model._client.send, asyncio.Event()

    async def slow(*args, **options):
        found = await send(*args, **options)
        settled.set()
        await answered.wait()
        return found

    monkeypatch.setattr(model._client, "send", slow)
    asking = asyncio.create_task(
        program.chat.completions.create(model="gpt", messages=QUESTION, stream=stream)
    )
    await settled.wait()
    asking.cancel()
    await asyncio.wait([asking])
    await asyncio.sleep(0.2)  # the server hears of it by its socket
    answered.set()
    async with asyncio.timeout(10):
        while not (kept := await stored(served)):
            await asyncio.sleep(0.01)
    assert kept == [("user", WORDS, False)]


async def test_a_stream_that_breaks_is_an_error_of_the_client(served, program, server):
    """What came before is passed on, and stored."""
    server.replies.append(Cut("I was about to"))
    stream, heard = await program.chat.completions.create(model="gpt", messages=QUESTION, stream=True), ""

    async def listen():
        nonlocal heard
        async for chunk in stream:
            heard += chunk.choices[0].delta.content or ""

    with pytest.raises(openai.APIError, match="broke off"):
        await listen()
    assert heard == "I was about to"
    assert (await stored(served))[1] == ("assistant", "I was about to", True)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_model_refuses_is_refused(served, program, server, status, error, stream):
    """With its status, its sentence and its headers; the words stay."""
    server.replies.append(status)
    with pytest.raises(error, match="scripted") as refused:
        await program.chat.completions.create(model="gpt", messages=QUESTION, stream=stream)
    assert refused.value.response.headers["retry-after"] == "0"
    assert await stored(served) == [("user", WORDS, False)]


async def test_a_model_that_is_not_there(served, program, server, memory):
    """Is a 502, and the words stay."""
    served.app.state.model._settings = memory.settings.model_copy(update={"llm_url": "http://127.0.0.1:1/v1"})
    with pytest.raises(openai.InternalServerError) as refused:
        await program.models.list()
    assert refused.value.status_code == 502
    with pytest.raises(openai.InternalServerError) as refused:
        await program.chat.completions.create(model="gpt", messages=QUESTION)
    assert refused.value.status_code == 502 and await stored(served) == [("user", WORDS, False)]


@pytest.mark.parametrize("model", [{"llm_model": "quote"}, {"llm_url": "", "llm_api_key": SecretStr("")}])
async def test_without_a_model_it_says_so(memory, model):
    memory.settings = memory.settings.model_copy(update=model)
    async with serving(memory, load_api_settings(), development=True) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.post(PATH, json={"messages": QUESTION})
    assert answer.status_code == 409 and answer.json()["type"].endswith("no-model")


async def test_the_model_of_the_settings_is_the_default(served, server):
    """An agent may be named too."""
    async with served.client() as client:
        headers = {"Echoic-User": "maya", "Echoic-Agent": "shop"}
        await client.post(PATH, json={"messages": QUESTION, "model": ""}, headers=headers)
        await client.post(PATH, json={"messages": QUESTION})
    assert [one.body["model"] for one in server.asked] == ["ours", "ours"]
    await stored(served)
    assert {one.agent_id for one in await served.memory.turns.list("maya")} == {"shop"}


async def test_without_a_person_nothing_is_remembered(served, program, server):
    """The request goes on as it came."""
    named = program.with_options(set_default_headers={})
    await named.chat.completions.create(model=MODEL, messages=QUESTION, extra_body={"top_k": 3})
    assert server.asked[0].body == {"model": MODEL, "messages": QUESTION, "top_k": 3}
    async with served.client() as admin:
        assert (await admin.get("/v1/statistics")).json()["turns"] == 0


async def test_a_persons_key_is_for_that_person(served, server):
    """It need not name them, and can name nobody else."""
    await learn(served.memory, fact("Has a dog called Biscuit", "maya"), fact("Has a dog called Rex", "bo"))
    async with served.client("user", "maya") as client:
        ask = lambda **headers: client.post(PATH, json={"messages": QUESTION}, headers=headers)  # noqa: E731
        assert (await ask()).status_code == 200
        assert (await ask(**{"Echoic-User": "maya"})).status_code == 200
        assert (await ask(**{"Echoic-User": "bo"})).status_code == 403
    assert all("Biscuit" in one.said and "Rex" not in one.said for one in server.asked)
    assert len(server.asked) == 2 and await stored(served, "bo") == []
    async with served.client() as admin:
        trail = (await admin.get("/v1/audit")).json()["items"]
    mine = [one["allowed"] for one in trail if one["action"] == "POST /v1/chat/completions"]
    assert mine == [False, True, True]


async def test_keys_are_asked_for(served, address, server):
    """As OpenAI's client tells it."""
    async with openai.AsyncOpenAI(api_key="wrong", base_url=f"{address}/v1", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError, match="echoic keys add"):
            await client.chat.completions.create(model="gpt", messages=QUESTION)
    assert server.asked == []


@pytest.mark.parametrize(("sent", "user_id"), [("m%C3%A4ya%2F1", "mäya/1"), ("100%", "100%"), ("a b", "a b")])
async def test_ids_are_percent_encoded(served, admin, server, sent, user_id):
    answer = await admin.post(PATH, json={"messages": QUESTION}, headers={"Echoic-User": sent})
    assert answer.status_code == 200 and len(await stored(served, user_id)) == 2


@pytest.mark.parametrize("sent", [b"m\xc3\xa4ya", b"%FF", b"x" * 201, b"%00", b"%ED%A0%80"])
async def test_ids_that_cannot_be_one_are_refused(admin, server, sent):
    answer = await admin.post(PATH, json={"messages": QUESTION}, headers={b"Echoic-User": sent})
    assert answer.status_code == 422 and server.asked == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": "Hello"},
        {"messages": []},
        {"messages": [1]},
        {"messages": QUESTION, "model": 3},
        [],
    ],
)
async def test_what_is_no_request_is_refused(admin, server, body):
    answer = await admin.post(PATH, json=body, headers={"Echoic-User": "maya"})
    assert answer.status_code == 422 and server.asked == []
    assert "body" in answer.json()["error"]["message"], "their clients show nothing else"


async def test_json_that_does_not_say_so(admin, server):
    """As curl sends it without a header: the refusal says which one is missing."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await admin.post(PATH, content=json.dumps({"messages": QUESTION}), headers=headers)
    assert answer.status_code == 422 and server.asked == []
    assert "Content-Type: application/json" in answer.json()["error"]["message"]


async def test_messages_of_any_form_reach_the_model(admin, server):
    """It says itself what it does not take."""
    odd = [{"role": "user"}, {"content": None}, {"role": "user", "content": [{"type": "text"}, 1, None]}]
    answer = await admin.post(PATH, json={"messages": odd}, headers={"Echoic-User": "maya"})
    assert answer.status_code == 200 and len(server.asked[0].body["messages"]) == 3


async def test_conversations_may_be_long(served, admin, server):
    """Far more than a fact may have goes through; there is an end to it too."""
    long = [{"role": "assistant", "content": "x" * 2**19}, *QUESTION]
    answer = await admin.post(PATH, json={"messages": long}, headers={"Echoic-User": "maya"})
    assert answer.status_code == 200 and len(server.asked[0].body["messages"][0]["content"]) == 2**19
    most = LARGER_BODIES[PATH]
    refused = await admin.post(PATH, content=b"x" * (most + 1), headers={"Content-Type": "application/json"})
    assert refused.status_code == 413 and str(most) in refused.json()["detail"]


async def test_a_tool_loop_stores_the_words_once(served, program, server):
    server.replies += [Tool("weather", {"city": "Porto"}), "It rains."]
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    first = await program.chat.completions.create(model="gpt", messages=QUESTION, tools=tools)
    call = first.choices[0].message
    result = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "secret 42"}
    await program.chat.completions.create(model="gpt", messages=[*QUESTION, call, result], tools=tools)
    assert all("Biscuit" in one.said for one in server.asked)
    assert await stored(served) == [("user", WORDS, False), ("assistant", "It rains.", False)]


async def test_slow_models_keep_nobody_from_the_api(served, program, server):
    """As many streams as there are places stand still, and others are answered."""
    server.stalls += [0] * (AT_ONCE + 8)
    async with AsyncExitStack() as opened:
        for _ in range(AT_ONCE + 8):
            made = await program.chat.completions.create(model="gpt", messages=QUESTION, stream=True)
            await opened.enter_async_context(made)
        async with served.client() as admin:
            assert (await admin.get("/v1/me")).status_code == 200
        server.release()


async def test_people_at_once_do_not_mix(served, program, server):
    """Behind the second wall as everywhere."""
    names = ["Ada", "Ben", "Cleo", "Dora"]
    for name in names:
        await learn(served.memory, fact(f"Has a dog called {name}", name))

    async def ask(name, at):
        headers = {"Echoic-User": name}
        said = [{"role": "user", "content": f"Dog of {name}, {at}?"}]
        await program.chat.completions.create(model="gpt", messages=said, extra_headers=headers)

    await asyncio.gather(*(ask(name, at) for at in range(8) for name in names))
    for asked in server.asked:
        block, _, words = asked.said.partition("</memory>\n")
        assert [name for name in names if f"called {name}" in block] == [words.split()[2].rstrip(",")]
    for name in names:
        mine = [text for role, text, _ in await stored(served, name) if role == "user"]
        assert sorted(mine) == [f"Dog of {name}, {at}?" for at in range(8)]
