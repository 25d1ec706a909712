"""Which messages of a conversation are new, when it is sent again: each is stored once, none is lost."""

import random

import pytest

from echoic.api.mem0.conversation.overlap import Said, new_places


def said(*texts):
    """User and assistant in turn."""
    return [Said("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]


def new(known, sent):
    return [sent[place].text for place in new_places(known, sent)]


TALK = said("Hello", "Hi!", "I have a dog", "Nice", "yes", "Anything else?", "no", "Bye")


def test_a_conversation_that_grows_is_new_at_its_end():
    """Whatever is stored of it."""
    for known in range(len(TALK) + 1):
        for sent in range(known, len(TALK) + 1):
            assert new_places(TALK[:known], TALK[:sent]) == list(range(known, sent))


def test_a_window_that_slides_is_new_at_its_end():
    """Clients with a short memory send the last messages only."""
    known = TALK[:6]
    for first in range(1, 6):
        assert new(known, TALK[first:]) == ["no", "Bye"]


def test_a_request_that_comes_late_or_twice_is_not_new():
    """Clients send in threads: an earlier state of the conversation may arrive last."""
    for known in range(1, len(TALK) + 1):
        for sent in range(1, known + 1):
            assert new_places(TALK[:known], TALK[:sent]) == []


def test_one_message_at_a_time_is_said_again():
    """Whoever sends only what is new may answer "yes" twice."""
    known = said("Hello", "Tea?", "yes", "Coffee?")
    assert new(known, said("yes")) == ["yes"]
    assert new([*known, *said("yes")], said("yes")) == []


def test_a_summary_in_front_hides_nothing():
    """What stands before the part that is known was said before it."""
    sent = [Said("user", "Summary: a dog."), *TALK[4:]]
    assert new(TALK[:6], sent) == ["no", "Bye"]


def test_two_ways_of_a_conversation_are_each_stored_once():
    """An answer was made anew, or a sentence went on after it had been sent."""
    known = said("Hello", "Hi!", "I have a")
    changed = said("Hello", "Hi!", "I have a dog")
    assert new(known, changed) == ["I have a dog"]
    both = [*known, changed[-1]]
    assert new(both, [*changed, *said("", "Nice")[1:]]) == ["Nice"]


def test_a_secret_is_known_by_what_is_left_of_it():
    """It is stored hidden, and sent again in clear."""
    known = [Said("user", "My PIN is •••."), Said("assistant", "Thanks.")]
    assert new(
        known, [Said("user", "My PIN is 4711."), Said("assistant", "Thanks."), Said("user", "ok")]
    ) == ["ok"]


def test_what_is_left_of_a_forgotten_conversation_goes_on():
    """Its beginning is gone, and is sent all the same."""
    assert new(TALK[3:4], TALK[:6]) == ["yes", "Anything else?"]


def test_a_long_conversation_costs_little():
    """Of 12,000 messages the last ones are compared."""
    whole = said(*(f"message {number % 500}" for number in range(12_000)))
    assert new_places(whole[-2_200:-3], whole) == [11_997, 11_998, 11_999]


@pytest.mark.parametrize("seed", range(20))
def test_any_conversation_in_any_pieces_is_stored_once(seed):
    """Whole or as windows of six messages and more, some of them twice: the same order comes out."""
    dice = random.Random(seed)
    whole = said(*(f"{number} {dice.choice(['yes', 'no', 'ok'])}" for number in range(60)))
    stored, end = [], 0
    while end < len(whole):
        end = min(len(whole), end + dice.randint(1, 4))
        first = 0 if dice.random() < 0.5 else max(0, end - dice.randint(6, 12))
        for sent in (whole[first:end], whole[: dice.randint(1, end)] if dice.random() < 0.3 else []):
            stored += [sent[place] for place in new_places(stored, sent)]
    assert stored == whole
