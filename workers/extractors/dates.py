"""Dates in spoken English: "yesterday" becomes a date before a model reads it, and a fact's dates become when
it was true.

Small models copy a date well and compute one badly; a fact that says "yesterday" is worthless a week later.
Other languages pass through untouched: the prompt says when the words were said.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

_MONTHS = "january february march april may june july august september october november december".split()
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_NUMBERS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
}
_NUMBERS |= {"a": 1, "an": 1, "a couple of": 2, "couple of": 2, "a few": 3}
_COUNT = (
    r"(?P<count>\d{1,3}|an?(?: couple of| few)?|couple "
    r"of|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
)
_UNIT = r"(?P<unit>day|week|month|year)s?"
_DAY = "|".join(_WEEKDAYS)
_MONTH = "|".join(_MONTHS)
# Enough to tell "I broke it on Sunday" from "I fly on Sunday"; a wrong guess costs a week.
_PAST = re.compile(
    r"\b(?:was|were|had|did|didn't|went|came|got|met|saw|broke|bought|lost|left|moved|started|took|told|said|gave|found|fell|won|ran|\w{3,}ed)\b",
    re.IGNORECASE,
)


def spoken(day: date) -> str:
    """A date as it stands in facts: "12 November 2026"."""
    return f"{day.day} {_MONTHS[day.month - 1].capitalize()} {day.year}"


def resolve(text: str, said_on: date) -> str:
    """`text` with each relative date replaced by the date it meant on the day it was said."""
    return "".join(_resolve_sentence(sentence, said_on) for sentence in re.split(r"(?<=[.!?;])(?=\s)", text))


def validity(text: str, said_at: datetime) -> tuple[datetime | None, datetime | None]:
    """When a fact became true and when it stops, as far as its dates (as `resolve` writes them) say so.

    "since 2019" and the one past date of a fact are a beginning; "until 31 January 2027" is an end, that day
    included.
    """
    begins = ends = None
    if match := re.search(rf"\bsince (?:the )?({_STATED})", text, re.IGNORECASE):
        begins = _first_day(match[1])
    if match := re.search(rf"\b(?:until|till) (?:the )?(?:end of )?({_STATED})", text, re.IGNORECASE):
        ends = _after(match[1])
    days = re.findall(_STATED, text, re.IGNORECASE)
    if begins is None and ends is None and len(days) == 1:
        begins = _first_day(days[0])
    return _past_only(begins, said_at), _midnight(ends)


def stated_dates(text: str) -> list[str]:
    """The dates that stand in a text, each with its preposition: "on 12 November 2026", "in 2025"."""
    return [match[0] for match in _DATED.finditer(text)]


_STATED = rf"(?:(?:\d{{1,2}} )?(?:{_MONTH}) \d{{4}}|(?<![\d.])(?:19|20)\d\d(?![\d%]))"

_DATED = re.compile(
    rf"\b(?:on|in|around)(?: the (?:evening|week|weekend) of)?(?: (?:{_DAY}))? {_STATED}", re.IGNORECASE
)


def _resolve_sentence(sentence: str, today: date) -> str:
    past = _PAST.search(sentence) is not None
    for pattern, meant in _EXPRESSIONS:
        sentence = pattern.sub(lambda match, meant=meant: meant(match, today, past), sentence)  # type: ignore[misc]
    return sentence


def _ago(match: re.Match, today: date, past: bool) -> str:
    return _distance(match, today, -1)


def _ahead(match: re.Match, today: date, past: bool) -> str:
    return _distance(match, today, 1)


def _distance(match: re.Match, today: date, sign: int) -> str:
    words, unit = match["count"].lower(), match["unit"].lower()
    count = sign * (int(words) if words.isdigit() else _NUMBERS[words])
    if unit == "day":
        return f"on {spoken(today + timedelta(days=count))}"
    if unit == "week":
        return f"around {spoken(today + timedelta(weeks=count))}"
    if unit == "month":
        return _month(today, count)
    return f"in {today.year + count}"


def _month(today: date, count: int) -> str:
    year, month = divmod(today.year * 12 + today.month - 1 + count, 12)
    return f"in {_MONTHS[month].capitalize()} {year}"


def _weekday(match: re.Match, today: date, past: bool) -> str:
    which = (match["which"] or "").lower()
    ahead = (_WEEKDAYS.index(match["day"].lower()) - today.weekday()) % 7
    backwards = which == "last" or (past and which not in ("next", "this", "coming"))
    days = (ahead or 7) - 7 if backwards and ahead else (-7 if backwards else (ahead or 7))
    return f"on {match['day'].capitalize()} {spoken(today + timedelta(days=days))}"


def _year_of_month(match: re.Match, today: date, past: bool) -> str:
    month = _MONTHS.index(match["month"].lower()) + 1
    year = today.year + (month < today.month)
    return f"{match['before']}{match['month'].capitalize()} {year}"


def _fixed(days: int, form: str = "on {}") -> Callable[[re.Match, date, bool], str]:
    return lambda _match, today, _past: form.format(spoken(today + timedelta(days=days)))


def _period(unit: str, count: int) -> Callable[[re.Match, date, bool], str]:
    if unit == "week":
        return lambda _match, today, _past: (
            f"in the week of {spoken(today - timedelta(days=today.weekday()) + timedelta(weeks=count))}"
        )
    if unit == "month":
        return lambda _match, today, _past: _month(today, count)
    return lambda _match, today, _past: f"in {today.year + count}"


def _weekend(match: re.Match, today: date, past: bool) -> str:
    which = match["which"].lower()
    saturday = today + timedelta(days=(5 - today.weekday()) % 7)
    if which == "last":
        saturday -= timedelta(weeks=1)
    return f"on the weekend of {spoken(saturday)}"


_EXPRESSIONS: list[tuple[re.Pattern, Callable[[re.Match, date, bool], str]]] = [
    (re.compile(pattern, re.IGNORECASE), meant)
    for pattern, meant in [
        (r"\b(?:on )?the day before yesterday\b", _fixed(-2)),
        (r"\b(?:on )?the day after tomorrow\b", _fixed(2)),
        (r"\blast night\b|\byesterday (?:evening|night)\b", _fixed(-1, "on the evening of {}")),
        (r"\byesterday(?: morning| afternoon)?\b", _fixed(-1)),
        (r"\btomorrow(?: morning| afternoon| evening| night)?\b", _fixed(1)),
        (r"\b(?:earlier )?today\b|\bthis (?:morning|afternoon|evening)\b|\btonight\b", _fixed(0)),
        (rf"\b(?:about |around )?{_COUNT} {_UNIT} ago\b", _ago),
        (rf"\bin (?:about )?{_COUNT} {_UNIT}(?:'? time)?\b(?! old)", _ahead),
        (r"\b(?:on |over )?(?:the )?(?P<which>last|this|next) weekend\b", _weekend),
        (
            rf"\b(?:(?:on )?(?P<which>last|this|next|this coming|coming) |on )(?P<day>{_DAY})\b(?! the)(?! "
            rf"\d)",
            None,
        ),
        (r"\blast week\b", _period("week", -1)),
        (r"\bthis week\b", _period("week", 0)),
        (r"\bnext week\b", _period("week", 1)),
        (r"\blast month\b", _period("month", -1)),
        (r"\bthis month\b", _period("month", 0)),
        (r"\bnext month\b", _period("month", 1)),
        (r"\blast year\b", _period("year", -1)),
        (r"\bthis year\b", _period("year", 0)),
        (r"\bnext year\b", _period("year", 1)),
        (
            r"\b(?P<before>(?:until|till|by) (?:the )?(?:(?:beginning|start|middle|end) of "
            rf")?)(?P<month>{_MONTH})\b(?! \d{{4}})",
            _year_of_month,
        ),
    ]
    for meant in [meant or _weekday]
]


def _first_day(words: str) -> date | None:
    return _bounds(words)[0]


def _after(words: str) -> date | None:
    return _bounds(words)[1]


def _bounds(words: str) -> tuple[date | None, date | None]:
    """First day of a stated date, month or year, and the day after its last."""
    *before, year_word = words.split()
    year = int(year_word)
    if not before:
        return date(year, 1, 1), date(year + 1, 1, 1)
    month = _MONTHS.index(before[-1].lower()) + 1
    if len(before) == 1:
        return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
    try:
        day = date(year, month, int(before[0]))
    except ValueError:  # 31 February
        return None, None
    return day, day + timedelta(days=1)


def _past_only(day: date | None, said_at: datetime) -> datetime | None:
    when = _midnight(day)
    return when if when is not None and when <= said_at else None


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
