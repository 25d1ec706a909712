"""The words of a text with their places, and its numbers: runs of digits and number words of any language."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from echoic.memory.text.canonical import is_unspaced, numerals
from echoic.memory.text.language import WITHIN_WORDS, Language, fold, languages
from echoic.memory.text.numbers.composed import signs
from echoic.memory.text.numbers.spoken import number_of, with_digits

MOST_SPOKEN = 60
"""Words that are read as one number; a card's takes no more in any language."""
_NONE: Mapping[str, str] = {}
_WORD = re.compile(f"\\d+|[^\\W\\d_](?:[^\\W\\d_]|[\u064b-\u065f{WITHIN_WORDS}])*")


@dataclass(frozen=True, slots=True)
class Word:
    """A word at its place in a text."""

    begin: int
    end: int
    text: str
    """Folded."""


@dataclass(frozen=True, slots=True)
class Run:
    """Number words next to each other, as places of words."""

    first: int
    last: int
    readings: tuple[str, ...]
    """Its digits in order, as each language may read them."""
    size: int
    """How many digits it has at least."""
    codes: frozenset[str]
    """Languages in which it is one."""


def words_of(text: str) -> list[Word]:
    """Words with their places; where no spaces are written, each character."""
    found = []
    for match in _WORD.finditer(text):
        if is_unspaced(match.group()):
            signs = (Word(at, at + 1, fold(text[at])) for at in range(match.start(), match.end()))
            found += [sign for sign in signs if sign.text]  # not the mark that half-width katakana have apart
        else:
            found.append(Word(match.start(), match.end(), fold(match.group())))
    return found


def runs_in(text: str, words: list[Word]) -> list[Run]:
    """Numbers of one language each: "ich bin dreißig" is no Turkish thousand before a German thirty."""
    found: list[Run] = []
    first, codes, at = 0, frozenset[str](), 0
    while at < len(words):
        known = _languages_of(words[at].text, text[words[at].begin : words[at].end])
        bridged = codes and not known and _bridged(text, words, at, codes)
        shared = bridged or (codes & known)
        if codes and not shared:
            found.append(run_of(text, words, first, at - 1, codes))
        if not shared:
            first = at
        codes = shared or known
        at += 2 if bridged else 1
    return [*found, run_of(text, words, first, len(words) - 1, codes)] if codes else found


def _languages_of(folded: str, word: str) -> frozenset[str]:
    return frozenset(languages()) if folded.isdigit() else frozenset(digits_of_word(word))


def _bridged(text: str, words: list[Word], at: int, codes: frozenset[str]) -> frozenset[str]:
    """The languages in which this word is the "and" of one number: "vingt et un"."""
    if not 0 < at < len(words) - 1:
        return frozenset()
    around = text[words[at - 1].begin : words[at + 1].end].casefold()
    joining = (languages()[code] for code in codes if fold(languages()[code].joint) == words[at].text)
    return frozenset(one.code for one in joining if with_digits(around, one).isdigit())


def run_of(text: str, words: list[Word], first: int, last: int, codes: frozenset[str]) -> Run:
    """A run of these words: "forty one eleven" is 4111 in a language whose numbers are known."""
    run = words[first : last + 1]
    spelled = text[run[0].begin : run[-1].end].casefold()
    readings, sizes = set[str](), list[int]()
    for code in sorted(codes):
        pieces = (text[word.begin : word.end] for word in run)
        one = "".join(piece if piece.isdigit() else digits_of_word(piece).get(code, "") for piece in pieces)
        whole = _composed(spelled, languages()[code]) if 1 < len(run) <= MOST_SPOKEN else ""
        readings |= {one, whole}
        sizes.append(len(whole or one))
    return Run(first, last, tuple(filter(None, sorted(readings))), min(sizes), codes)


def _composed(spelled: str, language: Language) -> str:
    """ "Vingt et un douze" as 2112; empty where not all is read."""
    pieces = numerals(spelled, language) if is_unspaced(spelled[0]) else [with_digits(spelled, language)]
    digits = "".join(pieces)
    return "" if any(map(str.isalpha, digits)) else re.sub(r"\D", "", digits)


@lru_cache(maxsize=8_192)
def digits_of_word(word: str) -> Mapping[str, str]:
    """The digits that a word stands for, by language; of a hundred and more without the zeros at its end."""
    folded = fold(word)
    found = {code: _digits(word, folded, language) for code, language in languages().items()}
    return {code: digits for code, digits in found.items() if digits} or _NONE


def _digits(word: str, folded: str, language: Language) -> str:
    if folded in language.zero or folded in language.repeats:
        return "0"  # "double": a part of the number, whatever it doubles
    if row := signs(folded, language):
        return row
    digits = str(language.digits.get(folded, "")) or number_of(word, folded, language)
    return digits.rstrip("0") if len(digits) > 2 else digits
