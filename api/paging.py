"""Pages by cursor: opaque, and bound to the list that it came from. One that was made up is refused."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Query

from echoic.api.problems import Problem
from echoic.memory.text.words import clean

T = TypeVar("T")
MOST = 200
Limit = Annotated[int, Query(ge=1, le=MOST, description="Most items of a page.")]
CursorText = Annotated[
    str | None, Query(max_length=2_000, description="`next` of the page before; opaque.", examples=[None])
]
BIGGEST = 2**63


def cursor_of(kind: str, *values: object) -> str:
    """A place in a list of this kind."""
    plain = [_plain(value) for value in values]
    return base64.urlsafe_b64encode(json.dumps([kind, *plain]).encode()).decode().rstrip("=")


def read_cursor(kind: str, text: str | None, *types: type) -> tuple[Any, ...] | None:
    """The values of a cursor; None: there is none.

    Raises:
        Problem: it is not of this kind of list.
    """
    if text is None:
        return None
    try:
        found, *values = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
        if found != kind:
            raise ValueError(kind)
        return tuple(_read(value, wanted) for value, wanted in zip(values, types, strict=True))
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error) as exc:
        raise Problem(400, "cursor-invalid", "This cursor is not of this list: begin without one.") from exc


def cut(items: Sequence[T], limit: int, place: Callable[[T], str]) -> tuple[list[T], str | None]:
    """A page and the cursor of the next, from one item more than the page holds."""
    page = list(items[:limit])
    return page, place(page[-1]) if len(items) > limit else None


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _read(value: Any, wanted: type[Any]) -> Any:
    if wanted is UUID:
        return UUID(value)
    if wanted is datetime:
        when = datetime.fromisoformat(value)
        if when.tzinfo is None:
            raise ValueError("no time zone")
        return when
    fits = type(value) is wanted and (abs(value) < BIGGEST if wanted is int else clean(value) == value)
    if not fits:
        raise ValueError(wanted)
    return value
