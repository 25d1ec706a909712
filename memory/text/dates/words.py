"""How each language speaks of time, read from `[time]` of its file: patterns over folded words.

Measured instead, on 15 questions in 13 languages: dateparser 1.5 found the day in 9, took 25 MB and a second
to load, and 23 s for a question whose language it was not told.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from echoic.memory.text.language import UNKNOWN, Language, fold, fold_pattern, languages, letters
from echoic.memory.text.numbers.spoken import with_digits
from echoic.memory.text.words import ASKED_AT_ONCE, languages_of, words_only

UNSPACED = "none"
"""`edges` of a language that writes no spaces; "left": its endings stick to the word."""
_DIGITS = re.compile(r"\d+")
YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
YEAR_DIGITS = 4
_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")
_WRITTEN = re.compile(
    r"(?<![\d.,:/-])(?:(?:19|20)\d\d([-/.])\d\d?\1\d\d?|\d\d?([-/.])\d\d?\2(?:19|20)\d\d"
    r"|\d\d?/\d\d?|\d\d?\.\d\d?\.)(?![\d/:-])"
)
"""A date in figures: with its year, or as "12/11" and "12.11."; not 12.50, 9:30 or 3-4."""
FIRST_SIGN, MOST_SIGNS = 0xE000, 64
"""Stand in the words for spans that are named there (memory/text/dates/spans.py): letters of no script."""
_SIGN = f"[{chr(FIRST_SIGN)}-{chr(FIRST_SIGN + MOST_SIGNS)}]"
_PLACE = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True, eq=False)
class TimeWords:
    """One language's: what to look for, and what was found by its words."""

    language: Language
    patterns: Mapping[str, Sequence[re.Pattern[str]]]
    values: Mapping[str, Mapping[re.Pattern[str], Any]]
    """For each group of a pattern what its words mean: month 3, unit "week"."""

    def words(self, text: str) -> str:
        """The words of a text as the patterns have them: folded, numbers as digits, one space between two."""
        text = text.lower()
        if _DIGITS.search(text):  # fifteen languages read each question
            text = _FOREIGN_DIGIT.sub(lambda found: str(int(found[0])), text)
            text = _WRITTEN.sub(self._written, text)
        return _spaced(with_digits(text, self.language))

    def _written(self, found: re.Match[str]) -> str:
        """ "12.11.2026" as "12d11m2026y": in both orders where the language may mean either."""
        numbers = _DIGITS.findall(found[0])
        year = next((number for number in numbers if len(number) == YEAR_DIGITS), "")
        one, other = (int(number) for number in numbers if number != year)
        order = "md" if year == numbers[0] else self.language.time.get("written", "dm md")
        ways = {"dm": (one, other), "md": (other, one)}
        days = dict.fromkeys(ways[way] for way in order.split())
        named = [f"{day}d{month}m{year}y" for day, month in days if 0 < day <= 31 and 0 < month <= 12]
        return f" {' '.join(named)} " if named else found[0]

    def find(self, kind: str, words: str) -> Iterator[re.Match[str]]:
        """Every place where the words speak so."""
        for pattern in self.patterns.get(kind, ()):
            yield from pattern.finditer(words)

    def value(self, found: re.Match[str], group: str) -> Any:
        """What the words of this group mean; None where it has none."""
        said = found.groupdict().get(group)
        if said is None:
            return None
        if group in _NUMBERS and (number := _DIGITS.match(said)):
            return int(number[0])
        return self.meaning(said, group)

    def meaning(self, said: str, group: str) -> Any:
        """What these words mean in such a group; None where they mean nothing."""
        return next((value for words, value in self.values[group].items() if words.fullmatch(said)), None)


def time_words(text: str) -> list[TimeWords]:
    """Those of the language a question is in; of all languages where no word tells."""
    codes = languages_of(text) or sorted(languages())
    return [time_words_of(code) for code in codes]


