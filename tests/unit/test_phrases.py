"""Phrases: cut early, cut where a voice may rest, and never losing a word."""

import pytest

from echoic.local.speech.phrases import MOST_WORDS, Phrases

REPLY = (
    "Well, I remember that your sister Anna lives in Berlin, and that she works as a nurse. "
    "Dr. Lee said 3.5 hours, i.e. most of the day: is that right? Yes!"
)


def spoken(*pieces: str) -> list[str]:
    phrases = Phrases()
    return [phrase for piece in pieces for phrase in phrases.push(piece)] + phrases.finish()


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_no_word_is_lost_however_it_arrives(size: int) -> None:
    """The phrases are the reply, and the same ones whether it comes letter by letter or at once."""
    pieces = [REPLY[at : at + size] for at in range(0, len(REPLY), size)]
    assert " ".join(spoken(*pieces)) == REPLY
    assert spoken(*pieces) == spoken(REPLY)


def test_first_phrase_is_there_before_the_sentence_is_written() -> None:
    """A comma is enough, and without one the eighth word before one that joins."""
    assert Phrases().push("I remember that, ") == ["I remember that,"]
    assert Phrases().push("Your sister Anna told you that she moved to Berlin ") == [
        "Your sister Anna told you that she moved"
    ]


def test_one_word_is_not_spoken_alone() -> None:
    """`Well,` waits for what follows, so that no gap comes after it."""
    assert Phrases().push("Well, ") == []
    assert Phrases().push("Yes. ") == ["Yes."]


def test_later_phrases_are_longer() -> None:
    """While the first one is heard there is time for whole clauses, which sound better."""
    assert spoken("Sure thing, one, two, three. ")[1:] == ["one, two, three."]


def test_figures_and_titles_do_not_end_a_sentence() -> None:
    """The dot of `Dr.` and `3.5` is no full stop."""
    assert spoken("Dr. Lee waited 3.5 hours. ") == ["Dr. Lee waited 3.5 hours."]


def test_endless_words_are_cut() -> None:
    """A model that forgets punctuation is heard all the same."""
    assert max(len(phrase.split()) for phrase in spoken("word " * 100)) == MOST_WORDS


@pytest.mark.parametrize("nothing", ["", "   ", "\n\n"])
def test_nothing_is_no_phrase(nothing: str) -> None:
    """White space is not sent to be spoken."""
    assert spoken(nothing) == []
