"""What no caller and no model should do, on the real stores: a clear error comes of it, or the right memory.

Nothing said is lost, nothing true is ended, and nothing is learned twice. Only the model is scripted.
"""

import json
import time
from datetime import timedelta

import pytest

from echoic.memory.errors import ModelUnavailable
from echoic.memory.service import open_memory
from echoic.memory.store.batches import dead, rerun
from echoic.workers.learn.known_facts import MOST
from tests.boats import learning, noting_boats
from tests.fakes import on_known, operation
from tests.remembered import NOW, fact, learn, say

PROSE, OUTAGE = "Sure! Here are the facts.", 503


def failing(answer, at, times=1):
    """As `noting_boats`, but a question that holds the words `at` gets this answer, so many times."""
    left = [answer] * times

    def answering(request):
        return left.pop() if left and at in request["messages"][-1]["content"] else noting_boats(request)

    return answering


async def texts_of(memory, **options):
    return sorted([fact.text for fact in await memory.facts.list("ana", **options)])


async def states(memory):
    return {turn.state for turn in await memory.turns.list("ana")}


async def say_minutes(memory, minutes, more=""):
    """A call in which somebody says something new each 20 seconds, and the agent answers."""
    began = NOW - timedelta(hours=1)
    for number in range(minutes):
        said_at = began + timedelta(seconds=20 * number)
        await say(memory, f"In part {number}, well, I own boat n{number}.{more}", said_at=said_at)
        answer = "I see. Tell me more about that boat of yours, please."
        await say(memory, answer, role="assistant", said_at=said_at + timedelta(seconds=10))


def boats(count):
    return sorted(f"Owns boat n{number}" for number in range(count))


# --- very long


async def test_an_hour_long_call_is_learned_once_and_whole(memory, learner, model):
    """320 turns: one question a batch, none of them longer than the others."""
    await say_minutes(memory, 160)
    report = await learner.learn("ana")
    assert (len(model.requests), report.batches, report.turns) == (13, 13, 320)
    assert max(len(model.asked(number)) for number in range(13)) < 4_000
    assert await texts_of(memory) == boats(160) and await states(memory) == {"learned"}


@pytest.mark.parametrize("trouble", [PROSE, "", OUTAGE])
async def test_trouble_in_the_middle_of_a_call_costs_nothing(trouble, memory, learner, model):
    """What was learned before is not asked again, and what comes later waits for its turn."""
    model.otherwise = failing(trouble, "boat n40.")
    await say_minutes(memory, 80)
    if trouble == OUTAGE:
        with pytest.raises(ModelUnavailable):
            await learner.learn("ana")
    else:
        assert (await learner.learn("ana")).failed
    assert await texts_of(memory) == boats(38)  # the first three batches of 25 turns
    await learner.learn("ana", hurry=True)
    assert await texts_of(memory, include_closed=True) == boats(80) and len(model.requests) == 8


async def test_a_portion_that_is_never_read_costs_no_other(memory, learner, model):
    """A provider's filter keeps one answer back, each time: the rest of its batch is learned, and only its
    own turns are given up; run again once it answers, they are learned, too."""
    model.otherwise = failing(PROSE, "boat n2.", times=3)
    await say_minutes(memory, 40, more=" And the weather was rather fine that day, I must say." * 4)
    reports = [await learner.learn("ana", hurry=True) for _ in range(3)]
    assert [(one.failed, one.dead) for one in reports] == [(True, 0), (True, 0), (False, 1)]
    lost = {f"Owns boat n{turn.text.split()[2].strip(',')}" for turn in await given_up(memory)}
    assert "Owns boat n2" in lost and len(lost) < 12
    assert await texts_of(memory) == sorted({*boats(40)} - lost)
    (letter,) = await dead(memory.db)
    assert "answer" in letter.error and await rerun(memory.db, letter.batch_id) == ["ana"]
    await learner.learn("ana")
    assert await texts_of(memory, include_closed=True) == boats(40) and await states(memory) == {"learned"}


async def given_up(memory):
    return [turn for turn in await memory.turns.list("ana") if turn.state == "dead" and turn.role == "user"]


MONOLOGUE = " ".join(
    [
        "I own boat early.",
        *(f"And then, number {number}, I went on about the weather." for number in range(85)),
        "I own boat middle.",
        *(f"And then, number {number}, I went on about the sea." for number in range(95)),
        "I own boat late.",
    ]
)
ALL_THREE = ["Owns boat early", "Owns boat late", "Owns boat middle"]