def speaks_of(kind: str, text: str) -> bool:
    """Whether a question speaks of what was (`past`), came `before` or `after`, or changed (`change`)."""
    words = _spaced(text)
    return any(True for one in time_words(text) for _ in one.find(kind, words))


@lru_cache(ASKED_AT_ONCE)
def _spaced(text: str) -> str:
    return words_only(fold(text).translate(letters()).replace("'", " "))


@cache
def time_words_of(code: str) -> TimeWords:
    """One language's; nothing is found by those of a language without a file."""
    language = languages().get(code, UNKNOWN)
    data = language.time
    if not data:
        return TimeWords(language, {}, {})
    values = {group: _meanings(data.get(key, ()), first) for group, key, first in _GROUPS}
    values["unit"] |= values["season"]
    values["day"] = values["day"] or values["n"]
    places = {group: f"(?P<{group}>{_any(words)})" for group, words in values.items()}
    places["n"] = rf"(?P<n>\d{{1,2}}|{_any(values['n'])})"
    ordinals = "|".join(map(_folded, language.ordinals)) or "(?!)"
    places["day"] = rf"(?P<day>\d{{1,2}}(?:{ordinals})?|{_any(values['day'])})"
    places |= {"span": f"(?P<span>{_SIGN})", "until": f"(?P<until>{_SIGN})"}
    edges = data.get("edges", "")
    templates = _PLAIN | {kind: data[kind] for kind in _KINDS if kind in data}
    templates["this_weekday"] = [one.replace("{unit}", "{weekday}") for one in data.get("this", ())]
    return TimeWords(
        language,
        {kind: [_compiled(one, places, edges) for one in said] for kind, said in templates.items()},
        values,
    )


_GROUPS = (
    ("month", "months", 1),
    ("weekday", "weekdays", 0),
    ("n", "numbers", 0),
    ("day", "days", 1),
    ("near", "near", 0),
    ("two", "two", 0),
    ("unit", "units", 0),
    ("season", "seasons", 0),
    ("feast", "feasts", 0),
    ("nth", "nth", -1),
)
_NUMBERS = ("n", "day", "year", "number")
_KINDS = tuple(
    """
    ago ago_one ago_two ago_half ago_and_half before_last last last_year last_night this lately
    weekday weekday_this weekday_last weekday_before_last date day_of_month ordinal_day season month
    early middle late nth_week within between since
    past before after change
    """.split()
)
_PLAIN = {
    **{kind: [f"{{{kind}}}"] for kind in ("month", "weekday", "near", "feast")},
    "year": [f"(?P<year>{YEAR.pattern})"],
    "written": [r"(?P<day>\d{1,2})d(?P<number>\d{1,2})m(?P<year>\d{4})?y"],
    "duration": ["{n} {unit}"],
    "within": ["{span} ?{until}"],
}


def _meanings(said: Mapping[str, str] | Sequence[str], first: int) -> dict[re.Pattern[str], Any]:
    """A table's keys, or the places in a list: months from 1."""
    pairs = said.items() if isinstance(said, Mapping) else enumerate(said, first)
    return {re.compile(_folded(words)): meaning for meaning, words in pairs}


def _any(words: Iterable[re.Pattern[str]]) -> str:
    """Longer ones first: "thirty-one" is not "thirty"."""
    return "|".join(sorted((one.pattern for one in words), key=len, reverse=True)) or "(?!)"


def _compiled(template: str, places: Mapping[str, str], edges: str) -> re.Pattern[str]:
    folded = _folded(template)
    if edges:
        folded = folded.replace(" ", " ?")
    said = _PLACE.sub(lambda found: places[found[1]], folded)
    before = "" if edges == UNSPACED else r"(?<!\S)"
    behind = "" if edges else r"(?!\S)"
    return re.compile(f"{before}(?:{said}){behind}")


def _folded(pattern: str) -> str:
    """A pattern as `spaced` writes words."""
    return fold_pattern(pattern, lambda piece: fold(piece).translate(letters()))
