"""What a night would do: by age and identity, and nothing by meaning."""

from datetime import UTC, datetime, timedelta

import pytest

from echoic.memory.privacy.maintenance_plan import Known, plan, same_text, same_topic
from echoic.memory.types import About
from tests.remembered import fact

NOW = datetime(2026, 11, 27, tzinfo=UTC)
OLD, YOUNG, LIMIT = NOW - timedelta(days=400), NOW - timedelta(days=3), NOW - timedelta(days=365)


def planned(*facts, before=None, touched=None):
    known = [Known(place, one, (touched or {}).get(one.fact_id)) for place, one in enumerate(facts)]
    return plan(known, before=before, now=NOW)


def one(text="Has a dog", said_at=YOUNG, **fields):
    return fact(text, said_at=said_at, **fields)


def test_what_is_older_than_the_limit_is_archived():
    """Ended or not; and with no limit nothing is."""
    old, young, ended = one(said_at=OLD), one("Has a cat"), one("Had a boat", OLD, valid_until=OLD)
    assert planned(old, young, ended, before=LIMIT).archived == [old.fact_id, ended.fact_id]
    assert not planned(old, young, ended)


def test_what_was_said_again_or_is_still_to_come_is_not_too_old():
    """Confirmed or edited since, a promise that is due or within its year, something that begins later."""
    again = one(said_at=OLD)
    due = one("Wants a call back", OLD, kind="promise", due=NOW + timedelta(days=1))
    within = one(
        "Will visit", OLD, kind="promise", due=datetime(NOW.year, 1, 1, tzinfo=UTC), precision="year"
    )
    later = one("Moves to Porto", OLD, valid_from=NOW + timedelta(days=9))
    over = one("Wanted a call back", OLD, kind="promise", due=OLD)
    made = planned(again, due, within, later, over, before=LIMIT, touched={again.fact_id: YOUNG})
    assert made.archived == [over.fact_id]


def test_the_same_words_are_kept_once():
    """The first stays; of three, two go."""
    same = [one("Has a dog."), one("Has  a dog"), one("Has a dog!")]
    (merge,) = planned(*same).merges
    assert merge.stays is same[0] and merge.go == tuple(same[1:])


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "Has two dogs"},
        {"text": "has a dog"},
        {"text": "Has a dog?"},
        {"about": About("sister", "Maria")},
        {"about": None},
        {"scope": "agent"},
        {"agent_id": "other"},
        {"valid_from": OLD},
        {"valid_until": NOW + timedelta(days=1)},
        {"valid_until": OLD},
        {"kind": "promise"},
        {"due": NOW},
        {"precision": "month"},
    ],
)
def test_what_differs_in_anything_it_claims_stays(fields):
    """Words, case, person, agent, time: only the same thing is the same."""
    assert planned(one(), one(**fields)).merges == []


def test_topics_are_spelled_as_most_spell_them():
    """Case and spaces only; of two spellings the plain one."""
    facts = [
        one(f"Fact {n}", topic=topic)
        for n, topic in enumerate(("Pets", "Pets", "pets", "pet", " Home  town", "home town"))
    ]
    made = planned(*facts)
    assert made.refiled == {facts[2].fact_id: "Pets", facts[4].fact_id: "home town"}


def test_a_fact_that_goes_has_no_say_in_topics():
    """What is archived or merged is not counted, and not changed."""
    gone = [one(f"Fact {n}", OLD, topic="PETS") for n in range(3)]
    facts = [one("Has a dog", topic="pets"), one("Has a dog", topic="PETS"), one("Has a cat", topic="pets")]
    made = planned(*gone, *facts, before=LIMIT)
    assert (len(made.archived), made.merged, made.refiled) == (3, 1, {})


def test_nothing_is_planned_twice():
    """What a plan leaves behind needs no other."""
    assert same_text("é. ") == same_text("e\u0301") and same_topic("ST\u00dcCK ") == same_topic("stück")
    assert not planned(one("Has a dog"), one("Has a cat", topic="other"))
