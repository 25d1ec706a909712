"""A turn as a line of a spool file, with a checksum, and back.

What cannot be read back is kept byte by byte, with the reason, and with the person whose it seems to be.
"""

import json
import re
import zlib
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from echoic.memory.types import Turn

CHANGED = "cut off, or changed on the disk"
OTHER_VERSION = "written by another version of Echoic: it has fields that this one does not know"
NO_TURN = "a value in it is no part of a turn"

YEARS = range(1900, 2200)
"""Beyond them Postgres, Python or an addition of a few days goes wrong."""
MOST_POSITION = 2**31 - 1
_USER = re.compile(rb'"user_id": ?("(?:[^"\\]|\\.)*")')
_FIELDS = frozenset(field.name for field in fields(Turn))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a spool file."""

    raw: bytes
    """Without its line feed."""
    user_id: str = ""
    """Whose it is, or seems to be; empty when that cannot be seen."""
    turn: Turn | None = None
    problem: str = ""
    """Why it holds no turn."""


def line_of(turn: Turn) -> bytes:
    """The turn's line, with its line feed."""
    told = {name: value for name, value in asdict(turn).items() if value is not None}
    told |= {name: value.isoformat() for name, value in told.items() if hasattr(value, "isoformat")}
    body = json.dumps(told | {"turn_id": str(turn.turn_id)}, ensure_ascii=True)
    return f"{zlib.crc32(body.encode()):08x} {body}\n".encode()


def lines_in(content: bytes) -> list[Line]:
    """Every line of a file, the damaged ones too."""
    return [read_line(raw) for raw in content.split(b"\n") if raw]


def read_line(raw: bytes) -> Line:
    """What a line holds; nothing that stands in it raises."""
    crc, _, body = raw.partition(b" ")
    if crc != b"%08x" % zlib.crc32(body):
        return Line(raw, _user_in(raw), problem=CHANGED)
    try:
        told = json.loads(body)
        if set(told) - _FIELDS:
            return Line(raw, _user_in(raw), problem=OTHER_VERSION)
        turn = _turn(told)
    except Exception:  # whatever it is that Python makes of bytes
        return Line(raw, _user_in(raw), problem=NO_TURN)
    return Line(raw, turn.user_id, turn)


@cache
def _adapter() -> TypeAdapter[Turn]:
    return TypeAdapter(Turn)


def _turn(told: dict[str, Any]) -> Turn:
    turn = _adapter().validate_python(told)
    for when in filter(None, (turn.said_at, turn.heard_at)):
        if when.tzinfo is None or when.year not in YEARS:
            raise ValueError("a time without a zone, or too far away")
    if not 0 <= turn.position <= MOST_POSITION:
        raise ValueError("no position")
    return turn


def _user_in(raw: bytes) -> str:
    found = _USER.search(raw)
    try:
        return str(json.loads(found[1])) if found else ""
    except ValueError:
        return ""
