"""One person on every channel: whatever is said anywhere is one memory, each word once."""

import json
from contextlib import AsyncExitStack

import httpx
import openai
import pytest
from pydantic import SecretStr

from echoic.api.access.keys import add_key
from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.memory.call import start_call
from echoic.memory.identity.phone import phone_user
from echoic.memory.types import Caller
from tests.api.conftest import Served
from tests.api.test_whatsapp import ANA, KEY, PATH, SECRET, TOKEN, delivery, signed, text, value
from tests.openai_server import OpenAIServer
from tests.remembered import said_of

PHONE = phone_user(f"+{ANA}", key=KEY)
SAID = {
    "phone": "My dog is called Biscuit.",
    "WhatsApp": "My boat is called Dora.",
    "OpenAI": "I live in Porto.",
    "turns": "I play the oboe.",
    "Mem0": "I am allergic to nuts.",
    "MCP": "I drive a red van.",
}
ASKED = {
    "phone": "What is my dog called?",
    "WhatsApp": "What is my boat called?",
    "OpenAI": "Where do I live?",
    "turns": "Which instrument do I play?",
    "Mem0": "What am I allergic to?",
    "MCP": "What van do I drive?",
}


@pytest.fixture
def model():
    with OpenAIServer() as model:
        yield model


@pytest.fixture
def memory_settings(memory_settings, model):
    asked = {"llm_url": model.url, "llm_api_key": SecretStr("key"), "llm_model": "ours"}
    return memory_settings.model_copy(update=asked)


@pytest.fixture
async def served(memory, monkeypatch):
    monkeypatch.setenv("ECHOIC_PHONE_KEY", KEY)
    settings = load_api_settings(whatsapp_verify_token=TOKEN, whatsapp_app_secret=SECRET)
    async with serving(memory, settings) as app:
        yield Served(app, memory)


async def say_everything(served, model, program, maya):
    """Each sentence on its channel: two under the telephone's id, four under the application's."""
    call = start_call(served.memory, Caller(PHONE, "echoic", "a call"))
    await call.record("1", "user", SAID["phone"])
    content = json.dumps(delivery(value(text(SAID["WhatsApp"])))).encode()
    async with served.without_key(**{"X-Hub-Signature-256": signed(content)}) as meta:
        (await meta.post(PATH, content=content)).raise_for_status()
    model.replies.append("Lovely.")
    key, _ = await add_key(served.memory.db, "another program", "service")
    async with openai.AsyncOpenAI(
        api_key=key,
        base_url="http://127.0.0.1:8090/v1",
        default_headers={"Echoic-User": "maya"},
        http_client=httpx.AsyncClient(transport=httpx.ASGITransport(served.app)),
    ) as client:
        await client.chat.completions.create(
            model="gpt", messages=[{"role": "user", "content": SAID["OpenAI"]}]
        )
    await served.app.state.conversations.settle()
    told = [{"role": "user", "text": SAID["turns"]}]
    (await program.post("/v1/users/maya/turns", json={"turns": told})).raise_for_status()
    told = [{"role": "user", "content": SAID["Mem0"]}]
    (await program.post("/v3/memories/add/", json={"messages": told, "user_id": "maya"})).raise_for_status()
    asked = {"name": "save_memory", "arguments": {"text": SAID["MCP"]}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}
    accepts = {"Accept": "application/json, text/event-stream"}
    answer = await maya.post("/mcp", json=message, headers=accepts)
    assert not answer.json()["result"].get("isError"), answer.text


async def test_what_is_said_on_any_channel_is_one_memory(served, model):
    """Found from each id once they are linked, and as before once they are not."""
    async with AsyncExitStack() as open_:
        program = await open_.enter_async_context(served.client("service"))
        maya = await open_.enter_async_context(served.client("user", "maya"))
        await say_everything(served, model, program, maya)
        everything = [one for who in ("maya", PHONE) for one in await said_of(served.memory, who)]
        assert sorted(words for role, words, _ in everything if role == "user") == sorted(SAID.values())

        async def found(user_id, channel):
            asked = {"text": ASKED[channel]}
            answer = await program.post(f"/v1/users/{user_id}/search", json=asked)
            return SAID[channel].rstrip(".") in answer.json()["block"]

        assert await found("maya", "OpenAI") and not await found("maya", "phone")
        (await program.put(f"/v1/users/maya/links/{PHONE}")).raise_for_status()
        for user_id in ("maya", PHONE):
            assert [one for one in SAID if not await found(user_id, one)] == []
        (await program.delete(f"/v1/users/maya/links/{PHONE}")).raise_for_status()
        assert not await found("maya", "phone") and not await found(PHONE, "OpenAI")
