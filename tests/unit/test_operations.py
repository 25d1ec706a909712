"""A model's answer as operations, however models and gateways write it."""

import json

import pytest

from echoic.memory.errors import ModelAnswerInvalid
from echoic.memory.types import CALLER, About
from echoic.workers.evidence.operations import MOST_OPERATIONS, schema
from echoic.workers.evidence.reading import read_answer
from echoic.workers.model.answer import parse

WHOLE = {
    "turns": [2],
    "quote": "my sister Ana lives in Porto",
    "about": "sister, Ana",
    "said": "stated",
    "fact": "Sister Ana lives in Porto",
    "op": "replace 1",
    "topic": "family",
    "weight": 6,
    "when": "2026-05-02 day: on Saturday",
}
TEXT = json.dumps({"operations": [WHOLE]})


def test_names_stand_in_the_fact():
    """What a model names beside it is left out; and they are asked for only where they are used."""
    (one,) = read_answer([{"fact": "Lives in Porto", "names": ["Porto", "Ana", 7]}], 1, 0).operations
    assert one.names == ("Porto",)
    asked = schema(1, 0, 5, names=True)["properties"]["operations"]["items"]
    assert (
        "names" in asked["required"] and "names" not in schema(1, 0, 5)["properties"]["operations"]["items"]
    )


def test_a_whole_operation_is_read_whole():
    """Every field of the schema reaches the operation; turns and known facts count from 0 inside."""
    (one,) = read_answer({"operations": [WHOLE]}, turns=3, known=1).operations
    assert (one.kind, one.turns, one.known, one.about) == ("replace", (1,), 0, About("sister", "Ana"))
    assert (one.text, one.topic, one.importance) == ("Sister Ana lives in Porto", "family", 0.67)
    assert (str(one.when.begins), one.when.precision, one.when.words) == ("2026-05-02", "day", "on Saturday")


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"<think>Who is Ana? {{maybe}}</think>{TEXT}",
        f"Ana is the sister.</think>\n{TEXT}",
        f"<|channel|>analysis<|message|>hm {{}}<|end|><|channel|>final<|message|>{TEXT}<|return|>",
        f"Sure! Here it is: {TEXT} I hope that helps [smile].",
        json.dumps([WHOLE]),
        json.dumps(WHOLE),
        json.dumps({"result": {"x": 1}, "memories": [WHOLE]}),
        json.dumps({"anything": [WHOLE]}),
    ],
)
def test_answers_come_in_many_shapes(text):
    """Thinking, fences, prose, lists at the top, other names of the list: the same operation."""
    assert len(read_answer(parse(text).value, turns=3, known=1).operations) == 1


@pytest.mark.parametrize(
    ("element", "text"),
    [
        ("Lives in Porto", "Lives in Porto"),
        ({"text": "Lives in Porto"}, "Lives in Porto"),
        ({"memory": " Lives  in Porto ", "event": "ADD"}, "Lives in Porto"),
        (
            {"fact": "Lives in Porto", "op": "update", "known": "1", "weight": "7", "turns": "2"},
            "Lives in Porto",
        ),
        ({"fact": "Lives in Porto", "op": "replace 9"}, "Lives in Porto"),
    ],
)
def test_other_keys_and_kinds_mean_the_same(element, text):
    """Strings for objects and for numbers; a known fact that is not there makes it an addition."""
    (one,) = read_answer({"operations": [element]}, turns=3, known=1).operations
    assert one.text == text


@pytest.mark.parametrize(
    "about", ["", "caller", "User", "me", {"role": "caller", "name": "Ruth"}, "caller, Ruth"]
)
def test_the_caller_has_many_names(about):
    """A caller with a name is the caller."""
    (one,) = read_answer([{"fact": "Lives in Porto", "about": about}], 1, 0).operations
    assert one.about == CALLER


@pytest.mark.parametrize(
    "answer", ["nothing", 7, {"mood": "fine"}, [{"op": "end 5"}], [1, None], {"operations": [[]]}]
)
def test_an_answer_of_which_nothing_is_usable_is_a_failure(answer):
    """It is not "learned nothing"."""
    with pytest.raises(ModelAnswerInvalid):
        read_answer(answer, 1, 0)


