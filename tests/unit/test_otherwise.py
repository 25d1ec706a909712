"""Names in other words than the caller's: by meaning, for a model that is trusted with them."""

import threading
from datetime import UTC, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from echoic.memory.types import Turn
from echoic.workers.evidence import otherwise
from echoic.workers.evidence.operations import Answer
from echoic.workers.evidence.reading import read_answer
from echoic.workers.learn.extractor import VerifiedExtractor, always

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)


class Answering:
    """A model that answers with one fact."""

    name = "scripted"

    def __init__(self, fact: str) -> None:
        self.fact = fact

    async def operations(self, portion, known) -> Answer:
        return read_answer([{"fact": self.fact, "turns": [1]}], len(portion.turns), len(known))

    async def close(self) -> None:
        """Nothing is open."""


async def learned(said, fact, embedder, grade="full"):
    """The facts that come of one turn."""
    turns = [Turn(uuid4(), "u", "a", "c", 0, "user", said, NOW)]
    extractor = VerifiedExtractor(Answering(fact), ZoneInfo("UTC"), grade=grade)
    found = await extractor.extract(turns, always([]), embedder=embedder)
    return [one.text for one in found.facts]


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        ("i'm from poland originally", "Is Polish"),
        ("we come off the meds at xmas", "Stops the medication at Christmas"),
        ("we're flying to nyc in may", "Is flying to New York in May"),
        ("my abuela only speaks español", "Grandmother speaks only Spanish"),
        ("ik werk in holland", "Werkt in Nederland"),
        ("брат живёт в америке", "Брат живёт в США"),
    ],
)
async def test_a_name_may_be_in_other_words(said, fact, embedder):
    """In any language; a weak model's is an invention."""
    assert await learned(said, fact, embedder) == [fact]
    assert await learned(said, fact, embedder, "adds") == []


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        ("my sister's coming to stay", "Sister Laura is coming to stay"),
        ("my brother works in paris", "Brother works in London"),
        ("mi hija vive en madrid", "Su hija vive en Sevilla"),
        ("mam psa", "Ma psa o imieniu Burek"),
        ("i have the dentist on monday", "Has the dentist on Tuesday"),
    ],
)
async def test_a_name_that_was_made_up_falls(said, fact, embedder):
    """Of one kind is not the same, and a day is none that is near."""
    assert await learned(said, fact, embedder) == []


async def test_what_the_operations_turn_does_not_say_is_no_evidence(embedder):
    """A word that means a name stands in the turn that is quoted, not anywhere in the call."""
    turns = [Turn(uuid4(), "u", "a", "c", at, "user", said, NOW) for at, said in enumerate(ELSEWHERE)]
    extractor = VerifiedExtractor(Answering("Takes the medication at Christmas"), ZoneInfo("UTC"))
    assert (await extractor.extract(turns, always([]), embedder=embedder)).facts == ()


ELSEWHERE = ("i take the medication with breakfast", "we're all at my sister's for xmas")


async def test_names_are_looked_for_beside_the_event_loop(embedder, monkeypatch):
    """Two hundred of them beside a long turn take seconds: the worker's other users would wait."""
    threads, looked = set(), otherwise._unsaid

    def unsaid(*of):
        threads.add(threading.get_ident())
        return looked(*of)

    monkeypatch.setattr(otherwise, "_unsaid", unsaid)
    assert await learned("i'm from poland originally", "Is Polish", embedder)
    assert threads and threading.get_ident() not in threads
