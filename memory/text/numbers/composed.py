"""Numbers of words that stand in a language's file: "тридцать четыре", "otuzdört", "أربعة وثلاثون", "चौंतीस".

One grammar for all. A word adds to the place that the one before left empty ("sto dwa"), unless the sum has a
word of its own ("dziesięć dwa" is 10 and 2), or multiplies what is smaller ("iki bin"). Of number-parser 0.3,
ovos-number-parser 0.19 and text2num 3.1 none reads all five languages, and none an inflected ordinal.

Where number words are ordinary syllables too, and stick to what they count ("서른네살"), the file says in
`where` what a number stands among, and nothing else is one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from echoic.memory.text.language import WITHIN_WORDS, Language, fold, fold_pattern, languages, written

UNSURE = 3
"""So many words in a row that may be numbers are numbers, though each is another word too."""
LONGEST_WORD = 60
"""Letters of numbers that are written as one word: "bindokuzyüzseksenbir" has 20."""
_WORD = re.compile(
    f"[^\\W\\d_](?:[^\\W\\d_]|[\u0300-\u036f\u064b-\u0655{WITHIN_WORDS}])*|(?<![\\w.,:])\\d{{1,3}}(?![\\d.,:])"
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
        if number.digits and not text[number.begin : number.end].isdecimal():
            before = text[at : number.begin]
            is_close = before[-1:].isalpha() or (at > 0 and not before)
            out += [before, " " if is_close else "", number.digits]  # "و 6", and not "و6"
            at = number.end
    return "".join([*out, text[at:]])


def counted(word: str, language: Language) -> str:
    """The digits of one number word, with "and" or without; empty if it is none."""
    if _table(language.code).where:
        return next((number.digits for number in _numbers(word, language) if not number.begin), "")
    value, _ = _joined_value(word, language)
    return str(round(value.number)) if value and value.number == round(value.number) else ""


def signs(word: str, language: Language) -> str:
    """The digits of a word that spells them one by one ("일이삼사예요"); empty if it does not."""
    row = _table(language.code).row if language.numbers else None
    if not (found := row and row.fullmatch(word)):
        return ""
    return "".join(str(round(one.value.number)) for one in _pieces(word, found.span(1), language))


def _numbers(text: str, language: Language) -> Iterator[_Number]:
    if where := _table(language.code).where:
        for found in where.finditer(text):
            yield from _composed(_pieces(text, found.span(), language), language)
        return
    for run in _runs(text, language):
        if len(run) >= UNSURE or any(word.value.is_sure for word in run):
            yield from _composed(run, language)


def _pieces(text: str, span: tuple[int, int], language: Language) -> list[_Word]:
    """The number words that stand between two places, with spaces or without."""
    table = _table(language.code)
    return [
        _Word(*found.span(), _Value(table.number(found), is_sure=True), is_joined=False)
        for found in table.piece.finditer(text, *span)
    ]


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
    if match[0].isdecimal():
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
    """A power of ten does, but where three of it are a word: "сорок один сто" is 41 and 100."""
    return value >= 10 and value == _place(value) and 3 * value not in own


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
    """Numbers that have a word; none where the file says what surrounds a number."""
    letters: frozenset[str]
    """What a number word may begin with: most words of other scripts are none at a glance."""
    piece: re.Pattern[str]
    """Any number word, or digits."""
    where: re.Pattern[str] | None
    row: re.Pattern[str] | None
    """A word that spells digits one by one, which are its first group."""

    def value(self, word: str) -> _Value | None:
        """What one number word counts."""
        if word[:1] not in self.letters:
            return None
        sure = self.sure.fullmatch(word)
        found = sure or self.unsure.fullmatch(fold(word))
        return _Value(self.number(found), sure is not None) if found else None

    def number(self, found: re.Match[str]) -> float:
        """What was found counts: digits stand for themselves."""
        return self.numbers[int(found.lastgroup[1:])] if found.lastgroup else float(found[0])


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
    sure, where = _any_of(dict(enumerate(every[: len(said)])), language), data.get("where", ())
    others = {at: one for at, one in enumerate(plain) if at >= len(said) or one != every[at]}
    return _Table(
        [number for number, _ in (*said, *unsure)],
        sure,
        _any_of(others, language),
        re.compile(f"(?:{'|'.join(every)}){{2,}}") if data.get("together") else None,
        frozenset(number for number, _ in said) if not where else frozenset(),
        frozenset("".join([data.get("before", ""), *every, *plain])),
        re.compile(rf"{sure.pattern}|\d+"),
        re.compile("|".join(_filled(one, data) for one in where)) if where else None,
        re.compile(_filled(data["row"], data)) if "row" in data else None,
    )


def _filled(pattern: str, data: Mapping[str, Any]) -> str:
    """A pattern with the keys of its table in their places, and theirs in those."""
    while _PLACE.search(pattern):
        pattern = _PLACE.sub(lambda found: f"(?:{data[found[1]]})", pattern)
    return pattern


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
