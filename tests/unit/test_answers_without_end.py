"""Model answers that must cost nothing but themselves: kinds within kinds, and numbers without an end."""

import json

import pytest

from echoic.workers.evidence.operations import Asked
from echoic.workers.evidence.reading import read_answer
from echoic.workers.model.answer import parse
from tests.fakes import facts, operation


@pytest.mark.parametrize("depth", [1, 5, 40, 450])
def test_a_kind_that_is_nested_is_read_in_no_time(depth):
    """Each level doubled the work: forty were never read, and held the worker's event loop."""
    kind = "add"
    for _ in range(depth):
        kind = {"op": kind}
    told = [operation("Dog is called Biscuit"), operation("Has a cat") | {"op": kind}]
    answer = read_answer(parse(json.dumps({"operations": told})).value, 1, 0)
    assert "Dog is called Biscuit" in {one.text for one in answer.operations}


@pytest.mark.parametrize("place", ['"weight": 5', '"turns": [1]'])
def test_a_number_without_end_costs_itself(place):
    name = place.partition(":")[0]
    text = json.dumps(facts("Dog is called Biscuit"))
    assert place in text
    answer = read_answer(parse(text.replace(place, f"{name}: {'9' * 5_000}")).value, 1, 0)
    assert [one.text for one in answer.operations] == ["Dog is called Biscuit"]


@pytest.mark.parametrize("odd", ["calm\0", "calm\ud800"])
def test_a_tag_can_be_stored(odd):
    told = {"operations": [operation("Owns boat 1")], "tags": {"mood": odd}}
    assert read_answer(told, 1, 0, Asked(tags=("mood",))).tags == {"mood": "calm"}
