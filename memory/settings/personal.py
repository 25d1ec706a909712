"""What one person has chosen: whether they are remembered, for how long, in which language and time zone."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, Protocol
from zoneinfo import available_timezones

from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.store.consent import Consent
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.types import Caller

MOST_DAYS = 36_500
MOST_TAG_CHARS = 35
"""The longest language tag that RFC 5646 4.4.1 asks anybody to hold."""
NO_PLACES = {"localtime", "posixrules", "Factory"}
"""Files of one machine, or of none, beside the zones."""
_TAG = re.compile(
    r"[a-z]{2,3}(-[a-z]{3}){0,3}(-[a-z]{4})?(-([a-z]{2}|\d{3}))?(-([a-z\d]{5,8}|\d[a-z\d]{3}))*"
    r"(-[a-wyz\d](-[a-z\d]{2,8})+)*(-x(-[a-z\d]{1,8})+)?",
    re.IGNORECASE | re.ASCII,
)


class SettingsChanged(MemoryFault):
    """Somebody changed these settings meanwhile: read them again."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What one person has chosen; None: nothing, and what the system's settings say counts."""

    memory: bool = True
    """False: nothing is kept, and nothing is recalled."""
    consent: Consent = "unknown"
    """Whether what they say is kept, as they said it in a call or chose it here."""
    retention_days: int | None = None
    language: str | None = None
    """A BCP 47 tag, such as `de-AT`."""
    timezone: str | None = None
    """An IANA name."""

    @property
    def version(self) -> str:
        """Changes with every change."""
        return hashlib.sha256(repr(asdict(self)).encode()).hexdigest()[:16]

    def applied_to(self, caller: Caller) -> Caller:
        """The caller in the time zone that they chose: it counts before whatever else says where they are."""
        return replace(caller, timezone=self.timezone, timezone_known=True) if self.timezone else caller

    @property
    def language_code(self) -> str:
        """ISO 639-1, as the language files are called; empty where none was chosen."""
        return (self.language or "").partition("-")[0].lower()


class ReadsChoices(Protocol):
    """What a call needs of it."""

    async def read(self, user_id: str) -> Choices: ...


class NoChoices:
    """Where there is no store to keep them in."""

    async def read(self, user_id: str) -> Choices:
        return Choices()


class PersonalStore:
    """The choices of every person; erased and exported with them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self, user_id: str) -> Choices:
        """What this person has chosen.

        Raises:
            StoreUnavailable: Postgres did not answer.
        """

        async def read(connection: Connection) -> Choices:
            return await _read(connection, "read_choices", user_id)

        return await self._db.run(read)

    async def change(self, user_id: str, fields: Mapping[str, Any], *, version: str) -> Choices:
        """Change some of them; a running call of theirs hears of it with the next one, except that nothing
        said after `memory` or `consent` was turned off is kept.

        Raises:
            SettingsChanged: they are not what `version` says any more.
            ConfigInvalid: what is wanted does not go together.
            StoreUnavailable: nothing is changed.
        """

        async def change(connection: Connection) -> Choices:
            await connection.execute(query("lock_user_shared"), user_id)
            await connection.execute(query("begin_choices"), user_id)
            before = await _read(connection, "hold_choices", user_id)
            if before.version != version:
                raise SettingsChanged
            wanted = together(before, fields)
            rest = wanted.retention_days, wanted.language, wanted.timezone
            await connection.execute(query("write_choices"), user_id, wanted.memory, *rest)
            if wanted.consent != before.consent:
                await connection.execute(query("write_consent"), user_id, wanted.consent == "on")
            return wanted

        return await self._db.transaction(change)


def together(before: Choices, fields: Mapping[str, Any]) -> Choices:
    """The choices with some of them changed; memory that is off keeps nothing, and turned on again it does.

    Raises:
        ConfigInvalid: both are wanted at once.
    """
    wanted = replace(before, **fields)
    if fields.get("memory") is False and fields.get("consent", "off") == "off":
        return replace(wanted, consent="off")
    if fields.get("memory") is True and not before.memory and "consent" not in fields:
        return replace(wanted, consent="on")
    if wanted.consent == "on" and not wanted.memory:
        raise ConfigInvalid("Memory that is off keeps nothing: turn `memory` on to be remembered.")
    return wanted


def known_zone(name: str) -> str:
    """The name, if it is one of the IANA's; raises ValueError otherwise."""
    if name not in _zones():
        raise ValueError("no IANA time zone, such as Europe/Lisbon")
    return name


def language_tag(tag: str) -> str:
    """A BCP 47 tag, written as RFC 5646 2.1.1 has it; raises ValueError for one that is none."""
    if len(tag) > MOST_TAG_CHARS or not _TAG.fullmatch(tag):
        raise ValueError("no BCP 47 language tag, such as de or pt-BR")
    first, *rest = tag.lower().split("-")
    return "-".join([first, *(_written(rest, place) for place in range(len(rest)))])


def _written(parts: list[str], place: int) -> str:
    """A script begins with a capital and a region is in capitals, unless they stand in an extension."""
    part = parts[place]
    if any(len(before) == 1 for before in parts[:place]):
        return part
    return {2: part.upper(), 4: part.title()}.get(len(part), part) if part.isalpha() else part


async def _read(connection: Connection, name: str, user_id: str) -> Choices:
    row = await connection.fetchrow(query(name), user_id)
    granted = await connection.fetchval(query("read_consent"), user_id)
    consent: Consent = "unknown" if granted is None else "on" if granted else "off"
    return Choices(consent=consent) if row is None else Choices(consent=consent, **dict(row))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - NO_PLACES
