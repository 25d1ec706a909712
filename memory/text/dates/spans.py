"""The spans of time that words name, in one language: "the end of August", "from Monday to Wednesday".

First what names a time by itself is found (a month, "two weeks ago", a feast), the longest first; each is
then a sign in the words, and what is said about signs makes new ones of them: a part of one, one within
another, from one to another, since one. How a language says so stands in `[time]` of its file.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import islice
from typing import Any, Literal

from echoic.memory.text.dates.feasts import feast_in
from echoic.memory.text.dates.words import FIRST_SIGN, MOST_SIGNS, TimeWords
from echoic.memory.text.words import MOST_SPELLED

Recurs = Literal["", "week", "month", "year"]
_SPOKEN_YEAR = re.compile(r"(?<!\S)(?:19 [5-9]|20 [0-4])\d(?!\S)")
"""1950 to 2049 as they are said: "twenty twenty four" has become "20 24"."""
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}
"""The month in which each begins, in the north."""
_SEASON_MONTHS = 3
_LEAP_YEAR = 2024  # has every day that any year has
_OTHER_ORDINALS = 3
MOST_ATOMS = 500
"""Times that are looked at: a text with more of them asks about none."""
_FEW = {"day": 5, "week": 3, "weekend": 3, "month": 3, "year": 3}
"""How far back "the last few" reach."""
_NAMED_BY = {
    "month": "month",
    "weekday": "weekday",
    "season": "season",
    "day_of_month": "day",
    "ordinal_day": "day",
}
"""The group that names the span, where a pattern also has what stands before it: "since the 12th"."""
_COUNTED = (("ago_two", 2), ("ago", None), ("ago_one", 1), ("before_last", 2), ("last", 1), ("this", 0))
"""How many units back; None: so many as are said."""
_ONE_UNIT = ("before_last", "last", "this")
"""Of one, Polish "lata" is a summer; of several it is years."""


@dataclass(frozen=True, slots=True)
class Span:
    """Days, the first and the last included."""

    first: date
    last: date
    recurs: Recurs = ""
    """Of "Tuesday", "the 12th", "May": in which there is one each. It is the last that has begun."""
    by_month: bool = True
    """Whether a month, or what has months, is named; else days or a week."""
    is_open: bool = False
    """ "Since": up to today."""
    feast: str = ""
    """Its days, as the language's file has them: they move from year to year."""

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


def spans(said: TimeWords, text: str, today: date) -> list[Span]:
    """What a text names, in its order."""
    words, found = _with_signs(
        said, _SPOKEN_YEAR.sub(_as_year, said.words(text)[-MOST_SPELLED * len(text) :]), today
    )
    if found:
        words = _composed(said, words, found, today)
    signs = {chr(FIRST_SIGN + place): span for place, span in enumerate(found)}
    return [signs[one] for one in words if one in signs]


def _as_year(found: re.Match[str]) -> str:
    return found[0].replace(" ", "")


def _with_signs(said: TimeWords, words: str, today: date) -> tuple[str, list[Span]]:
    """The words with a sign for each span that is named by itself; the longest count."""
    places: list[tuple[int, int, Span | None]] = []
    atoms = islice(_atoms(said, words, today), MOST_ATOMS)
    for _, start, end, span in sorted(atoms, key=lambda one: -one[0]):
        if len(places) < MOST_SIGNS and all(end <= begun or ended <= start for begun, ended, _ in places):
            places.append((start, end, span))
    named = [(start, end, span) for start, end, span in places if span is not None]
    named.sort(key=lambda one: one[0])
    for number, (start, end, _) in reversed(list(enumerate(named))):
        words = f"{words[:start]}{chr(FIRST_SIGN + number)}{words[end:]}"
    return words, [span for _, _, span in named]


