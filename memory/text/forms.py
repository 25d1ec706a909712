"""Other forms of a question's words among the terms that are stored: inflected, or in another script.

Nothing is stored for it: the question decides what it looks for. Two forms share the first letters (`root`),
whatever the language and however it was tagged. On the open half of evals/languages.py, by words alone, .39
of the questions in 14 languages found their fact among the first five (without forms .35, with Snowball's
stemmer of the right language .39); beside the embeddings .873 (.871, .862). Four and six letters were worse.
A name in two scripts shares its consonants, as anyascii writes them (`sound`). Where no spaces are written, a
pair of characters is also found as it is read: in traditional or simplified signs, in hiragana or katakana,
and a Chinese name in other signs of the same syllables. In Japanese, by words alone, .375 instead of .344.
"""

import asyncio
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import cache

from anyascii import anyascii

from echoic.memory.text.language import languages, letters
from echoic.memory.text.words import (
    UNSPACED,
    foreign_stop_words,
    other_stop_words,
    plain_words,
    stop_words,
    terms,
)

ROOT, FROM_LATIN, TO_LATIN, READ = "*", "^", "~", "="
"""What a form begins with; no stored term begins so. A name is looked for in the other scripts only."""
ROOT_LETTERS = 5
VOWELS = "aeiouy'"
"""In which a letter ends as anyascii writes it, in any script; the last is a soft sign."""
ENDING_LETTERS = 2
"""By which a form of a short word may be longer. To take the vowels off every root found more by words alone,
and less beside the embeddings: "verlängern" is not "verliebt"."""
SOUND_LETTERS = 3
"""Fewer are no name in particular: "Eva" and "Ivo" have one consonant."""

LATIN_END = "\u0370"

Map = defaultdict[str, list[str]]

_NAME = re.compile(r"\b[^\W\d_]+")
_VOWELS = re.compile("[aeiou]")
_AGAIN = re.compile(r"(.)\1+")
_TOGETHER = {"sch": "s", "sh": "s", "ch": "s", "dzh": "z", "ph": "f", "th": "t"}
_APART = re.compile("|".join(_TOGETHER))
_ALIKE = str.maketrans("qczp", "kksb", "vwyhj")  # scripts lack one of two, or write these as vowels


def asked_forms(text: str, asked: Iterable[str]) -> list[str]:
    """What a question looks for besides its terms: its words inflected, unless it is in English, and its
    names in other scripts.

    Args:
        asked: the question's terms; English ones have their endings off already.
    """
    words = plain_words(text)
    foreign = stop_words().isdisjoint(words) or bool(other_stop_words(text))
    names = {term for name in _NAME.findall(text) if name[0].isupper() for term in terms(name)}
    found: list[str] = []
    for term in asked:
        if term.isdecimal():
            continue
        if UNSPACED.search(term):
            found.append(READ + anyascii(term))
            continue
        latin = is_latin(term)
        if foreign or not latin:
            found.append(ROOT + root(term))
        if (term in names or not latin) and len(heard := sound(term)) >= SOUND_LETTERS:
            found.append((FROM_LATIN if latin else TO_LATIN) + heard)
    return list(dict.fromkeys(found))


class StoredForms:
    """The stored terms of one caller, by their forms."""

    def __init__(self, stored: Iterable[str]) -> None:
        self._stored: set[str] = set()
        self._maps: dict[str, Map] = {}
        self.add(stored)

    def add(self, stored: Iterable[str]) -> None:
        """Terms of what has just been said."""
        more = {term for term in stored if term[0] != "@"} - self._stored
        self._stored |= more
        for kind, forms in self._maps.items():
            _fill(forms, kind, more)

    async def of(self, asked: Iterable[str]) -> dict[str, list[str]]:
        """The stored terms that have each of these forms.

        The first question of a kind waits until all are sorted by it, beside the event loop: some 5 ms for
        1,000 terms.
        """
        forms = [one for one in asked if is_form(one)]
        for kind in {form[0] for form in forms} - self._maps.keys():
            before, sorted_by = set(self._stored), defaultdict[str, list[str]](list)
            await asyncio.to_thread(_fill, sorted_by, kind, before)
            _fill(sorted_by, kind, self._stored - before)
            self._maps[kind] = sorted_by
        return {form: self._maps[form[0]].get(form[1:], []) for form in forms}


def is_form(asked: str) -> bool:
    """Whether this is looked for among forms: neither a term, nor a day."""
    return asked[0] in (ROOT, FROM_LATIN, TO_LATIN, READ)


def is_latin(term: str) -> bool:
    """Whether a term begins with a Latin letter or a digit."""
    return term.isascii() or term[0] < LATIN_END


def root(term: str) -> str:
    """The first letters of a word that is asked for; of a short one without the vowel in which its forms
    differ ("Оля", "Олю"), unless that leaves a word that hangs others together: "jako", "jak"."""
    bare = _bare(term)
    return bare[:ROOT_LETTERS] if len(bare) > ROOT_LETTERS else _without_ending(bare)


def _roots(term: str) -> set[str]:
    """What a stored word may be asked for by: a form of a short word is a little longer."""
    bare = _bare(term)
    begun = bare[:ROOT_LETTERS]
    return {begun, _without_ending(begun)} if len(bare) <= ROOT_LETTERS + ENDING_LETTERS else {begun}


def _bare(term: str) -> str:
    """Without articles that are written together with their noun, and in one way of writing."""
    if term.isascii():
        return _digraphs().sub(lambda found: found[0][0], term)
    return _proclitics().sub("", term.translate(letters()))


@cache
def _is_vowel(letter: str) -> bool:
    """A letter or sign that stands for one: "я", "ी", "ं"."""
    return unicodedata.category(letter)[0] == "M" or anyascii(letter).lower().endswith(tuple(VOWELS))


def _without_ending(term: str) -> str:
    bare = term
    while bare and _is_vowel(bare[-1]):
        bare = bare[:-1]
    return bare if len(bare) > 1 and bare not in _function_words() else term


def sound(term: str) -> str:
    """The consonants that every script writes; "a" for a vowel at the beginning."""
    latin = _APART.sub(lambda found: _TOGETHER[found[0]], anyascii(term).lower().replace("'", ""))
    heard = latin.translate(_ALIKE)
    vowel = "a" if _VOWELS.match(heard) else ""
    return _AGAIN.sub(r"\1", vowel + _VOWELS.sub("", heard))


def _fill(forms: Map, kind: str, stored: Iterable[str]) -> None:
    for term in stored:
        unspaced = UNSPACED.search(term) is not None
        if unspaced != (kind == READ):
            continue
        if unspaced:
            forms[anyascii(term)].append(term)
        elif kind == ROOT:
            for begun in _roots(term):
                forms[begun].append(term)
        elif is_latin(term) == (kind == TO_LATIN):
            forms[sound(term)].append(term)


@cache
def _function_words() -> frozenset[str]:
    return frozenset().union(*foreign_stop_words().values())


@cache
def _digraphs() -> re.Pattern[str]:
    return re.compile("|".join(one for language in languages().values() for one in language.digraphs))


@cache
def _proclitics() -> re.Pattern[str]:
    before = "|".join(word for language in languages().values() for word in language.proclitics)
    return re.compile(rf"^(?:{before})(?=\w\w)")
