"""What models and gateways really send, over HTTP: answers are read, outages and garbage are said."""

import json
import re

import pytest

from echoic.memory.config import load_settings
from echoic.memory.errors import ModelAnswerInvalid, ModelUnavailable
from echoic.workers.evidence.operations import schema
from echoic.workers.evidence.reading import read_answer
from echoic.workers.model.chat import AnswerTooLong, ChatModel
from tests.fakes import ScriptedModel, facts

TEXT = json.dumps(facts("Dog is called Biscuit"))
ASKED = [{"role": "user", "content": "1 caller: My dog is called Biscuit."}]
SCHEMA = schema(1, 0, 5)


@pytest.fixture
def server():
    with ScriptedModel() as server:
        yield server


@pytest.fixture
async def model(server, tmp_path):
    model = ChatModel(load_settings(llm_url=server.url, llm_model="scripted", data_dir=tmp_path))
    yield model
    await model.close()


async def ask(model):
    return await model.ask(ASKED, "operations", SCHEMA)


def completion(content, finish="stop", **message):
    """A whole body."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish,
    }
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(body).encode()


def events(text, finish="stop"):
    """As a gateway streams that was not asked to."""
    parts = [text[at : at + 7] for at in range(0, len(text), 7)]
    chunks = [(part, None) for part in parts] + [("", finish)]
    lines = []
    for part, reason in chunks:
        choice = {"index": 0, "delta": {"content": part}, "finish_reason": reason}
        chunk = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        lines.append(f"data: {json.dumps(chunk)}\n\n")
    return ("".join(lines) + "data: [DONE]\n\n").encode()


@pytest.mark.parametrize("send", [completion, events], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"<think>A dog. {{hm}}</think>{TEXT}",
        f"A dog.</think>{TEXT}",
        f"<|channel|>analysis<|message|>[1]<|end|><|start|>assistant<|channel|>final<|message|>{TEXT}",
        f"Here you are:\n```json\n{TEXT}\n```\nAnything else?",
        json.dumps(facts("Dog is called Biscuit")["operations"]),
        json.dumps({"memories": [{"memory": "Dog is called Biscuit", "weight": "7"}]}),
        json.dumps(["Dog is called Biscuit"]),
        json.dumps({"operations": facts("Dog is called Biscuit")["operations"] * 3}),
        json.dumps({"operations": {"1": facts("Dog is called Biscuit")["operations"][0]}}),
        json.dumps({"result": facts("Dog is called Biscuit")}),
        json.dumps({"name": "save", "arguments": facts("Dog is called Biscuit")}),
        json.dumps({"operations": json.dumps(facts("Dog is called Biscuit")["operations"])}),
        json.dumps([{"type": "text", "text": TEXT}]),
        json.dumps(TEXT),
        json.dumps({"Operations": [{"Fact": "Dog is called Biscuit", "Op": "ADD"}]}),
        json.dumps({"operations": [{"add": {"fact": "Dog is called Biscuit"}}]}),
        repr({**facts("Dog is called Biscuit"), "sure": True, "tags": None}),
        TEXT.replace("}", ",}").replace("]", ",]"),
        TEXT.replace("}]", "]"),
        TEXT.replace('", "', '" "'),
        TEXT.replace("_", r"\_").replace("[", r"\["),
        f"// what I heard\n{TEXT}",
        re.sub('"([^"]*)"', r"“\1”", TEXT).replace(":", "：").replace(",", "，"),
        f"It must be like {{'operations': [...]}}, so:\n```json\n{TEXT}\n```",
    ],
)
async def test_an_answer_is_read_in_any_shape(server, model, text, send):
    """Thinking, fences, prose, other keys, strings, repetitions, JSON in JSON, and what is nearly JSON."""
    server.otherwise = send(text)
    answer = read_answer(await ask(model), 1, 0)
    assert [one.text for one in answer.operations] == ["Dog is called Biscuit"]


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "text", "text": TEXT}]},
        {
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": TEXT}}],
        },
    ],
    ids=["parts", "tool"],
)
async def test_an_answer_is_read_where_it_stands(server, model, message):
    """In a list of parts, or in what the model would call a tool with."""
    server.otherwise = completion(**message)
    answer = read_answer(await ask(model), 1, 0)
    assert [one.text for one in answer.operations] == ["Dog is called Biscuit"]


@pytest.mark.parametrize(
    "body",
    [
        429,
        500,
        503,
        401,
        b'{"error": {"message": "upstream timed out", "code": 524}}',
        b"<html><body>Bad gateway</body></html>",
        b"upstream connect error",
        b"",
        b"{}",
        b"null",
        b'{"choices": []}',
        b'{"choices": [{"index": 0, "message": null, "finish_reason": "error"}]}',
        b"data: not JSON\n\n",
        b"data: [DONE]\n\n",
    ],
)
async def test_an_outage_is_no_answer(server, model, body):
    """Also when it comes with status 200."""
    server.otherwise = body
    with pytest.raises(ModelUnavailable):
        await ask(model)


@pytest.mark.parametrize(
    "words", ["You exceeded your current quota", "billing hard limit", "insufficient credit"]
)
async def test_no_credit_is_an_outage(server, model, words):
    """Some say so with status 400: nothing is wrong with the question."""
    server.refuses = lambda _request: words
    with pytest.raises(ModelUnavailable):
        await ask(model)


@pytest.mark.parametrize(
    "body",
    [
        completion("I am sorry, I cannot help with that."),
        completion(""),
        completion(None, refusal="no"),
        completion(None, finish="content_filter"),
        completion("<think>for ever"),
    ],
)
async def test_garbage_is_said(server, model, body):
    """It counts as a failure of the batch, not as "nothing was told"."""
    server.otherwise = body
    with pytest.raises(ModelAnswerInvalid):
        await ask(model)


@pytest.mark.parametrize("finish", ["length", "stop"])
@pytest.mark.parametrize("send", [completion, events], ids=["whole", "streamed"])
async def test_of_a_cut_answer_the_whole_part_is_kept(server, model, send, finish):
    """Whatever the address says of how it ended."""
    two = json.dumps({"operations": facts("Dog is called Biscuit", "Dog is old")["operations"]})
    server.otherwise = send(two[:-15], finish)
    with pytest.raises(AnswerTooLong) as caught:
        await ask(model)
    assert len(caught.value.partial) == 1


async def test_of_an_answer_that_is_cut_and_broken_nothing_is_kept(server, model):
    """Repaired, its last sentence would be whole."""
    server.otherwise = completion(TEXT[:-30].replace('"', "'"), "length")
    with pytest.raises(AnswerTooLong) as caught:
        await ask(model)
    assert caught.value.partial is None


async def test_one_filtered_question_does_not_give_up_the_schema(server, model):
    """The next question is asked with it again; after two in a row that need none, it is left out."""

    server.otherwise = TEXT
    refusals = iter(["blocked by the content management policy"])
    server.refuses = lambda _request: next(refusals, "")
    await ask(model)
    await ask(model)
    kinds = [request["response_format"]["type"] for request in server.requests]
    assert kinds == ["json_object", "json_schema"]
    server.refuses = lambda request: (
        "no json_schema" if "json_schema" in str(request["response_format"]) else ""
    )
    for _ in range(3):
        await ask(model)
    kinds = [request["response_format"]["type"] for request in server.requests[2:]]
    assert kinds == ["json_object"] * 3
    assert model._format == 1