@pytest.mark.parametrize("answer", [{"operations": []}, [], {}, {"facts": []}])
def test_an_empty_answer_says_that_nothing_was_told(answer):
    """And is none."""
    assert read_answer(answer, 1, 0).operations == ()


def test_one_broken_element_leaves_the_others():
    """It is counted."""
    answer = read_answer([{"fact": "Lives in Porto"}, {"op": "end 9"}, None], 1, 0)
    assert (len(answer.operations), answer.unreadable) == (1, 2)


def test_ten_thousand_operations_are_cut():
    """A model that gives them has lost itself; the same one over and over is one."""
    many = [{"fact": f"Likes {number}"} for number in range(10_000)]
    assert len(read_answer(many, 1, 0).operations) == MOST_OPERATIONS
    assert len(read_answer([{"fact": "Likes tea"}] * 50, 1, 0).operations) == 1


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (TEXT[:-4], 0),
        (json.dumps({"operations": [WHOLE, WHOLE]})[:-20], 1),
        (json.dumps([WHOLE, WHOLE])[:-1], 2),
        (f"<think>so</think>{json.dumps({'operations': [WHOLE, WHOLE]})[:-9]}", 1),
    ],
)
def test_of_a_cut_answer_the_whole_operations_are_kept(text, count):
    """And it is said to be cut."""
    parsed = parse(text)
    assert not parsed.complete and len(parsed.value) == count


@pytest.mark.parametrize(
    "tail",
    [
        '"op": "add", "names": ["Ana"]}',
        '"op": "add", "names": ["Ana"]},',
        '"weight": -',
        '"quote": "Wohnt in M\\u00f',
    ],
)
def test_an_answer_that_ends_in_a_bracket_may_be_cut(tail):
    """The rest of it is asked for again."""
    parsed = parse(f'{{"operations": [{json.dumps(WHOLE)}, {{"fact": "Is not", {tail}')
    assert not parsed.complete and parsed.value[0] == WHOLE


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('I looked at {turns 1 to 3}.\n{"operations": []}\nDone [ok].', {"operations": []}),
        ('The user said {"hi" there}.\n[]', []),
        ('I think {maybe: the dog} counts.\n\n["Has a dog"]', ["Has a dog"]),
    ],
)
def test_brackets_of_prose_are_no_answer(text, value):
    """Before or behind it."""
    assert parse(text).value == value


@pytest.mark.parametrize("text", ["{" * 199, "[" * 500, "{ " * 8_000, '{"quote": "a' + '{a}" ' * 2_000])
def test_broken_brackets_without_end_are_a_failure(text):
    """And none of another kind."""
    with pytest.raises(ModelAnswerInvalid):
        read_answer(parse(text).value, 1, 0)


@pytest.mark.parametrize("text", ["", "I cannot do that.", "<think>for ever and ever"])
def test_no_json_is_a_failure(text):
    """Also thinking that never came to an end."""
    with pytest.raises(ModelAnswerInvalid):
        parse(text)


@pytest.mark.parametrize(
    ("told", "kind", "known"),
    [
        ({"op": "CONFIRM [1]"}, "confirm", 0),
        ({"op": ["end", 1]}, "end", 0),
        ({"op": {"type": "replace", "target": 1}}, "replace", 0),
        ({"action": "supersede", "id": "1"}, "replace", 0),
        ({"event": "ADD", "id": "1"}, "add", None),
        ({"op": "replace 1", "id": 7}, "replace", 0),
    ],
)
def test_what_is_done_with_which_fact_is_said_in_many_ways(told, kind, known):
    """The number stands in the operation, beside it, or in an object of its own."""
    (one,) = read_answer([{"fact": "Lives in Porto", **told}], 1, 1).operations
    assert (one.kind, one.known) == (kind, known)


