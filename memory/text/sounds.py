"""Words by how they sound: a name that the ears wrote down as another word is found by what was meant.

Metaphone's key of a word is its consonants as they are spoken; words of one key count as alike if they are
also written alike. Short words are left alone: "turn" and "Turin" have one key. Of 96 questions that Piper
spoke and Moonshine heard, the name was found by its letters in .16, and is by this form in .35
(evals/names.py, open half); of 200 ordinary sentences, as written and as heard, none was taken for a name.
Alike from .75 on .42, with 2 of those 400 taken wrongly; words of five letters .39 and 9, of four .39 and
22. Keys that differ in one sound .47 to .60, and 7 to 29. On the sealed half nothing was gained, and 1
sentence of 108 taken wrongly.
"""

from collections import defaultdict
from collections.abc import Iterable

import jellyfish

LEAST_LETTERS = 6
LEAST_SOUNDS = 3
ALIKE = 0.8
"""Jaro-Winkler similarity of two words that one key may stand for."""


class Sounds:
    """Finds words by how others sound."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words: defaultdict[str, list[str]] = defaultdict(list)
        for word in words:
            self.add(word)

    def add(self, word: str) -> None:
        """Another word that may be meant; one in letters that have no key is passed over."""
        if key := _key(word):
            self._words[key].append(word)

    def like(self, heard: Iterable[str]) -> list[str]:
        """The words that sound like one of `heard`, each once."""
        found = (
            word
            for other in heard
            for word in self._words.get(_key(other), ())
            if jellyfish.jaro_winkler_similarity(word, other) >= ALIKE
        )
        return list(dict.fromkeys(found))


def _key(word: str) -> str:
    if len(word) < LEAST_LETTERS or not (word.isascii() and word.isalpha()):
        return ""
    key: str = jellyfish.metaphone(word)
    return key if len(key) >= LEAST_SOUNDS else ""