@pytest.mark.parametrize("trouble", [None, PROSE, OUTAGE])
async def test_a_monologue_of_ten_minutes(trouble, memory, learner, model):
    """9,000 characters in one turn: its beginning, middle and end are learned, once."""
    model.otherwise = failing(trouble, "boat middle", times=trouble is not None)
    await say(memory, MONOLOGUE)
    if trouble == OUTAGE:
        with pytest.raises(ModelUnavailable):
            await learner.learn("ana")
    elif trouble:
        assert (await learner.learn("ana")).failed
    asked = len(model.requests)
    await learner.learn("ana", hurry=True)
    assert await texts_of(memory, include_closed=True) == ALL_THREE and len(model.requests) - asked <= 4


async def test_a_monologue_of_which_one_part_is_never_read(memory, learner, model):
    """The other parts are learned; the turn is given up, and learned twice by nobody when it is run again."""
    model.otherwise = failing(PROSE, "boat middle", times=3)
    await say(memory, MONOLOGUE)
    for _ in range(3):
        await learner.learn("ana", hurry=True)
    assert await texts_of(memory) == ["Owns boat early", "Owns boat late"] and await states(memory) == {
        "dead"
    }
    await rerun(memory.db)
    await learner.learn("ana")
    assert await texts_of(memory, include_closed=True) == ALL_THREE and await states(memory) == {"learned"}


# --- very much known


async def know(memory, *texts):
    for text in texts:
        await learn(memory, fact(text, said_at=NOW - timedelta(days=9), topic="things"))


SOLD = on_known(operation("Sold the boat Nora", quote="I sold my boat Nora", op="replace Owns a boat, Nora"))


async def test_five_hundred_known_facts(memory, learner, model):
    """Of them the model is shown a dozen, and the right one among them."""
    await know(memory, *(f"Likes the rain of day {number}" for number in range(500)), "Owns a boat, Nora")
    model.otherwise = SOLD
    await say(memory, "I liked the rain of the day.", "I sold my boat Nora.")
    await learner.learn("ana")
    assert model.asked().partition("Call on")[0].count("\n") <= MOST + 2
    live = await texts_of(memory)
    assert "Sold the boat Nora" in live and "Owns a boat, Nora" not in live and len(live) == 501


async def test_what_ends_at_the_end_of_a_monologue_is_known(memory_settings, model, embedder):
    """A vector of it all is not near to it, so parts are looked up; here by the real model."""
    topics = ("cooking", "football", "trains", "music", "history", "dogs", "cats", "the sea")
    rain = (f"And then, on day {number}, it rained and we stayed at home for hours." for number in range(110))
    named = {"llm_url": model.url, "llm_model": "scripted", "extractor": "echoic"}
    model.otherwise = SOLD
    settings = memory_settings.model_copy(update=named)
    async with open_memory(settings, embedder=embedder) as memory, learning(memory) as learner:
        books = (f"Likes to read book {number} about {topic}" for number in range(5) for topic in topics)
        await know(memory, *books, "Owns a boat, Nora")
        await say(memory, " ".join([*rain, "And last week I sold my boat Nora."]))
        await learner.learn("ana")
        assert "Owns a boat, Nora" not in await texts_of(memory) and len(await texts_of(memory)) == 41


# --- many languages, both directions

MIXED = [
    (
        "Ich wohne in Dresden mit meiner Frau. I work at Siemens and I don't smoke. "
        "Tengo un perro que se llama Bodo y no fumo.",
        ["Wohnt in Dresden", "Works at Siemens", "Does not smoke", "No fuma", "Tiene un perro, Bodo"],
        ["Smokes", "Fuma"],
    ),
    (
        "\u2067أسكن في القاهرة مع قطة اسمها لولو\u2069. I work at Siemens, not at Bosch. "
        "J'ai un chien qui s'appelle Rex, mais je ne fume pas.",
        ["يسكن في القاهرة", "لديه قطة اسمها لولو", "Works at Siemens", "A un chien, Rex", "Ne fume pas"],
        ["Works at Bosch", "Fume"],
    ),
    (
        "\u202bיש לי כלב בשם \u202aBiscuit\u202c ואני גר בחיפה\u202c",
        ["יש לו כלב בשם Biscuit", "גר בחיפה"],
        [],
    ),
]


@pytest.mark.parametrize(("said", "right", "wrong"), MIXED)
async def test_three_languages_in_one_turn(said, right, wrong, memory, learner, model):
    """Each sentence is read in its own: what one of them denies is not learned, in whichever it is denied."""
    model.otherwise = {"operations": [operation(text) for text in [*right, *wrong]]}
    await say(memory, said)
    await learner.learn("ana")
    assert await texts_of(memory) == sorted(right)


# --- answers of a model that has lost itself


