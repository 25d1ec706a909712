"""What a fact has that can be in no other words, and whether it was said: numbers, dates, names."""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from echoic.memory.text.canonical import tokens
from echoic.memory.text.dates.words import time_words_of
from echoic.memory.text.language import Language
from echoic.memory.text.secrets import MASK
from echoic.workers.evidence.numbers import numbers_of, reckoned
from echoic.workers.evidence.operations import Operation, When
from echoic.workers.evidence.spoken import NAME, Spoken, calendar_words, is_respaced

LEAST_MENDED, MENDED = 6, 0.85
"""Letters of a name, and how much of them must be equal, for it to be the one that was heard."""
MOST_COUNTED = 10
QUARTERS, SCALES = (15, 30, 45), (100, 1_000, 10_000)
"""Of an hour; and what one sign may be."""
MOST_WHEN = 3
"""Words that only say when."""

_APOSTROPHE = re.compile("['’ʼ`]")
_DIGITS = re.compile(r"\d+")


def exact_words(text: str, spoken: Spoken) -> list[str]:
    """What has no other words: what has a digit, dates, and capital letters past the first word."""
    found: list[str] = []
    calendar = calendar_words(spoken.language.code)
    for number, match in enumerate(NAME.finditer(text)):
        word = match.group()
        named = number > 0 and word[:1].isupper() and not spoken.language.capital_nouns
        pieces = [
            one for one in tokens(_without_endings(word.rstrip("+#"))) if len(one) > 1 or one.isdecimal()
        ]
        found += [one for one in pieces if named or one in calendar or has_digit(one)]
    return found


def spelled_numbers(text: str, spoken: Spoken) -> list[str]:
    """Numbers that a fact has in words: "sixty".

    Up to ten they are counted together, or mean something else ("quarto" is a room, "sexta" a Friday); a
    clock has its quarters in other words, one sign alone may be part of a word ("百货" is no hundred), and
    beside digits stands "thousand".
    """
    if has_digit(text):
        return []
    words = [*spoken.words(text), *spoken.numerals(text)]
    found = [word for word in words if word.isdecimal() and int(word) > MOST_COUNTED]
    return [word for word in found if int(word) not in (*QUARTERS, *SCALES)]


def has_days_said(operation: Operation, said: Sequence[str], spoken: Spoken) -> bool:
    """Whether a fact in a script without spaces has only weekdays that were said, or that its date is."""
    time, begins = time_words_of(spoken.language.code), operation.when.begins

    def weekdays(text: str) -> set[int]:
        return {time.value(one, "weekday") for one in time.find("weekday", time.words(text))}

    told = weekdays(operation.text)
    # several are a week in other words
    return len(told) != 1 or told <= weekdays("".join(said)) | ({begins.weekday()} if begins else set())


def is_of_its_words(when: When, spoken: Spoken) -> bool:
    """Whether one of a date's days has the weekday and the month that its words name, if they name any.

    Words that are a whole sentence may name other days, too.
    """
    days = [day for day in (when.begins, when.ends) if day is not None]
    time = time_words_of(spoken.language.code)
    words = time.words(when.words)
    # where endings stick to words, so do other words: "pazarlama" is no Sunday
    is_plain = not spoken.language.time.get("edges") and len(spoken.words(words)) <= MOST_WHEN
    if not days or when.precision != "day" or not is_plain:
        return True
    weekdays = {time.value(one, "weekday") for one in time.find("weekday", words)}
    months = {time.value(one, "month") for one in time.find("month", words)}
    return any(
        (not weekdays or day.weekday() in weekdays) and (not months or day.month in months) for day in days
    )


def was_said(word: str, operation: Operation, said: Sequence[str], spoken: Spoken) -> bool:
    """Whether a word of a fact is among what was said, in any form, or its date or a number explains it."""
    if spoken.among(word, said) or word in spoken.otherwise:
        return True
    if is_respaced(word, spoken.words(operation.text), said):
        return True
    language = spoken.language
    if language.proclitics and _bare(word, language) in {_bare(one, language) for one in said}:
        return True
    if has_digit(word):
        # number words of this language are not read as digits: nothing can be said about it, but where a
        # secret was masked, of which a model may guess the digits, or numbers are written with signs
        digits = {*_DIGITS.findall(word)}
        is_readable = spoken.language.reads_numbers or any(
            MASK in turn.text or spoken.numerals(turn.text) for turn in spoken.turns
        )
        known = {*numbers_of(operation.when, spoken), *said, *reckoned(operation.text, said)}
        return digits <= known or not is_readable
    if word in calendar_words(spoken.language.code):
        return operation.when.begins is not None or operation.when.ends is not None
    return is_heard_as(word, said)


def is_heard_as(word: str, said: Iterable[str]) -> bool:
    """A name as it is written, beside what speech recognition made of it."""
    if len(word) < LEAST_MENDED:
        return False
    near = (one for one in set(said) if abs(len(word) - len(one)) <= 2)
    return any(SequenceMatcher(None, word, one).ratio() >= MENDED for one in near)


def has_digit(word: str) -> bool:
    """Whether a digit of any script stands in it."""
    return any(map(str.isdecimal, word))


def _bare(word: str, language: Language) -> str:
    """Without the article that is written together with it: "wal-khamis" is "al-khamis"."""
    least = [one for one in language.proclitics if len(one) + 1 < len(word)]
    return word.removeprefix(next(filter(word.startswith, least), ""))


def _without_endings(word: str) -> str:
    """A name without what an apostrophe ties to it: "Eskişehir'de", "d'Artagnan"; with its digits."""
    parts = _APOSTROPHE.split(word)
    longest = max(parts, key=len)
    return " ".join(part for part in parts if part == longest or has_digit(part))
