"""Providers: models and graphs that an operator keeps at hand; to activate one sets what the system uses."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from echoic.memory.config import MemorySettings
from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.settings import overrides, system
from echoic.memory.settings.kinds import NAMES, Kind, ProviderType, type_of
from echoic.memory.settings.overrides import checked
from echoic.memory.settings.personal import SettingsChanged
from echoic.memory.settings.vault import Vault
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query


class ProviderUnknown(MemoryFault):
    """There is no such provider."""


class ProviderActive(MemoryFault):
    """This provider is in use: activate another one first, or turn this one off."""


class NameTaken(MemoryFault):
    """There is a provider of this kind and name already."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider; its secrets are not shown."""

    provider_id: UUID
    kind: Kind
    name: str
    type: str
    fields: dict[str, Any]
    secrets_set: tuple[str, ...]
    """Names of the secrets that it has."""
    active: bool
    created_at: datetime
    updated_at: datetime
    version: str
    vectors: system.Vectors | None = None
    """Of an embedder: what it costs to use it."""


@dataclass(frozen=True, slots=True)
class ProviderEdit:
    """What is changed; None stays."""

    name: str | None = None
    fields: Mapping[str, object] | None = None
    """Each that is named replaces the one before; None takes it away."""
    active: bool | None = None


async def list_providers(db: Database) -> list[Provider]:
    """All, by kind and name."""

    async def read(connection: Connection) -> list[Provider]:
        return [_provider(row) for row in await connection.fetch(query("list_providers"))]

    return await db.run(read)


async def one_provider(db: Database, base: MemorySettings, provider_id: UUID) -> Provider:
    """One of them.

    Raises:
        ProviderUnknown: there is none of this id.
    """

    async def read(connection: Connection) -> Provider:
        return await _shown(connection, base, provider_id)

    return await db.run(read)


async def add_provider(
    db: Database,
    base: MemorySettings,
    kind: Kind,
    type_name: str,
    name: str,
    fields: Mapping[str, object],
    *,
    active: bool,
) -> Provider:
    """Keep one, and use it if `active`.

    Raises:
        ConfigInvalid: a field is missing or wrong, or a secret cannot be kept.
        NameTaken: by another of this kind.
    """
    sort = type_of(kind, type_name)
    if sort is None:
        raise ConfigInvalid(
            f"There is no {kind} of the type {type_name!r}: `GET /v1/providers/kinds` lists them."
        )
    plain, secrets = _sorted_out(sort, {name: one for name, one in fields.items() if one is not None})

    async def add(connection: Connection) -> Provider:
        await connection.execute(query("lock_settings"))
        provider_id: UUID = await connection.fetchval(query("add_provider"), kind, type_name, name)
        await _write(connection, base, provider_id, name, plain, secrets)
        if active:
            await _activate(connection, base, sort, provider_id, plain | secrets)
        return await _shown(connection, base, provider_id)

    return await _unique(db, add)


async def change_provider(
    db: Database, base: MemorySettings, provider_id: UUID, edit: ProviderEdit, *, version: str
) -> Provider:
    """Change one; of the active one the system's settings change with it.

    Raises:
        ProviderUnknown, SettingsChanged, NameTaken: nothing is changed.
        ConfigInvalid: a field is missing or wrong, or a secret cannot be kept.
    """

    async def change(connection: Connection) -> Provider:
        await connection.execute(query("lock_settings"))
        row = await _row(connection, provider_id)
        before = _provider(row)
        if before.version != version:
            raise SettingsChanged
        sort = type_of(before.kind, before.type)
        assert sort is not None
        fields = _merged(sort, base, row, edit.fields or {})
        plain, secrets = _sorted_out(sort, fields)
        await _write(connection, base, provider_id, edit.name or before.name, plain, secrets)
        if edit.active is False and before.active:
            await _rest(connection, before.kind)
        elif edit.active or (before.active and edit.fields):
            await _activate(connection, base, sort, provider_id, plain | secrets)
        return await _shown(connection, base, provider_id)

    return await _unique(db, change)


async def delete_provider(db: Database, provider_id: UUID) -> None:
    """Take one away.

    Raises:
        ProviderUnknown: there is none of this id.
        ProviderActive: it is in use.
    """

    async def delete(connection: Connection) -> None:
        await connection.execute(query("lock_settings"))
        if (await _row(connection, provider_id))["active"]:
            raise ProviderActive
        await connection.execute(query("delete_provider"), provider_id)

    await db.transaction(delete)


