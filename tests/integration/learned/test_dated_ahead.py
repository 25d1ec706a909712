"""A sender whose clock is ahead: nothing was said later than now, so what is said next can end it."""

from datetime import timedelta

from echoic.memory.chat.written import Words, keep_words
from tests.fakes import on_known, operation
from tests.integration.learned.conftest import learner, memory, model  # noqa: F401
from tests.integration.learned.test_bad_learning import texts_of
from tests.remembered import NOW, caller


async def test_what_was_dated_tomorrow_and_ended_today_is_over(memory, learner, model):  # noqa: F811
    """Whoever sends it may give any date."""
    model.otherwise = on_known(operation("Owns boat 1", quote="I own boat 1", topic="things"))
    ahead = Words("a", "user", "I own boat 1.", NOW + timedelta(days=1), True)
    await keep_words(memory, caller(call_id="first"), [ahead])
    await learner.learn("ana")
    assert await texts_of(memory) == ["Owns boat 1"]
    model.otherwise = on_known(operation("", op="end Owns boat 1", quote="I sold boat 1", topic="things"))
    await keep_words(memory, caller(call_id="second"), [Words("b", "user", "I sold boat 1.")])
    await learner.learn("ana")
    assert await texts_of(memory) == []
