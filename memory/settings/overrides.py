"""What an operator has set in the database: it counts before the environment, from the start of a process on.

An embedding model that was set here counts once everything is embedded with it (`echoic reembed`): until then
the one before stays in use, so that two models' vectors never meet, and no start is refused.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from pydantic import SecretStr, ValidationError

from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.settings.kinds import KEY_OF, KIND_OF, KINDS, NAMES, SECRETS
from echoic.memory.settings.vault import Vault
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query

log = logging.getLogger("echoic.settings")

READ_S = 2.0
"""Longest that a start waits for what is set in the database."""
EVERY_S = 10.0
"""How often a worker looks whether something else is set."""
CALL_S = 0.5
"""Longest that a call waits for it as it begins; a healthy database takes 15 ms."""
Values = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds."""

    values: dict[str, Any] = field(default_factory=dict)
    locked: dict[str, bytes] = field(default_factory=dict)
    """Secrets, encrypted."""
    vectors: str | None = None
    """Of which embedding model the stored vectors are, as `name:dimensions`."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.values) | frozenset(self.locked)


async def with_stored(
    settings: MemorySettings, *, embed_anew: bool = False, limit_s: float = READ_S
) -> MemorySettings:
    """The settings, with what stands in the database before them.

    Never raises: with a database that does not answer, has no such table yet, or holds what cannot be used,
    the environment counts, and the log says so.

    Args:
        embed_anew: an embedding model that was set counts at once: for `echoic reembed`.
    """
    if not settings.database_url.get_secret_value():
        return settings
    stored = await _read(settings, limit_s)
    return settings if stored is None else applied(settings, stored, embed_anew=embed_anew)


async def stored_vectors(settings: MemorySettings) -> str:
    """Of which embedding model the stored vectors are, as `name:dimensions`; empty: not known."""
    stored = await _read(settings, READ_S)
    return (stored and stored.vectors) or ""


async def wait_changed(using: MemorySettings) -> None:
    """Return when something else is set in the database than `using` says; for whoever then begins anew."""
    base, seen = load_settings(), Stored()
    while True:
        stored = await _read(using, READ_S)
        if stored is not None and stored != seen:
            names, seen = stored.names | seen.names, stored
            wanted = applied(base, stored)
            if any(getattr(wanted, name) != getattr(using, name) for name in names):
                return
        await asyncio.sleep(EVERY_S)


async def _read(settings: MemorySettings, limit_s: float) -> Stored | None:
    db = Database(settings.database_url.get_secret_value(), pool_size=1, timeout_s=limit_s)
    try:
        return await db.run(read_stored)
    except (MemoryFault, ValueError) as exc:  # ValueError: a database that was not made for Echoic yet
        log.info("settings.not_read", extra={"error": type(exc).__name__})
        return None
    finally:
        await db.close()


async def read_stored(connection: Connection) -> Stored:
    """What is set, as it is stored, by a connection that is closed after.

    It has a name of its own: `reembed` refuses to run beside those that are called as ours are.
    """
    await connection.execute("set application_name = 'echoic settings'")
    try:
        return await stored_in(connection)
    except asyncpg.UndefinedTableError:
        return Stored()


async def stored_in(connection: Connection) -> Stored:
    """What is set, as it is stored."""
    rows = await connection.fetch(query("overrides"))
    return Stored(
        {row["name"]: json.loads(row["value"]) for row in rows if row["value"] is not None},
        {row["name"]: row["secret"] for row in rows if row["secret"] is not None},
        await connection.fetchval(query("setting"), "embedding"),
    )


def applied(settings: MemorySettings, stored: Stored, *, embed_anew: bool = False) -> MemorySettings:
    """The settings with what is stored before them, kind by kind; what cannot be used whole is left out."""
    for kind in KINDS:
        names = stored.names & frozenset(NAMES[kind])
        if not names:
            continue
        try:
            wanted = with_values(settings, opened(settings, stored, names))
        except ConfigInvalid as exc:
            log.error("settings.not_usable", extra={"kind": kind, "reason": str(exc)})
            continue
        if kind != "embedder" or embed_anew or stored.vectors in (None, vectors_of(wanted)):
            settings = wanted
        else:
            log.warning(
                "settings.embedder_waits", extra={"wanted": vectors_of(wanted), "stored": stored.vectors}
            )
    return settings


def opened(settings: MemorySettings, stored: Stored, names: Iterable[str]) -> dict[str, object]:
    """The stored values of these names, decrypted.

    Raises:
        ConfigInvalid: a secret cannot be decrypted.
    """
    vault = Vault(settings)
    found: dict[str, object] = {}
    for name in names:
        if name in stored.locked:
            found[name] = vault.unlock(name, stored.locked[name])["value"]
        else:
            found[name] = stored.values[name]
    return found


def with_values(settings: MemorySettings, values: Values) -> MemorySettings:
    """The settings with these values, each checked as one of the environment is.

    A secret of before is not sent to another address: it is dropped, unless one comes along.

    Raises:
        ConfigInvalid: a value is wrong; the sentence names the setting, and not the value.
    """
    taken = {name: checked(name, value) for name, value in values.items()}
    for address, key in KEY_OF.items():
        if address in taken and key not in taken and taken[address] != getattr(settings, address):
            taken[key] = MemorySettings.model_fields[key].default
    return settings.model_copy(update=taken)


def checked(name: str, value: object) -> Any:
    """The value as the setting takes it.

    Raises:
        ConfigInvalid: it is wrong.
    """
    if name in KEY_OF and isinstance(value, str) and "@" in _netloc(value):
        raise ConfigInvalid(
            f"{name} is wrong: an address is shown, so its password belongs into {KEY_OF[name]}."
        )
    try:
        return getattr(MemorySettings(**{name: value}), name)  # type: ignore[arg-type]
    except ValidationError as exc:
        says = exc.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigInvalid(f"{name} is wrong: {says}.") from exc


def shown(url: str) -> str:
    """An address without the name and password that the environment may have put into it."""
    host = _netloc(url)
    return url.replace(host, host.rpartition("@")[2], 1) if host else url


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def vectors_of(settings: MemorySettings) -> str:
    """As the database names the embedding model that made its vectors."""
    return f"{settings.embedding_model}:{settings.embedding_dimensions}"


async def put(connection: Connection, vault: Vault, values: Values) -> None:
    """Set these in the database; the secrets among them encrypted.

    Raises:
        VaultLocked: there is a secret among them, and no key.
    """
    for name, value in values.items():
        assert name in KIND_OF
        taken = checked(name, value)
        plain = taken.get_secret_value() if isinstance(taken, SecretStr) else taken
        if name in SECRETS and plain:
            locked = vault.lock(name, {"value": plain})
            await connection.execute(query("put_override"), name, None, locked)
        else:
            await connection.execute(query("put_override"), name, json.dumps(plain), None)
