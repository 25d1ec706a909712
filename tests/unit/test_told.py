"""What a person is told about memory."""

import json
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from echoic.agent.call.text_call import Answer
from echoic.agent.terminal.formatting import as_json, memories_lines, memory_line, why_lines
from echoic.memory.types import Fact, Item, Recall, TierResult, Turn

NOW = datetime.now(UTC)
ITEM = Item("turn", uuid4(), "My dog is called\nBiscuit " + "x" * 100, NOW - timedelta(days=9), tier="facts")
TURN = Turn(uuid4(), "maya", "echoic", "c", 0, "user", "What is my dog called?", NOW)
RECALL = Recall(
    {"recent": TierResult("empty", (), 0.2), "facts": TierResult("ok", (ITEM,), 11.9)},
    "<memory>…</memory>",
    (ITEM,),
    12.3,
)
ANSWER = Answer(TURN.text, "Biscuit, اسم", RECALL, (TURN,), None)


async def each(*rows):
    for row in rows:
        yield row


def test_the_memory_line_is_one_line_about_everything():
    """Tiers, milliseconds, what was used, and where the turn is."""
    line = memory_line(ANSWER)
    assert line.startswith("memory 12 ms · recent empty · facts ok 1 · used “My dog is called Biscuit xx")
    assert line.endswith("…” · 1 turn stored") and "\n" not in line and len(line) < 160


def test_the_memory_line_says_what_is_degraded():
    """A store that is gone is named, and what happens to the turn."""
    line = memory_line(ANSWER, spooled=3, queue_fails=True)
    assert "Postgres cannot be reached: 3 turns kept on disk" in line and "Redis cannot be reached" in line


def test_a_store_that_answers_is_not_called_away():
    """What it refuses waits on the disk, and the person is told where to look."""
    line = memory_line(ANSWER, spooled=1, refused=True)
    assert "cannot be reached" not in line and "Postgres does not take 1 turn" in line and "doctor" in line


def test_the_json_of_a_turn_is_the_promised_one():
    """Every key, no other, and letters of any script as they are."""
    answer = json.loads(as_json(ANSWER))
    assert answer == {
        "user": "What is my dog called?",
        "reply": "Biscuit, اسم",
        "recall": {
            "elapsed_ms": 12.3,
            "block": "<memory>…</memory>",
            "tiers": {
                "recent": {"status": "empty", "items": 0, "ms": 0.2},
                "facts": {"status": "ok", "items": 1, "ms": 11.9},
            },
        },
        "turn_ids": [str(TURN.turn_id)],
    }


def test_why_says_what_was_used_and_by_which_tier():
    """What, from where and how old, how long each tier took; and before anything was said, so."""
    lines = list(why_lines(ANSWER, "Europe/Lisbon"))
    assert "facts" in lines[0] and re.search(r"\b(9|10) days ago", lines[0])  # a midnight may have passed
    assert "tier facts: ok, 1 item in 11.9 ms" in lines
    assert list(why_lines(None, "UTC")) == ["Nothing was said yet in this call."]


async def test_memories_are_listed_or_their_absence_is_said():
    """Facts with their topic, turns with who said them; for a stranger a sentence."""
    fact = Fact(uuid4(), "maya", "The dog is called Biscuit", "pets", 0.7, "user", "echoic", NOW)
    text = "\n".join([line async for line in memories_lines(each(fact), each(TURN), "maya", "UTC")])
    assert "The dog is called Biscuit (pets" in text and "you: What is my dog called?" in text
    nothing = [line async for line in memories_lines(each(), each(), "maya", "UTC")]
    assert nothing == ["Nothing is remembered about “maya” yet."]
