"""A model that nobody has graded is tried once; what it may do is kept, and learning keeps to it.

Only the model is scripted.
"""

import json

import pytest

from echoic.memory.errors import ModelUnavailable
from echoic.memory.model_verdict import calls_tools
from echoic.memory.service import open_memory
from echoic.workers.choose_extractor import open_extractor
from echoic.workers.flush import flush_user
from echoic.workers.learn.learner import Learner
from tests.embedders import WordEmbedder
from tests.fakes import ScriptedModel, facts, operation
from tests.remembered import fact, learn, say

PROBES = {
    "cardiff": [
        operation("Has moved to Cardiff", turn=2),
        operation("Daughter Nell is nine", turn=2, about="daughter, Nell"),
        operation("Brother Oscar is allergic to shellfish", turn=4, about="brother, Oscar"),
    ],
    "Apotheke": [operation("Arbeitet in einer Apotheke", turn=2, op="replace 1")],
    "Lolo": [operation("", turn=1, op="end 2"), operation("", turn=3, op="end 3")],
    "钢琴": [operation("开始学钢琴了", turn=2)],
}
"""What a perfect model makes of the calls of our trial, by a word of each."""


def called(tool):
    """The model calls a tool instead of answering."""
    call = {"id": "call", "type": "function", "function": {"name": tool, "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    body = {
        "id": "scripted",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": choices,
    }
    return json.dumps(body).encode()


def fit(request):
    """Answers the trial without a mistake, and calls the tool."""
    if "tools" in request:
        return called(request["tools"][0]["function"]["name"])
    asked = request["messages"][-1]["content"]
    return {"operations": next((told for word, told in PROBES.items() if word in asked), [])}


def ends_too_much(request):
    """Finds everything, and ends what was only mentioned."""
    answer = fit(request)
    if "Apotheke" in request["messages"][-1]["content"]:
        answer["operations"] = [*answer["operations"], operation("", turn=2, op="end 2")]
    return answer


def weak(request):
    """Always the same."""
    return facts("Is a human being")


@pytest.fixture
def model():
    with ScriptedModel(otherwise=fit) as model:
        yield model


@pytest.fixture
def settings(memory_settings, model):
    return memory_settings.model_copy(update={"llm_url": model.url, "llm_model": "scripted", "llm_grade": ""})


@pytest.fixture
async def memory(settings):
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        yield memory


async def opened(settings, memory):
    choice = await open_extractor(settings, memory)
    await choice.close()
    return choice


@pytest.mark.parametrize(
    ("answers", "grade", "tools"), [(fit, "full", True), (ends_too_much, "adds", True), (weak, "none", False)]
)
async def test_a_model_is_tried_once(settings, memory, model, answers, grade, tools):
    """The verdict stands in the database: another start, also of another process, asks nothing."""
    model.otherwise = answers
    first = await opened(settings, memory)
    asked = len(model.requests)
    async with open_memory(settings, embedder=WordEmbedder()) as elsewhere:
        second = await opened(settings, elsewhere)
    assert first.verdict == second.verdict and (first.verdict.grade, first.verdict.tools) == (grade, tools)
    assert (first.extractor is None) == (grade == "none") and first.verdict.sentence in first.sentence
    assert 1 < asked == len(model.requests)
    # a call reads it without the worker's code
    assert await calls_tools(memory.db, settings.llm_url, settings.llm_model) == tools


async def test_another_model_is_tried_anew(settings, memory, model):
    """A verdict is one model's; one that is named in the settings needs none."""
    await opened(settings, memory)
    asked = len(model.requests)
    await opened(settings.model_copy(update={"llm_model": "another"}), memory)
    assert len(model.requests) == 2 * asked
    told = await opened(settings.model_copy(update={"llm_model": "third", "llm_grade": "adds"}), memory)
    assert len(model.requests) == 2 * asked and told.verdict.grade == "adds"


@pytest.fixture
async def untried(settings, memory, model):
    """Learns with a model that did not answer when it was to be tried, and does now."""
    model.answers = [503]
    choice = await open_extractor(settings, memory)
    assert choice.verdict is None
    yield Learner(memory, choice.extractor)
    await choice.close()


async def test_an_outage_is_no_verdict(memory, model, untried):
    """A worker that began in one tries the model once it answers, and then learns as it is trusted."""
    await learn(memory, fact("Lives in Leeds"))
    moved = facts("Moved to Lisbon", op="replace 1")
    model.otherwise = lambda request: moved if "Lisbon" in str(request["messages"][-1]) else fit(request)
    await say(memory, "I moved to Lisbon, I don't live in Leeds any more.")
    assert (await untried.learn("ana")).closed == 1
    assert [one.text for one in await memory.facts.list("ana")] == ["Moved to Lisbon"]


async def test_after_an_outage_too_weak_a_model_learns_nothing_either(memory, model, untried):
    """It is no failure of the turns: they stay open."""
    model.otherwise = weak
    await say(memory, "I moved to Lisbon.")
    for _ in range(4):
        with pytest.raises(ModelUnavailable, match="too weak"):
            await untried.learn("ana")
    assert [turn.state for turn in await memory.turns.list("ana")] == ["open"]


async def test_a_model_that_only_adds_ends_nothing(settings, memory, model):
    """What is new stands beside what was so before; it is shown nothing that it could end."""
    await learn(memory, fact("Lives in Leeds"))
    model.otherwise = facts("Moved to Lisbon", op="replace 1")
    choice = await open_extractor(settings.model_copy(update={"llm_grade": "adds"}), memory)
    await say(memory, "I moved to Lisbon, I don't live in Leeds any more.")
    report = await Learner(memory, choice.extractor).learn("ana")
    await choice.close()
    assert (report.facts, report.closed) == (1, 0) and "Lives in Leeds" not in model.asked()
    assert [one.text for one in await memory.facts.list("ana")] == ["Lives in Leeds", "Moved to Lisbon"]


async def test_too_weak_a_model_learns_nothing_and_that_is_said(settings, memory, model):
    """The turns stay open for another model, and nobody waits for them."""
    model.otherwise = weak
    await say(memory, "I moved to Lisbon.")
    assert "too weak" in await flush_user(memory, "ana")
    assert [turn.state for turn in await memory.turns.list("ana")] == ["open"]
