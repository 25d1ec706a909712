"""Tier 1 answers from the process alone."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from echoic.memory.recall.recent_turns import LATE_ITEMS, TURNS_NOW, RecentTurns
from echoic.memory.types import Fact, Item, Turn

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def turn(text, position=0, role="user", days=0):
    return Turn(uuid4(), "ana", "echoic", "call", position, role, text, NOW - timedelta(days=days))


def fact(text, importance=0.5):
    return Fact(uuid4(), "ana", text, "topic", importance, "user", "echoic", NOW)


def test_rare_words_decide():
    """A word that few turns share weighs more than one that all share."""
    recent = RecentTurns()
    recent.load([*(turn(f"my dog ran {n} times") for n in range(9)), turn("my dog is called Biscuit")], [])
    assert recent.search("is my dog called something")[0].text == "my dog is called Biscuit"


def test_what_stands_in_the_context_is_left_out():
    """A turn is found until the model can read it itself."""
    recent, seen = RecentTurns(), turn("my dog is called Biscuit")
    recent.add(seen)
    assert recent.search("dog") and not recent.search("dog", {seen.turn_id})


def test_newest_of_equals_first():
    """Of two homes told in the same words, the later one leads."""
    recent = RecentTurns()
    recent.load([turn("I live in Porto", days=30), turn("I live in Lisbon", days=1)], [])
    assert [item.text for item in recent.search("where do I live")] == ["I live in Lisbon", "I live in Porto"]


def test_late_items_are_scored_and_never_given_as_they_are():
    """An answer to the last question stays away from the next, unless it fits."""
    recent = RecentTurns()
    recent.offer([Item("fact", uuid4(), "Allergic to penicillin", NOW)])
    assert not recent.search("what is my dog called")
    assert recent.search("am I allergic to anything")


def test_clear_forgets_everything():
    """Profile, last call and this call: nothing is left to be told to the next person."""
    recent = RecentTurns()
    recent.load([turn("a")], [fact("b")])
    recent.add(turn("c"))
    recent.clear()
    assert not recent.known and not recent.profile and not recent.last_call and not recent.search("a b c")


def test_it_stays_small():
    """An endless call keeps its newest turns only."""
    recent = RecentTurns()
    for n in range(TURNS_NOW + 50):
        recent.add(turn(f"word{n}"))
    assert not recent.search("word0") and recent.search(f"word{TURNS_NOW + 49}")


def relation(text, **fields):
    return Item("relation", uuid4(), text, NOW, tier="graph", **fields)


def test_the_digest_joins_the_profile():
    """It alternates with the facts, says once what both know, and is found like them."""
    recent = RecentTurns()
    recent.load(
        [],
        [fact("Has a dog"), fact("Has a cat")],
        digest=[relation("Ana is the sister of Eva"), relation("has a cat")],
    )
    assert [item.text for item in recent.profile] == ["Has a dog", "Ana is the sister of Eva", "Has a cat"]
    assert recent.search("who is Eva")[0].text == "Ana is the sister of Eva"


def test_after_forgetting_no_relation_is_left():
    """Which of them was learned from what was forgotten is not known here."""
    recent, told = RecentTurns(), turn("my sister is Eva")
    recent.load([told, turn("my dog is called Biscuit")], [], digest=[relation("Ana is the sister of Eva")])
    recent.offer([relation("Eva lives in Porto")])
    recent.remove({told.turn_id})
    assert [item.text for item in recent.search("Eva's dog in Porto")] == ["my dog is called Biscuit"]


def test_the_same_late_answer_is_held_once():
    """Offered again and again it takes one place, and pushes no other out."""
    recent, late = RecentTurns(), relation("Eva lives in Porto")
    for _ in range(LATE_ITEMS + 1):
        recent.offer([late])
    recent.offer([relation("Eva has a boat")])
    assert len(recent.search("Eva")) == 2 and len(recent._late) == 2
