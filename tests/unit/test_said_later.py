"""What was said later of the matter that a question finds first, by vectors alone."""

import numpy as np
import pytest

from echoic.memory.recall.ranking import said_later

FOUND = 10


def found(near_later, dimensions=64):
    """Ten turns in ten calls, unlike one another but for the first and the fifth, which is said last."""
    vectors = np.eye(FOUND, dimensions, dtype=np.float32) + 0.05
    vectors[4] = near_later * vectors[0] + (1 - near_later) * vectors[4]
    said_at = [float(place) for place in range(FOUND)]
    said_at[4] = 99.0
    return [True] * FOUND, said_at, np.arange(FOUND), vectors


def test_a_change_in_other_words_is_found_by_what_it_changed():
    assert said_later(*found(0.8)) == (0, 4, True)


def test_what_is_like_the_best_one_as_others_are_is_no_change():
    assert said_later(*found(0.0)) is None


def test_what_was_said_before_or_in_the_same_call_changed_nothing():
    told, said_at, calls, vectors = found(0.8)
    assert said_later(told, [*said_at[:4], -1.0, *said_at[5:]], calls, vectors) is None
    same = np.where(calls == 4, 0, calls)
    assert said_later(told, said_at, same, vectors) is None


@pytest.mark.parametrize("missing", [0, 4])
def test_a_turn_of_the_agents_or_without_a_vector_is_neither(missing):
    told, said_at, calls, vectors = found(0.8)
    told[missing] = False
    vectors[missing] = np.nan
    assert said_later(told, said_at, calls, vectors) is None


def test_few_turns_tell_nothing():
    told, said_at, calls, vectors = found(0.8)
    assert said_later(told[:5], said_at[:5], calls[:5], vectors[:5]) is None


def test_what_no_model_knows_is_like_nothing():
    told, said_at, calls, vectors = found(0.8)
    assert said_later(told, said_at, calls, np.zeros_like(vectors)) is None
