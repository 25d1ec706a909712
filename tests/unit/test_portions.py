"""A batch in portions: each is asked about in the language of the whole."""

from datetime import UTC, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

from echoic.memory.types import Turn
from echoic.workers.learn.conversation import TURNS_AT_ONCE, halves, portions
from echoic.workers.learn.prompt import messages

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)


def test_a_portion_that_tells_little_is_asked_about_in_the_callers_language():
    """ "Yes, no." alone might be anybody's."""
    said = ["Ich wohne seit drei Jahren mit meiner Familie in Dresden."] * TURNS_AT_ONCE + ["Si, no.", "Ok."]
    turns = [Turn(uuid4(), "u", "a", "c", at, "user", text, NOW) for at, text in enumerate(said)]
    first, last = portions(turns)
    assert last.turns[-2].text == "Si, no."
    for portion in (first, last, *(halves(last) or ())):
        assert messages(portion, [], ZoneInfo("UTC"))[-1]["content"].endswith('Each "fact" in Deutsch.')
