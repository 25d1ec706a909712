"""A word that is not known is found by how it sounds, and only by that."""

import pytest

from echoic.memory.text.sounds import Sounds
from echoic.memory.text.words import runs, terms


def known(*words: str) -> Sounds:
    return Sounds(term for word in words for term in terms(word))


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("Zbignou", "Zbigniew"),
        ("Isidore", "Isidora"),
        ("Ottiline", "Ottoline"),
        ("Annulus", "Anneliese"),
        ("neighbor", "neighbour"),
    ],
)
def test_one_word_heard_for_another(heard: str, meant: str) -> None:
    """As Moonshine wrote down what Piper said."""
    assert known(meant, "florist", "Xochitl").like(terms(heard)) == terms(meant)


@pytest.mark.parametrize("heard", ["turn", "florists", "the end", "Порту", "里斯本", "", "123456"])
def test_other_words_are_left_alone(heard: str) -> None:
    """Short ones, those of no key, and those that are written too differently."""
    assert known("Turin", "Thandiwe", "Lisbon", "Porto").like(["".join(heard.split())]) == []


def test_a_name_heard_in_pieces() -> None:
    """Neighbouring words count as one, where one of them is not known."""
    heard = runs("Where does in Jeborg live?", frozenset(terms("jeborg")))
    assert "injeborg" in heard and "doesin" not in heard
    assert known("Ingeborg").like(heard) == terms("Ingeborg")
    assert runs("Where does in Jeborg live?", frozenset()) == []
