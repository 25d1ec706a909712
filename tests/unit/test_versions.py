"""A user's version rises with every change from outside the call, and with nothing else."""

import json

import pytest

from echoic.memory.store.versions import Versions


@pytest.fixture
def versions():
    versions = Versions(db=None)
    versions._salt = "salt"
    versions.ignore_changes_from("mine", "ana")
    return versions


def notice(versions, user_id, call_id="", **more):
    versions.heard(json.dumps({"user": versions.hash_of(user_id), "call": call_id} | more))


def test_learning_raises_it(versions):
    """Facts learned by a worker are seen by a call that is going on."""
    before = versions.of("ana", "mine")
    notice(versions, "ana")
    assert versions.of("ana", "mine") != before


def test_own_turns_do_not(versions):
    """A call knows what was said in it: its own turns make nothing it holds stale."""
    before = versions.of("ana", "mine")
    notice(versions, "ana", "mine")
    assert versions.of("ana", "mine") == before


def test_another_calls_turns_do(versions):
    """What the same person says elsewhere at the same time counts as a change."""
    before = versions.of("ana", "mine")
    notice(versions, "ana", "another")
    assert versions.of("ana", "mine") != before


def test_two_calls_of_one_user_in_one_process_see_each_other(versions):
    """A turn is "own" to its call, not to its process."""
    versions.ignore_changes_from("second", "ana")
    before = versions.of("ana", "second")
    notice(versions, "ana", "mine")
    assert versions.of("ana", "second") != before


def test_another_user_does_not(versions):
    """Other people's changes cost this caller no fresh lookup."""
    before = versions.of("ana", "mine")
    notice(versions, "bob")
    assert versions.of("ana", "mine") == before


def test_while_deaf_what_was_looked_up_before_is_old(versions):
    """Changes are not heard of then; what is looked up meanwhile serves the same words."""
    before = versions.of("ana", "mine")
    versions._salt = None
    assert versions.of("ana", "mine") == versions.of("ana", "mine") != before


def test_of_a_call_that_is_not_held_nothing_is_ever_equal(versions):
    """Nobody hears what becomes of its user."""
    assert versions.of("ana", "another") != versions.of("ana", "another")


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
    versions.watch_changes_from("mine")
    assert not versions._raised and not versions._calls
