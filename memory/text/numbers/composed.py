"""Numbers of words that stand in a language's file: "тридцать четыре", "otuzdört", "أربعة وثلاثون", "चौंतीस".

One grammar for all. A word adds to the place that the one before left empty ("sto dwa"), unless the sum has a
word of its own ("dziesięć dwa" is 10 and 2), or multiplies what is smaller ("iki bin"). Of number-parser 0.3,
ovos-number-parser 0.19 and text2num 3.1 none reads all five languages, and none an inflected ordinal.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from echoic.memory.text.language import Language, fold, fold_pattern, languages, written

UNSURE = 3
"""So many words in a row that may be numbers are numbers, though each is another word too."""
LONGEST_WORD = 60
"""Letters of numbers that are written as one word: "bindokuzyüzseksenbir" has 20."""
_WORD = re.compile(
    "[^\\W\\d_](?:[^\\W\\d_]|[\u0300-\u036f\u064b-\u0655\u0900-\u0dff])*|(?<![\\w.,:])\\d{1,3}(?![\\d.,:])"
)
_GAP = re.compile(r"[\s‐-]+")
_PLACE = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class _Value:
    """What a word counts."""

    number: float
    is_sure: bool
    """Whether it is a number wherever it stands: "piec" may be a stove, "семью" a family."""


@dataclass(frozen=True, slots=True)
class _Word:
    begin: int
    end: int
    value: _Value
    is_joined: bool
    """Whether "and" stands before it, or is written together with it."""
    is_written: bool = False
    """Whether it is written in digits: "15 тысяч" is one number, "15 пять" are two."""


@dataclass(slots=True)
class _Number:
    """Words that make one number: its terms, each with the place that may still be filled."""

    begin: int
    end: int
    terms: list[tuple[float, float]]

    @property
    def digits(self) -> str:
        """The number as digits; empty for "one and a half" of nothing."""
        total = sum(value for value, _ in self.terms)
        return str(round(total)) if total == round(total) else ""


def with_composed(text: str, language: Language) -> str:
    """The text with its number words as digits."""
    out, at = list[str](), 0
    for number in _numbers(text, language):
        if number.digits and not text[number.begin : number.end].isdigit():
            before = text[at : number.begin]
            out += [before, " " if before[-1:].isalpha() else "", number.digits]  # "و 6", and not "و6"
            at = number.end
    return "".join([*out, text[at:]])


def counted(word: str, language: Language) -> str:
    """The digits of one number word, with "and" or without; empty if it is none."""
    value, _ = _joined_value(word, language)
    return str(round(value.number)) if value and value.number == round(value.number) else ""


def _numbers(text: str, language: Language) -> Iterator[_Number]:
    for run in _runs(text, language):
        if len(run) >= UNSURE or any(word.value.is_sure for word in run):
            yield from _composed(run, language)


def _runs(text: str, language: Language) -> Iterator[list[_Word]]:
    """Number words with nothing but spaces, hyphens and "and" between them."""
    run, end, joined_at = list[_Word](), 0, -1
    for match in _WORD.finditer(text):
        is_near = (run or joined_at == end) and _GAP.fullmatch(text, end, match.start()) is not None
        if run and not is_near:
            yield run
            run = []
        is_joined, end = bool(is_near) and joined_at == end, match.end()
        if match[0] == language.joint:
            joined_at = end
        elif word := _word(match, language, is_joined):
            run.append(word)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _word(match: re.Match[str], language: Language, is_joined: bool) -> _Word | None:
    begin, end = match.span()
    if match[0].isdigit():
        return _Word(begin, end, _Value(float(match[0]), is_sure=False), is_joined, is_written=True)
    value, joint = _joined_value(match[0], language)
    return _Word(begin + len(joint), end, value, is_joined or bool(joint)) if value else None


def _joined_value(word: str, language: Language) -> tuple[_Value | None, str]:
    """What a word counts, and the "and" that is written together with it."""
    joint = language.joint
    if (value := _value(word, language)) or not (joint and word.startswith(joint)):
        return value, ""
    return _value(word.removeprefix(joint), language), joint


def _composed(run: Sequence[_Word], language: Language) -> Iterator[_Number]:
    number: _Number | None = None
    for word in run:
        grown = None if number is None or word.is_written else _grown(number.terms, word, language)
        if number and grown:
            number.terms, number.end = grown, word.end
            continue
        if number:
            yield number
        number = _Number(word.begin, word.end, [_term(word)])
    if number:
        yield number


def _term(word: _Word) -> tuple[float, float]:
    value = word.value.number
    return value, 1 if word.is_written else _place(value)


def _grown(
    terms: Sequence[tuple[float, float]], word: _Word, language: Language
) -> list[tuple[float, float]] | None:
    """The terms with one more word; None where another number begins."""
    own, value, (last, place) = _table(language.code).own, word.value.number, terms[-1]
    if _multiplies(value, own) and not word.is_joined:
        kept = [term for term in terms if term[0] >= value]
        product = sum(less for less, _ in terms if less < value) * value
        if product and (product == value or product not in own) and _fits(product, kept):
            return [*kept, (product, value)]
    if language.joint:
        # units stand before tens: "four and thirty", and "five ten" is fifteen
        if 0 < last < 10 and (value == 10 if not word.is_joined else value in range(20, 100, 10)):
            return [*terms[:-1], (last + value, 1)]
        return [*terms, (value, _place(value))] if word.is_joined and 0 < value < place else None
    return [*terms, (value, _place(value))] if 0 < value < place and last + value not in own else None


def _multiplies(value: float, own: frozenset[float]) -> bool:
    """A power of ten does, but a hundred where three hundred are a word: "сорок один сто" is 41 and 100."""
    return value >= 100 and value == _place(value) and 3 * value not in own


def _fits(product: float, kept: Sequence[tuple[float, float]]) -> bool:
    return not kept or product < kept[-1][1]


def _place(value: float) -> float:
    """The place below which nothing is said yet: 10 of thirty, 1000 of two thousand."""
    place = 1
    while value and value % (place * 10) == 0:
        place *= 10
    return place


# words


@dataclass(frozen=True, slots=True)
class _Table:
    """A language's number words as patterns; the group that matches is named by the place of its number."""

    numbers: Sequence[float]
    sure: re.Pattern[str]
    unsure: re.Pattern[str]
    """Those that are other words too, and all of them as they are typed without accents."""
    together: re.Pattern[str] | None
    own: frozenset[float]
    """Numbers that have a word."""
    letters: frozenset[str]
    """What a number word may begin with: most words of other scripts are none at a glance."""

    def value(self, word: str) -> _Value | None:
        """What one number word counts."""
        if word[:1] not in self.letters:
            return None
        sure = self.sure.fullmatch(word)
        found = sure or self.unsure.fullmatch(fold(word))
        return _Value(self.numbers[int((found.lastgroup or "")[1:])], sure is not None) if found else None


