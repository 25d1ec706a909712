"""A user's version rises with every change from outside the call, and with nothing else."""

import json

import pytest

from echoic.memory.store.versions import Versions
from echoic.memory.types import Caller

MINE = Caller("ana", "echoic", "mine")


@pytest.fixture
def versions():
    versions = Versions(db=None)
    versions._salt = "salt"
    versions.ignore_changes_from(MINE)
    return versions


def notice(versions, user_id, call_id="", **more):
    versions.heard(json.dumps({"user": versions.hash_of(user_id), "call": call_id} | more))


def test_learning_raises_it(versions):
    """Facts learned by a worker are seen by a call that is going on."""
    before = versions.of(MINE)
    notice(versions, "ana")
    assert versions.of(MINE) != before


def test_own_turns_do_not(versions):
    """A call knows what was said in it: its own turns make nothing it holds stale."""
    before = versions.of(MINE)
    notice(versions, "ana", "mine")
    assert versions.of(MINE) == before


def test_another_calls_turns_do(versions):
    """What the same person says elsewhere at the same time counts as a change."""
    before = versions.of(MINE)
    notice(versions, "ana", "another")
    assert versions.of(MINE) != before


def test_two_calls_of_one_user_in_one_process_see_each_other(versions):
    """A turn is "own" to its call, not to its process."""
    second = Caller("ana", "echoic", "second")
    versions.ignore_changes_from(second)
    before = versions.of(second)
    notice(versions, "ana", "mine")
    assert versions.of(second) != before


def test_another_user_does_not(versions):
    """Other people's changes cost this caller no fresh lookup."""
    before = versions.of(MINE)
    notice(versions, "bob")
    assert versions.of(MINE) == before


def test_while_deaf_what_was_looked_up_before_is_old(versions):
    """Changes are not heard of then; what is looked up meanwhile serves the same words."""
    before = versions.of(MINE)
    versions._salt = None
    assert versions.of(MINE) == versions.of(MINE) != before


def test_of_a_call_that_is_not_held_nothing_is_ever_equal(versions):
    """Nobody hears what becomes of its user."""
    another = Caller("ana", "echoic", "another")
    assert versions.of(another) != versions.of(another)


def test_two_people_in_calls_of_one_name_have_each_their_own(versions):
    """Whoever chooses another's name for their call changes nothing for them, also when it ends."""
    theirs = Caller("bob", "echoic", "mine")
    assert versions.of(theirs) != versions.of(theirs)
    versions.ignore_changes_from(theirs)
    before, of_theirs = versions.of(MINE), versions.of(theirs)
    notice(versions, "bob")
    assert versions.of(MINE) == before and versions.of(theirs) != of_theirs
    versions.watch_changes_from(theirs)
    assert versions.of(MINE) == before


def test_a_call_of_this_name_under_a_linked_id_is_another_call(versions):
    """What is said in it is no turn of this one."""
    both = Caller("ana", "echoic", "mine", also=("web",))
    versions.ignore_changes_from(both)
    versions.ignore_changes_from(Caller("web", "echoic", "mine"))
    before = versions.of(both)
    notice(versions, "web", "mine")
    assert versions.of(both) != before


def test_of_two_who_hold_one_call_the_last_ends_it(versions):
    """What is told of its caller is heard until then."""
    versions.ignore_changes_from(MINE)
    versions.watch_changes_from(MINE)
    before = versions.of(MINE)
    notice(versions, "ana")
    assert versions.of(MINE) != before


def test_an_erasure_is_told(versions):
    """The process can drop what it holds of that person, whom it is told by name."""
    told = []
    versions.on_erased = told.append
    notice(versions, "ana", erased=True)
    assert told == ["ana"]


def test_users_without_a_call_here_cost_nothing(versions):
    """Every process hears of every user; it keeps count of its own callers only."""
    for n in range(1000):
        notice(versions, f"user-{n}")
    assert not versions._raised
    notice(versions, "ana")
    versions.watch_changes_from(MINE)
    assert not versions._raised and not versions._calls