def _atoms(said: TimeWords, words: str, today: date) -> Iterator[tuple[int, int, int, Span | None]]:
    """How long each is with what stands before it, where it begins and ends, and what it names."""
    for kind, read in _ATOMS:
        for found in said.find(kind, words):
            named = {group: said.value(found, group) for group in found.groupdict()}
            if "unit" in named and kind in _ONE_UNIT:
                named["season"] = said.meaning(found["unit"], "season")
            span = read(named, today)
            if span is not None or kind == "duration":
                yield len(found[0]), *found.span(_NAMED_BY.get(kind, 0)), span


def _month(named: Mapping[str, Any], today: date) -> Span:
    return _months(today.year - (named["month"] > today.month), named["month"], 1, recurs="year")


def _date(named: Mapping[str, Any], today: date) -> Span | None:
    month, day = named["month"], named["day"] or 0
    if not 1 <= day <= monthrange(_LEAP_YEAR, month)[1]:
        return _month(named, today)
    year = today.year - ((month, day) > (today.month, today.day))
    while day > monthrange(year, month)[1]:
        year -= 1
    return Span(date(year, month, day), date(year, month, day), recurs="year")


def _written(named: Mapping[str, Any], today: date) -> Span | None:
    """ "12.11.", with a year or without."""
    day = _date({"month": named["number"], "day": named["day"]}, today)
    return day and (replace(_in_year(day, named["year"]) or day, recurs="") if named["year"] else day)


def _season(named: Mapping[str, Any], today: date) -> Span:
    begins = _SEASONS[named["season"]]
    return _months(today.year - (begins > today.month), begins, _SEASON_MONTHS, recurs="year")


def _feast(named: Mapping[str, Any], today: date) -> Span | None:
    for year in (today.year, today.year - 1):
        days = feast_in(year, named["feast"])
        if days is not None and days[0] <= today:
            return Span(*days, recurs="year", feast=named["feast"])
    return None


def _weekday(named: Mapping[str, Any], today: date) -> Span:
    day = today - timedelta(days=(today.weekday() - named["weekday"] - 1) % 7 + 1)
    return Span(day, day, recurs="week", by_month=False)


def _weekday_of_week(weeks: int) -> Callable[[Mapping[str, Any], date], Span | None]:
    """ "上周二" is one word for the Tuesday of last week."""

    def read(named: Mapping[str, Any], today: date) -> Span | None:
        week = _back("week", weeks, today)
        return week and _days(week.first + timedelta(days=named["weekday"]), 1)

    return read


def _day_of_month(named: Mapping[str, Any], today: date) -> Span | None:
    day = named["day"] or 0
    first = today.replace(day=1)
    for _ in range(3):  # of three months in a row one has 31 days
        if 1 <= day <= monthrange(first.year, first.month)[1] and first.replace(day=day) <= today:
            return Span(first.replace(day=day), first.replace(day=day), recurs="month", by_month=False)
        first = (first - timedelta(days=1)).replace(day=1)
    return None


def _ordinal_day(named: Mapping[str, Any], today: date) -> Span | None:
    """ "On the 12th"; the first, second and third are mostly of something else: a time, a floor, a wife."""
    return None if (named["day"] or 0) <= _OTHER_ORDINALS else _day_of_month(named, today)


def _near(named: Mapping[str, Any], today: date) -> Span:
    return _days(today - timedelta(days=named["near"]), 1)


def _last_night(_: Mapping[str, Any], today: date) -> Span:
    return _days(today - timedelta(days=1), 2)


def _year(named: Mapping[str, Any], _: date) -> Span:
    return Span(date(named["year"], 1, 1), date(named["year"], 12, 31))


def _half_a_year(named: Mapping[str, Any], today: date) -> Span | None:
    """Half a year ago, or so many years and a half."""
    return _back("month", 12 * (named.get("n") or 0) + 6, today)


def _lately(named: Mapping[str, Any], today: date) -> Span | None:
    """ "The last three weeks", "the last few days"."""
    unit = named.get("unit") or "day"
    first = _back(unit, named.get("n") or _FEW.get(unit, 1), today)
    return first and replace(first, last=today)