@cache
def _table(code: str) -> _Table:
    language = languages()[code]
    data = language.numbers
    said = [(float(number), words) for number, words in data["words"].items()]
    unsure = [(float(number), words) for number, words in data.get("unsure", {}).items()]
    every = [
        fold_pattern(_PLACE.sub(lambda found: data[found[1]], words), lambda piece: written(piece, language))
        for _, words in (*said, *unsure)
    ]
    plain = [fold_pattern(one, fold) for one in every]
    others = {at: one for at, one in enumerate(plain) if at >= len(said) or one != every[at]}
    return _Table(
        [number for number, _ in (*said, *unsure)],
        _any_of(dict(enumerate(every[: len(said)])), language),
        _any_of(others, language),
        re.compile(f"(?:{'|'.join(every)}){{2,}}") if data.get("together") else None,
        frozenset(number for number, _ in said),
        frozenset("".join([data.get("before", ""), *every, *plain])),
    )


def _any_of(patterns: Mapping[int, str], language: Language) -> re.Pattern[str]:
    before, behind = (
        fold_pattern(language.numbers.get(at, ""), lambda piece: written(piece, language))
        for at in ("before", "behind")
    )
    said = "|".join(f"(?P<n{at}>{one})" for at, one in patterns.items()) or "(?!)"
    return re.compile(f"{before}(?:{said}){behind}")


def _value(word: str, language: Language) -> _Value | None:
    if not language.numbers or len(word) > LONGEST_WORD:
        return None
    return _value_of(word, language.code)


@lru_cache(maxsize=16_384)
def _value_of(word: str, code: str) -> _Value | None:
    table, word = _table(code), written(word, languages()[code])
    found = table.value(word)
    if found or not (table.together and table.together.fullmatch(word)):
        return found
    return next((value for end in range(len(word) - 1, 0, -1) if (value := _joined(word, end, code))), None)


def _joined(word: str, end: int, code: str) -> _Value | None:
    """ "otuzdört": every piece is a number word, and all of them are one number."""
    ahead, behind = _value_of(word[:end], code), _value_of(word[end:], code)
    if not (ahead and behind):
        return None
    terms = [(ahead.number, _place(ahead.number))]
    grown = _grown(terms, _Word(0, 0, behind, is_joined=False), languages()[code])
    return _Value(sum(value for value, _ in grown), is_sure=True) if grown else None
