"""Numbers that a fact may have though they were said otherwise: "half past three" is 15:30."""

import re
from collections import defaultdict
from collections.abc import Iterable

from echoic.memory.text.dates.words import YEAR, time_words_of
from echoic.workers.evidence.operations import When
from echoic.workers.evidence.spoken import Spoken

_CLOCK = re.compile(r"\b(\d{1,2})\s?[:.h時시点]\s?(\d{2})(?!\d)")
_FRACTION = re.compile(r"\b(\d{1,2})[.,](25|5|75)(?!\d)")
NOON, QUARTER = 12, 15
TENS = range(20, 60, 10)


def reckoned(text: str, said: Iterable[str]) -> set[str]:
    """Numbers of a text that are said otherwise: "half past three" is 3:30 or 15:30, "two and a half" 2.5,
    "eighty one" 1981."""
    heard = {int(word) for word in said if word.isdecimal() and len(word) < 3}
    hours = {hour % 24 for number in heard for hour in (number - 1, number, number + 11, number + 12)}
    found = {str(hour) for hour in hours if hour > NOON and hour - NOON in heard}
    for hour, minute in _CLOCK.findall(text):
        # Arabic says 7:30 and 37 alike
        is_joined = int(minute) in TENS and int(hour) % NOON + int(minute) in heard
        if is_joined or (int(hour) in hours and (int(minute) % QUARTER == 0 or 60 - int(minute) in heard)):
            found |= {hour, str(int(hour)), minute, str(int(minute))}
    found |= {year for year in YEAR.findall(text) if int(year[2:]) in heard}
    return found | {part for whole, part in _FRACTION.findall(text) if int(whole) in heard}


def numbers_of(when: When, spoken: Spoken) -> frozenset[str]:
    """The numbers that a fact's dates explain."""
    found: set[str] = set()
    is_month, days = _names_month_alone(when.words, spoken), _days_said(when.words, spoken)
    for moment in (when.begins, when.ends):
        if moment is not None:
            found |= {str(moment.month), str(moment.year), str(moment.year)[2:]}
            is_another = moment.day not in days.get(moment.month, {moment.day})
            found |= set() if is_month or is_another else {str(moment.day)}
            for part in ("hour", "minute"):
                value = getattr(moment, part, None)
                found |= {str(value), f"{value:02}", str(value % 12)} if value is not None else set()
    return frozenset(found)


def _days_said(words: str, spoken: Spoken) -> dict[int, set[int]]:
    """Days of each month that are said with it: "the seventeenth of December" is not the 27th."""
    time, days = time_words_of(spoken.language.code), defaultdict(set)
    for found in time.find("date", time.words(words)):
        days[time.value(found, "month")].add(time.value(found, "day"))
    return days


def _names_month_alone(words: str, spoken: Spoken) -> bool:
    """ "In January" has no day, whatever date a model gives it."""
    time = time_words_of(spoken.language.code)
    told = time.words(words)
    if any(map(str.isdecimal, told)) or not any(time.find("month", told)):
        return False
    return not (any(time.find("weekday", told)) or any(time.find("near", told)))