def _sorted_out(sort: ProviderType, fields: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, str]]:
    """What may be read and what may not; each checked as the setting that it becomes."""
    known = {one.name: one for one in sort.fields}
    if unknown := sorted(set(fields) - set(known)):
        raise ConfigInvalid(f"{unknown[0]!r} is no field of the {sort.kind} {sort.type!r}.")
    if missing := [one.name for one in sort.fields if one.required and fields.get(one.name) in (None, "")]:
        raise ConfigInvalid(f"{missing[0]} is missing: {known[missing[0]].about}")
    plain: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    for name, value in fields.items():
        taken = checked(known[name].setting, value)
        if known[name].secret:
            secrets[name] = taken.get_secret_value()
        else:
            plain[name] = taken
    return plain, {name: secret for name, secret in secrets.items() if secret}


def _merged(
    sort: ProviderType, base: MemorySettings, row: asyncpg.Record, changes: Mapping[str, object]
) -> dict[str, object]:
    """The fields with the changes; a secret is not sent to another address than it was entered for."""
    fields = json.loads(row["fields"])
    secrets = {one.name for one in sort.fields if one.secret}
    if not ("url" in changes and changes["url"] != fields.get("url")) or secrets <= set(changes):
        fields |= _secrets(row, base)
    fields |= changes
    return {name: value for name, value in fields.items() if value is not None}


def _secrets(row: asyncpg.Record, base: MemorySettings) -> dict[str, str]:
    return Vault(base).unlock(str(row["provider_id"]), row["secrets"]) if row["secrets"] else {}


async def _write(
    connection: Connection,
    base: MemorySettings,
    provider_id: UUID,
    name: str,
    plain: Mapping[str, object],
    secrets: Mapping[str, str],
) -> None:
    locked = Vault(base).lock(str(provider_id), secrets) if secrets else None
    args = name, json.dumps(plain), locked, sorted(secrets)
    await connection.execute(query("write_provider"), provider_id, *args)


async def _activate(
    connection: Connection,
    base: MemorySettings,
    sort: ProviderType,
    provider_id: UUID,
    fields: Mapping[str, object],
) -> None:
    """What is set of its kind is replaced as a whole."""
    await connection.execute(query("rest_providers"), [sort.kind])
    await connection.execute(query("activate_provider"), provider_id)
    settings = sort.settings_of(fields)
    await connection.execute(query("drop_overrides"), list(settings))
    await overrides.put(connection, Vault(base), settings)


async def _rest(connection: Connection, kind: Kind) -> None:
    """The environment counts again."""
    await connection.execute(query("rest_providers"), [kind])
    await connection.execute(query("drop_overrides"), list(NAMES[kind]))


async def _row(connection: Connection, provider_id: UUID) -> asyncpg.Record:
    row = await connection.fetchrow(query("one_provider"), provider_id)
    if row is None:
        raise ProviderUnknown
    return row


async def _shown(connection: Connection, base: MemorySettings, provider_id: UUID) -> Provider:
    """With what it costs to use it, if it embeds."""
    row = await _row(connection, provider_id)
    shown = _provider(row)
    sort = type_of(shown.kind, shown.type)
    if sort is None or shown.kind != "embedder":
        return shown
    settings = sort.settings_of(shown.fields)
    named = {name: settings[name] for name in ("embedding_model", "embedding_dimensions")}
    stored = await overrides.stored_in(connection)
    return replace(
        shown, vectors=await system.vectors(connection, base.model_copy(update=named), stored.vectors)
    )


def _provider(row: asyncpg.Record) -> Provider:
    told = {
        name: row[name]
        for name in ("provider_id", "kind", "name", "type", "active", "created_at", "updated_at")
    }
    held = [row["name"], row["fields"], row["active"], (row["secrets"] or b"").hex()]
    version = hashlib.sha256(json.dumps(held).encode()).hexdigest()[:16]
    fields, secrets = json.loads(row["fields"]), tuple(row["secret_names"])
    return Provider(**told, fields=fields, secrets_set=secrets, version=version)


async def _unique(db: Database, work: Any) -> Provider:
    async def named(connection: Connection) -> Provider:
        try:
            found: Provider = await work(connection)
        except asyncpg.UniqueViolationError as exc:
            raise NameTaken from exc
        return found

    return await db.transaction(named)