@pytest.mark.parametrize(
    ("named", "turns"),
    [
        ("1, 3", (0, 2)),
        ("1-2", (0, 1)),
        ("Turn 3", (2,)),
        (["T1", 2], (0, 1)),
        ([[2]], (1,)),
        ("9", ()),
        (None, ()),
    ],
)
def test_turns_are_named_in_many_ways(named, turns):
    """What is out of range names none."""
    (one,) = read_answer([{"fact": "Lives in Porto", "turns": named}], 3, 0).operations
    assert one.turns == turns


@pytest.mark.parametrize("weight", ["7/10", 7, "7", 7.0])
def test_weight_is_said_in_many_ways(weight):
    """Of nine; a share of one is one."""
    (one,) = read_answer([{"fact": "Lives in Porto", "weight": weight}], 1, 0).operations
    assert one.importance == 0.78
    (one,) = read_answer([{"fact": "Lives in Porto", "importance": 0.4}], 1, 0).operations
    assert one.importance == 0.4


@pytest.mark.parametrize(
    "element",
    [
        {
            "fact": "Has a dog",
            "turns": "[1]",
            "names": '["Rex"]',
            "when": "{}",
            "about": '{"role": "caller"}',
        },
        {"type": "preference", "fact": "Has a dog"},
        {"op": "add", "fact": "Has a dog", "items": ["milk", "eggs"], "changes": []},
        {"fact": 1, "text": "Has a dog", "op": "add"},
        {"fact": "Has a dog", "source": "user"},
        {"memory": "Has a dog"},
    ],
)
@pytest.mark.parametrize("where", [lambda one: one, lambda one: [one], lambda one: {"facts": [one]}])
def test_other_fields_of_a_fact_are_no_operations(element, where):
    """JSON in a field, a list beside it, a type of its own."""
    (one,) = read_answer(where(element), 1, 1).operations
    assert (one.kind, one.text, one.quote) == ("add", "Has a dog", "")


def test_nothing_to_do_is_an_answer():
    """Mem0's NONE: not a failure, and no fact."""
    assert (
        read_answer({"memory": [{"id": "1", "text": "Lives in Porto", "event": "NONE"}]}, 1, 1).operations
        == ()
    )


@pytest.mark.parametrize(
    "answer", [{"content": "I am sorry."}, {"error": {"message": "quota"}}, {"type": "error", "data": "down"}]
)
def test_an_apology_in_json_is_a_failure(answer):
    """A text alone is no operation."""
    with pytest.raises(ModelAnswerInvalid):
        read_answer(answer, 1, 0)


@pytest.mark.parametrize("depth", [10, 100_000])
def test_brackets_without_end(depth):
    """They cost neither the process nor much time."""
    with pytest.raises(ModelAnswerInvalid):
        read_answer(parse("[" * depth + "]" * depth).value, 1, 0)


def test_the_schema_offers_only_what_exists():
    """Turns and known facts by number; without known facts one can only add."""
    operation = schema(2, 1, 5)["properties"]["operations"]["items"]["properties"]
    assert operation["op"]["enum"] == ["add", "replace 1", "end 1", "confirm 1"]
    assert operation["turns"]["items"]["enum"] == [1, 2]
    assert schema(2, 0, 5)["properties"]["operations"]["items"]["properties"]["op"]["enum"] == ["add"]


@pytest.mark.parametrize(
    ("when", "begins", "precision"),
    [
        ("2026-06 month: in June", "2026-06-01", "month"),
        ("2026 year: this year", "2026-01-01", "year"),
        ("habit: every day", "None", "habit"),
        ("2026-05-02/2026-05-09 day: for a week", "2026-05-02", "day"),
        (
            {"from": "2026-05-02T10:30", "precision": "day", "words": "at half ten"},
            "2026-05-02 10:30:00",
            "day",
        ),
        ("whenever: 31 Feb", "None", ""),
        ("", "None", ""),
    ],
)
def test_dates_keep_their_precision(when, begins, precision):
    """A date that does not exist is none."""
    (one,) = read_answer([{"fact": "Moves", "when": when}], 1, 0).operations
    assert (str(one.when.begins), one.when.precision) == (begins, precision)
