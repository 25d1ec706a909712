"""When a feast is: on days of the calendar, counted from Easter, or by the moon (feasts.toml)."""

import re
import tomllib
from datetime import date, timedelta
from functools import cache
from pathlib import Path

from dateutil.easter import EASTER_ORTHODOX, EASTER_WESTERN, easter

_DAY = re.compile(r"(?P<month>\d\d)-(?P<day>\d\d)|(?P<anchor>[a-z_]+)(?P<after>[+-]\d+)?")
_EASTER = {"easter": EASTER_WESTERN, "orthodox_easter": EASTER_ORTHODOX}


def feast_in(year: int, days: str) -> tuple[date, date] | None:
    """The first and the last day of a feast that begins in this year: of "12-24/12-26", "easter-2/easter+1".

    None: it is not known.
    """
    first, _, last = days.partition("/")
    begins, ends = _day_of(year, first), _day_of(year, last or first)
    if begins is None or ends is None:
        return None
    return begins, ends if begins <= ends else ends.replace(year=year + 1)


def _day_of(year: int, said: str) -> date | None:
    found = _DAY.fullmatch(said)
    if found is None:
        return None
    if found["month"]:
        return date(year, int(found["month"]), int(found["day"]))
    if found["anchor"] in _EASTER:
        anchor: date | None = easter(year, _EASTER[found["anchor"]])
    else:
        anchor = next((day for day in _by_the_moon()[found["anchor"]] if day.year == year), None)
    return anchor and anchor + timedelta(days=int(found["after"] or 0))


@cache
def _by_the_moon() -> dict[str, list[date]]:
    return tomllib.loads((Path(__file__).parent / "feasts.toml").read_text(encoding="utf-8"))