def _counted(count: int | None) -> Callable[[Mapping[str, Any], date], Span | None]:
    def read(named: Mapping[str, Any], today: date) -> Span | None:
        unit = named.get("season") or named.get("unit") or named.get("two")
        back = named.get("n") if count is None else count
        return None if unit is None or back is None else _back(unit, back, today)

    return read


_ATOMS: tuple[tuple[str, Callable[[Mapping[str, Any], date], Span | None]], ...] = (
    ("lately", _lately),
    *((kind, _counted(count)) for kind, count in _COUNTED),
    ("last_year", lambda _, today: _back("year", 1, today)),
    ("ago_half", _half_a_year),
    ("ago_and_half", lambda named, today: _half_a_year({"n": named.get("n") or 1}, today)),
    ("written", _written),
    ("date", _date),
    ("feast", _feast),
    ("last_night", _last_night),
    ("season", _season),
    ("near", _near),
    ("weekday_this", _weekday_of_week(0)),
    ("weekday_last", _weekday_of_week(1)),
    ("weekday_before_last", _weekday_of_week(2)),
    ("weekday", _weekday),
    ("day_of_month", _day_of_month),
    ("ordinal_day", _ordinal_day),
    ("month", _month),
    ("year", _year),
    ("duration", lambda _, __: None),
)
"""Of two that are as long the first counts. "Three years" alone names none, nor does a part of it."""


def _back(unit: str, count: int, today: date) -> Span | None:
    monday = today - timedelta(days=today.weekday())
    try:
        if unit == "day":
            return _days(today - timedelta(days=count), 1)
        if unit == "week":
            return _days(monday - timedelta(weeks=count), 7)
        if unit == "weekend":
            return _days(monday - timedelta(weeks=count) + timedelta(days=5), 2)
        if unit == "year":
            return Span(date(today.year - count, 1, 1), date(today.year - count, 12, 31))
        if unit == "month":
            return _months(today.year, today.month - count, 1)
    except (ValueError, OverflowError):  # before year 1
        return None
    ended = 0 if count == 0 else _SEASON_MONTHS  # the last one is over
    since = (today.month - ended - _SEASONS[unit]) % 12 + ended + 12 * max(count - 1, 0)
    return _months(today.year, today.month - since, _SEASON_MONTHS)


def _days(first: date, count: int) -> Span:
    return Span(first, first + timedelta(days=count - 1), by_month=False)


