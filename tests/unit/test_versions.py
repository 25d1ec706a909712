"""A user's version rises with every change from outside the call, and with nothing else."""

import json

import pytest

from echoic.memory.store.versions import Versions


@pytest.fixture
def versions():
    versions = Versions(db=None)
    versions._salt = "salt"
    versions.own("mine", "ana")
    return versions


def notice(versions, user_id, call_id="", **more):
    versions.heard(json.dumps({"user": versions.hash_of(user_id), "call": call_id} | more))


def test_learning_raises_it(versions):
    before = versions.of("ana", "mine")
    notice(versions, "ana")
    assert versions.of("ana", "mine") != before


def test_own_turns_do_not(versions):
    before = versions.of("ana", "mine")
    notice(versions, "ana", "mine")
    assert versions.of("ana", "mine") == before


def test_another_calls_turns_do(versions):
    before = versions.of("ana", "mine")
    notice(versions, "ana", "another")
    assert versions.of("ana", "mine") != before


def test_two_calls_of_one_user_in_one_process_see_each_other(versions):
    versions.own("second", "ana")
    before = versions.of("ana", "second")
    notice(versions, "ana", "mine")
    assert versions.of("ana", "second") != before


def test_another_user_does_not(versions):
    before = versions.of("ana", "mine")
    notice(versions, "bob")
    assert versions.of("ana", "mine") == before


def test_while_deaf_nothing_is_ever_equal(versions):
    versions._salt = None
    assert versions.of("ana", "mine") != versions.of("ana", "mine")


def test_an_erasure_is_told(versions):
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
    versions.disown("mine")
    assert not versions._raised and not versions._calls