@pytest.mark.parametrize("answer", ['{"operations": []}', "[]", "{}", '{"operations": null}'])
async def test_an_empty_answer_teaches_nothing(answer, memory, learner, model):
    """It is one: the turns are learned, and known facts stay."""
    await know(memory, "Owns boat 1")
    model.otherwise = answer
    await say(memory, "I own boat 2.")
    report = await learner.learn("ana")
    assert (report.facts, report.failed, await texts_of(memory)) == (0, False, ["Owns boat 1"])
    assert await states(memory) == {"learned"}


def ten_thousand():
    return [
        operation(f"Owns boat {number % 300}", quote=f"own boat {number % 300}") for number in range(10_000)
    ]


async def test_ten_thousand_operations_in_one_answer(memory, learner, model):
    """The first ones are looked at, and what they say that is so is learned."""
    model.otherwise = {"operations": ten_thousand()}
    await say(memory, *(f"I own boat {number}." for number in range(25)))
    await learner.learn("ana")
    assert await texts_of(memory) == sorted(f"Owns boat {number}" for number in range(25))
    assert await states(memory) == {"learned"}


async def test_an_answer_without_end_is_cut_and_ends(memory, learner, model):
    """A model that goes on about the first turn until it is cut off is not asked the same again and again."""
    endless = json.dumps({"operations": ten_thousand()})[:100_000]
    choice = {"index": 0, "message": {"role": "assistant", "content": endless}, "finish_reason": "length"}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    model.otherwise = json.dumps(body).encode()
    await say(memory, *(f"I own boat {number}." for number in range(8)))
    report = await learner.learn("ana")
    assert len(model.requests) < 16 and not report.failed
    assert await texts_of(memory) == [f"Owns boat {number}" for number in range(8)]


@pytest.mark.parametrize(
    "odd",
    [
        {"quote": "x" * 50_000},
        {"quote": "I own boat 1. " * 4_000},
        {"quote": "I own boat 1. " + "And never in my life did I say this. " * 1_400},
        {"fact": "Owns boat 1 " * 4_000},
        {"about": "boat " * 10_000},
        {"when": "2026-01-01 day: " + "boat " * 10_000},
        {"op": "end 1", "quote": "boat 7 " * 8_000},
    ],
    ids=["nothing said", "said again", "half of it said", "fact", "person", "day", "end"],
)
async def test_fifty_thousand_characters(odd, memory, learner, model):
    """No minute goes by, nothing that is known ends, and no evidence stands there that was never said."""
    await know(memory, "Owns boat 7")
    model.otherwise = {"operations": [operation("Owns boat 1") | odd]}
    await say(memory, "I own boat 1.")
    began = time.process_time()
    await learner.learn("ana")
    assert time.process_time() - began < 5
    found = await memory.facts.list("ana")
    assert {one.text for one in found} <= {"Owns boat 1", "Owns boat 7"} and len(found) < 3
    assert "Owns boat 7" in {one.text for one in found} and await states(memory) == {"learned"}
    assert all(one.quote == "I own boat 1." for fact in found for one in fact.evidence)


def op(kind, of="", text=""):
    return operation(text, op=f"{kind} {of}".strip(), topic="things")


CONTRADICTIONS = [
    ([op("add", text="Owns boat 0"), op("end", "Owns boat 0")], [], ["Owns boat 0"]),
    ([op("end", "Owns boat 0"), op("confirm", "Owns boat 0")], [], ["Owns boat 0"]),
    ([op("confirm", "Owns boat 0"), op("end", "Owns boat 0")], [], ["Owns boat 0"]),
    (
        [op("replace", "Owns boat 0", "Sold boat 0"), op("replace", "Owns boat 0", "Owns boat 3")],
        ["Owns boat 3", "Sold boat 0"],
        ["Owns boat 0"],
    ),
    (
        [op("end", "Owns boat 0"), op("replace", "Owns boat 0", "Sold boat 0")],
        ["Sold boat 0"],
        ["Owns boat 0"],
    ),
    ([op("replace", "Owns boat 0", "Owns boat 0")], ["Owns boat 0"], []),
    ([op("add", text="Owns boat 3"), op("add", text="Owns boat 3")], ["Owns boat 0", "Owns boat 3"], []),
]


@pytest.mark.parametrize(("operations", "live", "closed"), CONTRADICTIONS)
async def test_operations_that_contradict_each_other(operations, live, closed, memory, learner, model):
    """Carried out in their order; what else is known stays."""
    await know(memory, "Owns boat 0", "Owns boat 1")
    model.otherwise = on_known(*operations)
    await say(memory, "I own boat 0, I sold boat 0, I own boat 3.")
    await learner.learn("ana")
    assert await texts_of(memory) == sorted([*live, "Owns boat 1"])
    assert await texts_of(memory, include_closed=True) == sorted([*live, *closed, "Owns boat 1"])
