"""The settings of the whole system as an operator sees and changes them, and what a change costs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr

from echoic.memory.config import MemorySettings
from echoic.memory.errors import ConfigInvalid
from echoic.memory.settings import overrides
from echoic.memory.settings.kinds import KEY_OF, KIND_OF, SECRETS, Kind
from echoic.memory.settings.overrides import Stored
from echoic.memory.settings.personal import SettingsChanged
from echoic.memory.settings.vault import Vault
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query

Source = Literal["database", "environment", "default"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, and where it comes from."""

    name: str
    kind: Kind
    source: Source
    secret: bool
    set: bool
    """Whether there is a value at all."""
    value: str | int | None
    """None of a secret, which is never shown."""
    about: str


@dataclass(frozen=True, slots=True)
class Vectors:
    """Which embedding model is in use, which is wanted, and what going over to it costs."""

    in_use: str | None
    wanted: str
    texts: int
    """That must be embedded again."""

    @property
    def waits(self) -> bool:
        return self.in_use not in (None, self.wanted)

    @property
    def sentence(self) -> str:
        if not self.waits:
            return "Everything is embedded with the model that is set."
        texts = "1 text" if self.texts == 1 else f"{self.texts:,} texts"
        return (
            f"{texts} must be embedded again with {self.wanted}: stop agents and workers, and "
            f"run `echoic reembed`. They may run again once it embeds. Until then {self.in_use} stays in "
            "use, and vectors are not mixed."
        )


@dataclass(frozen=True, slots=True)
class SystemSettings:
    """Everything that can be set, and the version that a change is made against."""

    settings: list[Setting]
    vectors: Vectors
    version: str
    can_keep_secrets: bool


async def read_system(db: Database, base: MemorySettings) -> SystemSettings:
    """What is set, and where each comes from.

    Args:
        base: what the environment says.

    Raises:
        StoreUnavailable: Postgres did not answer.
    """

    async def read(connection: Connection) -> SystemSettings:
        return await _read(connection, base)

    return await db.run(read)


async def change_system(
    db: Database, base: MemorySettings, changes: Mapping[str, object], *, version: str
) -> SystemSettings:
    """Set some in the database; None takes one back, so that the environment counts again.

    A provider that was active of that kind is so no longer.

    Raises:
        SettingsChanged: they are not what `version` says any more.
        ConfigInvalid: a value is wrong, or a secret cannot be kept.
        StoreUnavailable: nothing is changed.
    """

    async def change(connection: Connection) -> SystemSettings:
        await connection.execute(query("lock_settings"))
        stored = await overrides.stored_in(connection)
        if version_of(stored) != version:
            raise SettingsChanged
        await write(connection, base, stored, changes)
        await connection.execute(query("rest_providers"), sorted({KIND_OF[name] for name in changes}))
        return await _read(connection, base)

    return await db.transaction(change)


async def write(
    connection: Connection, base: MemorySettings, stored: Stored, changes: Mapping[str, object]
) -> None:
    """Set and take back; a secret that belongs to an address goes with it.

    Raises:
        ConfigInvalid: as `change_system`.
    """
    gone = {name for name, value in changes.items() if value is None}
    for address, key in KEY_OF.items():
        is_new = address in changes and changes[address] != stored.values.get(address)
        if is_new and key not in changes:
            gone.add(key)
    await connection.execute(query("drop_overrides"), sorted(gone))
    kept = {name: value for name, value in changes.items() if value is not None}
    await overrides.put(connection, Vault(base), kept)


async def rotate(db: Database, base: MemorySettings) -> int:
    """Encrypt every stored secret anew with the first key; returns how many there are.

    Raises:
        VaultLocked, SecretUnreadable: nothing is changed.
    """
    vault = Vault(base)

    async def rotate(connection: Connection) -> int:
        await connection.execute(query("lock_settings"))
        rows = [
            *(("relock_override", *row) for row in await connection.fetch(query("locked_overrides"))),
            *(("relock_provider", *row) for row in await connection.fetch(query("locked_providers"))),
        ]
        for relock, whose, locked in rows:
            await connection.execute(query(relock), whose, vault.rotate(locked))
        return len(rows)

    return await db.transaction(rotate)


def version_of(stored: Stored) -> str:
    """Changes with every change; rotation counts as one."""
    locked = {name: hashlib.sha256(secret).hexdigest() for name, secret in stored.locked.items()}
    return hashlib.sha256(json.dumps([stored.values, locked], sort_keys=True).encode()).hexdigest()[:16]


async def vectors(connection: Connection, wanted: MemorySettings, in_use: str | None) -> Vectors:
    """What going over to the embedding model of these settings costs."""
    counts = await connection.fetchrow(query("count_vectors"))
    return Vectors(in_use, overrides.vectors_of(wanted), counts["facts"] + counts["turns"])


def _embedder_set(base: MemorySettings, stored: Stored) -> MemorySettings:
    """With the name and length of the embedding model as set; neither is a secret."""
    names = {"embedding_model", "embedding_dimensions"} & stored.names
    return base.model_copy(update={name: stored.values[name] for name in names})


async def _read(connection: Connection, base: MemorySettings) -> SystemSettings:
    stored = await overrides.stored_in(connection)
    return SystemSettings(
        [_setting(name, base, stored) for name in KIND_OF],
        await vectors(connection, _embedder_set(base, stored), stored.vectors),
        version_of(stored),
        bool(base.settings_key.get_secret_value()),
    )


def _setting(name: str, base: MemorySettings, stored: Stored) -> Setting:
    field, value = MemorySettings.model_fields[name], _plain(getattr(base, name))
    source: Source = "default"
    if name in stored.names:
        source, value = "database", stored.values.get(name, "secret")
    elif _goes_with_another(name, stored, base):
        value = _plain(field.default)
    elif name in base.model_fields_set and value != _plain(field.default):
        source = "environment"
    secret = name in SECRETS
    value = overrides.shown(value) if name in KEY_OF else value
    about = " ".join((field.description or "").split())
    return Setting(name, KIND_OF[name], source, secret, bool(value), None if secret else value, about)


def _goes_with_another(name: str, stored: Stored, base: MemorySettings) -> bool:
    """A secret of the environment, for an address that the database has replaced."""
    address = next((address for address, key in KEY_OF.items() if key == name), None)
    return address in stored.values and stored.values[address] != getattr(base, str(address))


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def tried(base: MemorySettings, stored: Stored, changes: Mapping[str, object]) -> MemorySettings:
    """The settings as they would be with these changes, for a trial; a stored embedder counts as it is.

    Raises:
        ConfigInvalid: a value is wrong, or a stored secret cannot be read.
    """
    now = overrides.with_values(base, overrides.opened(base, stored, stored.names))
    dropped = {name: getattr(base, name) for name, value in changes.items() if value is None}
    kept = {name: value for name, value in changes.items() if value is not None}
    unknown = set(changes) - set(KIND_OF)
    if unknown:
        raise ConfigInvalid(f"{sorted(unknown)[0]} cannot be set here.")
    return overrides.with_values(now.model_copy(update=dropped), kept)
