"""Times and values of a model that Postgres or Python cannot hold, and facts that end or begin again."""

from datetime import UTC, datetime, timedelta

import pytest

from echoic.memory.privacy.export import export_user
from echoic.memory.profile.proactive import proposals
from echoic.workers.maintenance import maintain_all
from tests.fakes import on_known, operation
from tests.integration.learned.test_bad_learning import know, states, texts_of
from tests.remembered import NOW, caller, fact, say
from tests.remembered import learn as put


async def test_what_ends_on_a_day_to_come_is_true_until_then(memory, learner, model):
    """The day was said, and is verified: the known fact ends then, not now."""
    await know(memory, "Works at Siemens")
    end = (NOW + timedelta(days=40)).date()
    said = f"I leave Siemens on {end:%-d} {end:%B} {end.year}."
    told = operation("", op="end Works at Siemens", quote=said, topic="things")
    told["when"] = f"{end.isoformat()} day: on {end:%-d} {end:%B} {end.year}"
    model.otherwise = on_known(told)
    await say(memory, said)
    report = await learner.learn("ana")
    assert report.closed == 1
    (one,) = await memory.facts.list("ana", include_closed=True)
    assert one.valid_until.date() == end + timedelta(days=1), one.valid_until
    assert await texts_of(memory) == ["Works at Siemens"]
    row = await memory.db.run(lambda c: c.fetchrow("select payload ->> 'expiration_date' as last from facts"))
    assert row["last"] == end.isoformat(), "Mem0 shows it until then, too"


async def test_a_month_as_an_end_is_the_whole_month(memory, learner, model):
    """ "From December 2090 to February 2091" ends with February, not on its first day."""
    said = "I am in Rome from December 2090 to February 2091."
    told = operation("Is in Rome from December 2090 to February 2091", quote=said)
    told["when"] = "2090-12/2091-02 month: from December 2090 to February 2091"
    model.otherwise = {"operations": [told]}
    await say(memory, said)
    await learner.learn("ana")
    (one,) = await memory.facts.list("ana", include_closed=True)
    assert one.valid_until >= datetime(2091, 2, 28, tzinfo=UTC), one.valid_until


async def test_a_year_as_an_end_is_the_whole_year(memory, learner, model):
    said = "I study in Rome from 2026 to 2091."
    told = operation("Studies in Rome from 2026 to 2091", quote=said)
    told["when"] = "2026/2091 year: from 2026 to 2091"
    model.otherwise = {"operations": [told]}
    await say(memory, said)
    await learner.learn("ana")
    (one,) = await memory.facts.list("ana", include_closed=True)
    assert one.valid_until is None or one.valid_until >= datetime(2091, 12, 1, tzinfo=UTC), one.valid_until


async def test_an_offset_that_postgres_cannot_read_costs_no_list(memory, learner, model):
    """One value that Python reads and Postgres does not: every list of this person fails from then on."""

    model.otherwise = {
        "operations": [
            operation("Owns boat 1", quote="I own boat 1 since last week")
            | {"when": "2026-01-02T10:00:00+20:00 day: since last week"}
        ]
    }
    await say(memory, "I own boat 1 since last week.")
    await learner.learn("ana")
    assert await texts_of(memory) == ["Owns boat 1"]
    await proposals(memory, caller(), 5)


async def test_what_ended_in_a_year_of_no_calendar_has_ended_for_every_reader(memory, learner, model):
    """Postgres calls it closed; whoever reads the row (export, undo, page) is told that it never ended."""
    await know(memory, "Owns boat 0")
    told = operation("", op="end Owns boat 0", quote="I sold boat 0 last week", topic="things")
    model.otherwise = on_known(told | {"when": "0005-01-01 day: last week"})
    await say(memory, "I sold boat 0 last week.")
    await learner.learn("ana")
    assert await texts_of(memory) == []
    (one,) = await memory.facts.list("ana", include_closed=True)
    assert one.valid_until is not None


SOON, LATER = NOW + timedelta(days=1), (NOW + timedelta(days=9)).date()


@pytest.mark.parametrize("op", ["add", "confirm Is in Rome", "replace Is in Rome"])
async def test_what_is_said_again_with_a_later_end_lasts_until_then(op, memory, learner, model):
    await put(memory, fact("Is in Rome", said_at=NOW - timedelta(days=6), topic="travel", valid_until=SOON))
    words = f"until {LATER:%-d} {LATER:%B}"
    told = operation("Is in Rome", op=op, quote=f"I am in Rome {words}", topic="travel")
    told["when"] = f"{NOW.date().isoformat()}/{LATER.isoformat()} day: {words}"
    model.otherwise = on_known(told)
    await say(memory, f"I am in Rome {words}.")
    await learner.learn("ana")
    in_a_week = NOW + timedelta(days=7)
    facts = await memory.facts.list("ana", include_closed=True)
    assert any(one.valid_until is None or one.valid_until > in_a_week for one in facts), facts


FILL = " And the weather was rather fine that day, I must say." * 33


def by_portion(*answers):
    """One scripted answer a question, each on known facts by text."""
    left = list(answers)

    def answer(request):
        return on_known(*left.pop(0))(request) if left else {"operations": []}

    return answer


