"""What a batch comes to where its operations contradict each other, or are very many."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from echoic.memory.types import Fact, Turn
from echoic.workers.evidence.operations import Answer
from echoic.workers.evidence.reading import read_answer
from echoic.workers.learn.conversation import Portion
from echoic.workers.learn.extractor import Extraction, VerifiedExtractor, always
from tests.remembered import NOW, fact

BOATS = tuple(replace(fact(f"Owns boat {number}"), topic="things") for number in range(3))


class Scripted:
    """A model that gives one answer to each portion, the last one to all that are left."""

    name = "scripted"

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self._answers = list(answers)

    async def operations(self, portion: Portion, known: Sequence[Fact]) -> Answer:
        places = {fact.text: number for number, fact in enumerate(known, 1)}
        told = [
            operation | {"op": f"{operation['op']} {places.get(operation['of'], '')}".strip()}
            for operation in (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])
        ]
        return read_answer({"operations": told}, len(portion.turns), len(known))

    async def close(self) -> None: ...


def op(kind: str, of: str = "", text: str = "", turn: int = 1, quote: str = "") -> dict[str, Any]:
    plain = {"about": "caller", "said": "stated", "topic": "things", "weight": 5, "when": ""}
    return {"op": kind, "of": of, "fact": text, "turns": [turn], "quote": quote} | plain


def turns(*texts: str) -> list[Turn]:
    return [Turn(uuid4(), "ana", "echoic", "call", at, "user", text, NOW) for at, text in enumerate(texts)]


async def learned(
    said: Sequence[str], *answers: list[dict[str, Any]], known: Sequence[Fact] = BOATS
) -> Extraction:
    return await VerifiedExtractor(Scripted(*answers), ZoneInfo("UTC")).extract(turns(*said), always(known))


BOTH = "I own boat 0, I sold boat 0, I own boat 1 and boat 2."


@pytest.mark.parametrize(
    ("operations", "added", "ended"),
    [
        ([op("confirm", "Owns boat 0"), op("end", "Owns boat 0")], [], [0]),
        ([op("end", "Owns boat 0"), op("confirm", "Owns boat 0")], [], [0]),
        ([op("add", text="Owns boat 0"), op("end", "Owns boat 0")], [], [0]),
        ([op("end", "Owns boat 0"), op("add", text="Owns boat 0")], ["Owns boat 0"], [0]),
        (
            [
                op("replace", "Owns boat 0", "Sold boat 0"),
                op("replace", "Owns boat 0", "Owns boat 1 and boat 2"),
            ],
            ["Sold boat 0", "Owns boat 1 and boat 2"],
            [0],
        ),
        (
            [op("replace", "Owns boat 0", "Owns boat 1"), op("replace", "Owns boat 1", "Owns boat 2")],
            [],
            [0, 1],
        ),
        (
            [op("replace", "Owns boat 0", "Owns boat 1"), op("replace", "Owns boat 1", "Owns boat 0")],
            ["Owns boat 0"],
            [0, 1],
        ),
        ([op("replace", "Owns boat 0", "Owns boat 0")], [], []),
        ([], [], []),
    ],
)
async def test_operations_that_contradict_each_other(
    operations: list[dict[str, Any]], added: list[str], ended: list[int]
) -> None:
    """Each is carried out in its turn: no fact is both confirmed and ended, or ended twice."""
    found = await learned([BOTH], operations)
    assert [one.text for one in found.facts] == added
    assert [one.fact_id for one in found.endings] == [BOATS[number].fact_id for number in ended]
    assert not {one.fact_id for one in found.confirmed} & {one.fact_id for one in found.endings}


async def test_a_fact_said_twice_rests_on_both() -> None:
    """The words of one may be forgotten."""
    twice = [op("confirm", "Owns boat 0", turn=1), op("confirm", "Owns boat 0", turn=2)]
    (again,) = (await learned(["I own boat 0.", "Boat 0 is mine, I own it."], twice)).confirmed
    assert len({one.turn_id for one in again.evidence}) == 2


async def test_a_monologue_beside_five_hundred_known_facts() -> None:
    """Ten minutes in one turn, in three languages and both directions, with evidence from its end."""
    said = (
        "I talk and talk about boats. Ich rede und rede. أتكلم كثيرا عن القوارب. " * 100 + "I own boat 700."
    )
    known = [replace(fact(f"Owns boat {number}"), topic="things") for number in range(500)]
    told = [
        op("add", text="Owns boat 700", quote="I own boat 700."),
        op("end", "Owns boat 7", quote="x" * 50_000),
    ]
    found = await learned([said], told, known=known)
    assert [one.text for one in found.facts] == ["Owns boat 700"] and not found.endings


async def test_what_is_taken_back_in_a_call_can_be_said_again() -> None:
    """An hour on, in the same batch: it is live at the end."""
    said = [text + " Well, well." * 220 for text in ("I own boat 9.", "I sold boat 9.", "I own boat 9.")]
    add, end = op("add", text="Owns boat 9", quote="I own boat 9."), op("end", "Owns boat 9")
    extraction = VerifiedExtractor(Scripted([add], [end], [add]), ZoneInfo("UTC"))
    found = await extraction.extract(turns(*said), always(()))
    assert [one.valid_until is None for one in found.facts] == [False, True]
