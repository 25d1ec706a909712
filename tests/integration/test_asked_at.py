"""A history is told and asked at times of its own: what memory takes for now is the clock it was given."""

from datetime import UTC, datetime

import pytest

from evals.temporal_data import Learned, Question, Said, ScriptedFact
from evals.temporal_tell import Clock, Telling, open_extraction, open_memories

TURNS = (
    Said(0, datetime(2025, 3, 1, tzinfo=UTC), "I rent a room in Leeds until the end of May."),
    Said(1, datetime(2025, 8, 1, tzinfo=UTC), "I have a flat in Porto now."),
)
UNTIL = datetime(2025, 6, 1, tzinfo=UTC)
TAUGHT = {
    0: Learned((ScriptedFact("Has a room in Leeds", "home", 0.8, valid_until=UNTIL),)),
    1: Learned((ScriptedFact("Has a flat in Porto", "home", 0.8),)),
}


def question(month, must, must_not=()):
    return Question(
        "ana", datetime(2025, month, 1, 12, tzinfo=UTC), "Which room or flat do I have?", must, must_not
    )


@pytest.fixture
async def told(memory_settings):
    clock = Clock()
    async with open_memories(memory_settings, None, clock) as memories:
        extractor, _ = await open_extraction(memories["facts_only"], {})
        yield Telling(memories, extractor, None, clock)


async def test_a_question_sees_what_was_true_on_its_day(told):
    """Not what was said later; what ended since then still held: years ago, by this machine's clock."""
    asked = [
        question(4, ("Has a room in Leeds (until 31 May 2025",), ("Porto",)),
        question(9, ("Has a flat in Porto",), ("Has a room",)),
    ]
    april, september = await told.tell("ana", TURNS, asked, TAUGHT)
    assert april.verdicts["facts_only"].right, april.blocks
    assert september.verdicts["facts_only"].right, september.blocks


async def test_postgres_goes_by_the_same_clock(told, monkeypatch):
    """A memory too large to hold, and the profile a call begins with, are read as of that day too."""
    monkeypatch.setattr("echoic.memory.recall.call_corpus.HELD_ROWS", 0)
    (april,) = await told.tell(
        "ana", TURNS, [question(4, ("Has a room in Leeds (until",), ("Porto",))], TAUGHT
    )
    assert april.verdicts["facts_only"].right, april.blocks