async def test_said_taken_back_and_said_again_later_in_the_call(memory, learner, model):
    """Portion 1: owns; sold. Portion 2 is shown it as known: bought again, "confirm"."""
    model.otherwise = by_portion(
        [
            operation("Owns boat 3", quote="I own boat 3"),
        ],
        [operation("", op="end Owns boat 3", quote="I sold boat 3")],
        [operation("Owns boat 3", op="confirm Owns boat 3", quote="I bought boat 3 back and own boat 3")],
    )
    await say(
        memory,
        *(one + FILL for one in ("I own boat 3.", "I sold boat 3.", "I bought boat 3 back and own boat 3.")),
    )
    await learner.learn("ana")
    assert len(model.requests) >= 3, "each in a portion of its own"
    assert "Owns boat 3" in await texts_of(memory)


async def test_known_ended_then_confirmed_in_a_later_portion(memory, learner, model):
    await know(memory, "Owns boat 3")
    model.otherwise = by_portion(
        [operation("", op="end Owns boat 3", quote="I sold boat 3", topic="things")],
        [
            operation(
                "Owns boat 3",
                op="confirm Owns boat 3",
                quote="I bought boat 3 back and own boat 3",
                topic="things",
            )
        ],
    )
    await say(memory, "I sold boat 3." + FILL, "I bought boat 3 back and own boat 3." + FILL)
    await learner.learn("ana")
    assert "Owns boat 3" in await texts_of(memory)


GOOD = operation("Owns boat 1", quote="I own boat 1")
SAID = "I own boat 1, since last week, and my sister Zoe has a cat. I sold boat 0 last week."
SOLD = {"op": "end Owns boat 0", "quote": "I sold boat 0 last week"}
ODD = {
    "nul in role": {"about": "sis\0ter, Zoe", "fact": "Sister has a cat"},
    "nul in name": {"about": "sister, Z\0oe", "fact": "Sister has a cat"},
    "surrogate in role": {"about": "sister\ud800, Zoe", "fact": "Sister has a cat"},
    "surrogate in name": {"about": "sister, Zoe\ud800", "fact": "Sister has a cat"},
    "surrogate in a role that the fact does not name": {"about": "sister\ud800, Zoe", "fact": "Has a cat"},
    "surrogate in a name that the fact does not name": {"about": "sister, Zoe\ud800", "fact": "Has a cat"},
    "surrogate in a word of the fact": {"fact": "Owns bo\ud800at 1 and a boat"},
    "nul in names": {"names": ["bo\0at"], "fact": "Owns bo\0at 1"},
    "surrogate in names": {"names": ["boat\ud800"], "fact": "Owns boat\ud800 1"},
    "nul in fact": {"fact": "Owns bo\0at 1"},
    "nul in quote": {"quote": "I own\0 boat 1"},
    "offset +20": {"when": "2026-01-02T10:00:00+20:00 day: last week"},
    "offset +20 from": {
        "when": {"from": "2026-01-02T10:00:00+20:00", "words": "last week", "precision": "day"}
    },
    "offset -23:59:59.5 until": {"when": {"until": "2099-01-02T10:00:00-23:59:59.5", "words": "last week"}},
    "year 1": {"when": "0001-01-01 day: last week"},
    "year 1 moment": {"when": "0001-01-01T00:00:00+14:00 day: last week"},
    "year 9999": {"when": "9999-12-31T23:59:59-12:00 day: last week"},
    "promise offset": {"topic": "promises", "when": "2099-01-02T10:00:00+20:00 day: last week"},
    "promise 9999": {"topic": "promises", "when": "9999-12-31T23:59:59-15:00 day: last week"},
    "promise year 1": {"topic": "promises", "when": "0001-01-01T00:00:00+14:00 day: last week"},
    "until 9999": {"when": "2026-01-01/9999-12-31T23:59:59-12:00 day: last week"},
    "until 9999 d": {"when": "2026-01-01/9999-12-30 day: last week"},
    "sub second": {"when": "2026-01-01T00:00:00+00:00:00.000001 day: last week"},
    "end year 1": {
        "op": "end Owns boat 0",
        "quote": "I sold boat 0 last week",
        "when": "0001-01-01 day: last week",
    },
    "end year 1 moment": {
        "op": "end Owns boat 0",
        "quote": "I sold boat 0 last week",
        "when": "0001-01-01T00:00:00+14:00 day: last week",
    },
    "end year 1 moment 2": {
        "op": "end Owns boat 0",
        "quote": "I sold boat 0 last week",
        "when": "0001-01-02T00:00:00+23:59 day: last week",
    },
    "end offset": {
        "op": "end Owns boat 0",
        "quote": "I sold boat 0 last week",
        "when": "2026-01-01T00:00:00+20:00 day: last week",
    },
    "end year 5": {
        "op": "end Owns boat 0",
        "quote": "I sold boat 0 last week",
        "when": "0005-01-01 day: last week",
    },
    "huge names": {"names": ["boat"] * 100_000},
}


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_value_costs_no_batch(odd, memory, learner, model):
    await know(memory, "Owns boat 0")
    model.otherwise = on_known(GOOD, GOOD | {"fact": "Has a boat 1"} | ODD[odd])
    await say(memory, SAID)
    report = await learner.learn("ana")
    texts = await texts_of(memory, include_closed=True)
    assert not report.failed and "Owns boat 1" in texts
    assert await states(memory) == {"learned"}

    call = await memory.open_call(caller())
    await call.wait_loaded()
    assert call.loaded, call.load_fault
    found = await call.recall("What about my boat?", budget_s=5)
    assert {n: r.status for n, r in found.tiers.items()} and not [
        n for n, r in found.tiers.items() if r.status == "failed"
    ]
    await export_user(memory, "ana")

    assert (await maintain_all(memory, dry_run=True)).failed == 0
