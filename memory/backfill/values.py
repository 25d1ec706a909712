"""Values as exports write them, as ours: times, roles, and whose a record is."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from echoic.memory.backfill.entries import Given, Record, Unusable
from echoic.memory.chat.dates import date_in
from echoic.memory.errors import ConfigInvalid
from echoic.memory.identity.ids import check_user_id
from echoic.memory.types import Role

ROLES: dict[str, Role] = {
    **dict.fromkeys(("user", "human", "customer", "caller", "client", "inbound"), "user"),
    **dict.fromkeys(("assistant", "agent", "bot", "ai", "model", "outbound"), "assistant"),
}
"""What exports call who speaks; these are names of fields, not words of a language."""
UNSPOKEN = ("system", "developer", "tool", "function", "node", "dtmf")
"""Beginnings of the roles of what nobody said aloud."""
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)


def find(record: Any, *paths: str) -> Any:
    """The first of these fields that holds something; `a.b` is `b` in `a`."""
    for path in paths:
        value = record
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value not in (None, "", [], {}):
            return value
    return None


def when(value: Any, given: Given) -> datetime:
    """A date, however the export writes it.

    Raises:
        Unusable: it is none, or none between 1970 and now.
    """
    found = date_in(value)
    if found is None:
        raise Unusable("it has no date" if value in (None, "") else "its date cannot be read")
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(given.timezone))
    if not EARLIEST <= found.astimezone(UTC) <= datetime.now(UTC) + timedelta(days=1):
        raise Unusable("its date is not between 1970 and now")
    return found.astimezone(UTC)


def role_of(name: Any) -> Role | None:
    """Who spoke; None: nobody aloud.

    Raises:
        Unusable: nobody knows such a role.
    """
    role = str(name or "").strip().lower()
    if role.startswith(UNSPOKEN):
        return None
    if (found := ROLES.get(role)) is None:
        raise Unusable("its role is unknown")
    return found


def whose(record: Record, given: Given, *, ids: Sequence[str] = (), numbers: Sequence[str] = ()) -> str:
    """The user id of a record: what it names, or who calls from the number that it names, or who was given.

    Raises:
        Unusable: none of these is there.
    """
    named, number = find(record, *ids), find(record, *numbers)
    user_id = str(named) if isinstance(named, str | int) else ""
    if not user_id and number is not None:
        user_id = given.phone_user(str(number).removeprefix("whatsapp:").strip()) or ""
    if not user_id and not given.user_id:
        raise Unusable(
            "its number is no subscriber's" if number else "it names nobody, and no --user is given"
        )
    try:
        check_user_id(user_id or given.user_id)
    except ConfigInvalid:
        raise Unusable("its user id is none") from None
    return user_id or given.user_id


def call_of_day(prefix: str, user_id: str, at: datetime) -> str:
    """The call id of what a person said on a day, where the export names no conversation."""
    return f"{prefix}{at.date()}.{sha256(user_id.encode()).hexdigest()[:8]}"


def text_of(value: Any) -> str:
    """Words of a message: a text, or a list of parts of which some are text."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        parts = (part if isinstance(part, str) else find(part, "text", "content") for part in value)
        return " ".join(part.strip() for part in parts if isinstance(part, str))
    return ""