def _months(year: int, month: int, count: int, recurs: Recurs = "") -> Span:
    """Whole months from one, which may be numbered past a year's end or before its beginning."""
    first, last = year * 12 + month - 1, year * 12 + month + count - 2
    return Span(
        date(first // 12, first % 12 + 1, 1),
        date(last // 12, last % 12 + 1, monthrange(last // 12, last % 12 + 1)[1]),
        recurs,
    )


def _composed(said: TimeWords, words: str, found: list[Span], today: date) -> str:
    """The words with one sign for what several say; their spans are added."""
    while len(found) < MOST_SIGNS:
        made = next(_statements(said, words, found, today), None)
        if made is None:
            break
        match, span = made
        words = f"{words[: match.start()]}{chr(FIRST_SIGN + len(found))}{words[match.end() :]}"
        found.append(span)
    return words


def _statements(
    said: TimeWords, words: str, found: Sequence[Span], today: date
) -> Iterator[tuple[re.Match[str], Span]]:
    for kind, read in _ABOUT_SIGNS:
        for match in said.find(kind, words):
            signs = [sign for group, sign in match.groupdict().items() if group in ("span", "until")]
            span = read(said, match, [found[ord(sign) - FIRST_SIGN] for sign in signs], today)
            if span is not None:
                yield match, span


def _part(which: int) -> Callable[..., Span | None]:
    """A third of a month, the first or last two months of a year; days and weeks have none."""

    def read(_: TimeWords, __: re.Match[str], signs: Sequence[Span], ___: date) -> Span | None:
        (whole,) = signs
        if whole.is_open or not whole.by_month or whole.days < 3:
            return None
        if whole.days > 300:
            begins, count = ((1, 2), (5, 4), (11, 2))[which]
            return _months(whole.first.year, begins, count)
        third = max(whole.days // 3, 1)
        first = whole.first + timedelta(days=third * which)
        last = whole.last if which == 2 else first + timedelta(days=third - 1)
        return replace(whole, first=first, last=last)

    return read


def _week_of(said: TimeWords, match: re.Match[str], signs: Sequence[Span], _: date) -> Span | None:
    """ "The first week of October"; -1 is the last."""
    (month,), place = signs, said.value(match, "nth")
    if month.is_open or not 28 <= month.days <= 31:
        return None
    if place < 0:
        return replace(month, first=month.last - timedelta(days=6))
    first = month.first + timedelta(weeks=place)
    return replace(month, first=first, last=min(first + timedelta(days=6), month.last))


def _within(_: TimeWords, __: re.Match[str], signs: Sequence[Span], ___: date) -> Span | None:
    """One that recurs, in a span that says which: "Tuesday of last week", "March 2024"."""
    one, other = signs if signs[0].recurs else reversed(signs)
    if not one.recurs or other.recurs or one.is_open or other.is_open:
        return None
    if one.recurs == "week" and other.days <= 7:
        day = other.first + timedelta(days=(one.first.weekday() - other.first.weekday()) % 7)
        return _days(day, 1) if day <= other.last else None
    if one.recurs == "month" and other.by_month and other.first.month == other.last.month:
        number = one.first.day
        return _days(other.first.replace(day=number), 1) if number <= other.last.day else None
    if one.recurs == "year" and other.days > 300 and other.first.year == other.last.year:
        return _in_year(one, other.first.year)
    return None


def _in_year(one: Span, year: int) -> Span | None:
    if one.feast:
        days = feast_in(year, one.feast)
        return days and Span(*days)
    try:
        first = one.first.replace(year=year)
    except ValueError:  # 29 February
        return None
    return Span(first, first + timedelta(days=one.days - 1))


def _between(_: TimeWords, __: re.Match[str], signs: Sequence[Span], ___: date) -> Span | None:
    """From one to another; what recurs is the one before."""
    one, other = signs
    if one.is_open or other.is_open:
        return None
    if one.recurs == "year" and not other.recurs:
        one = _before(one, other) or one
    elif one.recurs == "month" and other.recurs == "year" and other.days == 1:
        # "from the 13th to the 15th of May"
        one = replace(other, first=other.first.replace(day=min(one.first.day, other.first.day)))
    if one.first > other.last and one.recurs:
        one = _earlier(one, other.last)
    if one.first > other.last:
        return None
    recurs = one.recurs if one.recurs == other.recurs == "year" else ""
    return Span(one.first, other.last, recurs, by_month=one.by_month or other.by_month)


def _before(one: Span, other: Span) -> Span | None:
    """In the year of the other, or in the one before: "from December to March 2026"."""
    found = (_in_year(one, year) for year in (other.first.year, other.first.year - 1))
    return next((span for span in found if span is not None and span.first <= other.last), None)


def _earlier(one: Span, than: date) -> Span:
    """The one before, that began by then."""
    if one.recurs == "week":
        return _days(one.first - timedelta(weeks=-(-(one.first - than).days // 7)), 1)
    if one.recurs == "month":
        return _days((one.first.replace(day=1) - timedelta(days=1)).replace(day=min(one.first.day, 28)), 1)
    return replace(_in_year(one, one.first.year - 1) or one, recurs="year")


def _since(_: TimeWords, __: re.Match[str], signs: Sequence[Span], today: date) -> Span | None:
    (one,) = signs
    if one.is_open or one.first > today:
        return None
    return Span(one.first, today, by_month=one.by_month, is_open=True)


_ABOUT_SIGNS: tuple[tuple[str, Callable[..., Span | None]], ...] = (
    ("nth_week", _week_of),
    ("early", _part(0)),
    ("middle", _part(1)),
    ("late", _part(2)),
    ("within", _within),
    ("between", _between),
    ("since", _since),
)
