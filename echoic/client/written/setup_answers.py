"""Answers of the memory API: setup. Written by `tools/client.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldAnswer:
    """One thing that a provider needs to be told."""

    name: str
    about: str
    required: bool
    secret: bool
    is_number: bool
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnswer:
    """A key as it is listed; the key itself is known to its holder only."""

    key_id: UUID
    name: str
    role: Literal["admin", "service", "user"]
    user_id: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMade:
    """With the key, which is shown this once."""

    key_id: UUID
    name: str
    role: Literal["admin", "service", "user"]
    user_id: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysAnswer:
    """A part of an answer."""

    items: list[KeyAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindAnswer:
    """A sort of provider."""

    kind: Literal["extractor", "embedder", "graph"]
    type: str
    about: str
    fields: list[FieldAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindsAnswer:
    """A part of an answer."""

    items: list[KindAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """One model file of the machine that the API runs on."""

    name: str
    purpose: str
    size: int | None
    """In bytes; of an unfinished download what came so far."""
    present: bool
    sha256_ok: bool | None
    """Null: not checked since it last changed; `check=true` does."""
    removable: bool
    dimensions: int | None
    """Of an embedding model: length of its vectors."""
    used_by: str
    """The setting by which it is in use; empty: it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsAnswer:
    """A part of an answer."""

    items: list[ModelAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSettings:
    """What one person has chosen. Its ETag is in `version`, and is sent back as `If-Match`."""

    version: str
    memory: bool
    """False: nothing is kept of them, and nothing is recalled."""
    consent: Literal["on", "off", "unknown"]
    """Whether what they say is kept: `unknown` until they have said so."""
    policy: Literal["on", "ask", "off"]
    """What `ECHOIC_CONSENT` makes of it: `on` keeps until they object, `ask` after a yes, `off` never."""
    retention_days: int | None
    """Days after which it is forgotten; null: what the system says."""
    language: str | None
    timezone: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAnswer:
    """One provider. Its ETag is in `version`, and is sent back as `If-Match`."""

    provider_id: UUID
    version: str
    kind: Literal["extractor", "embedder", "graph"]
    name: str
    type: str
    fields: dict[str, Any]
    secrets_set: list[str]
    """Secrets that it has; they are never shown."""
    active: bool
    created_at: datetime
    updated_at: datetime
    vectors: VectorsAnswer | None = None
    """Of an embedder: what it takes to go over to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvidersAnswer:
    """A part of an answer."""

    items: list[ProviderAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaimed:
    """What is free now."""

    reclaimed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingAnswer:
    """One setting of the system, and where it comes from."""

    name: str
    kind: Literal["extractor", "embedder", "graph"]
    source: Literal["database", "environment", "default"]
    """The database counts before the environment, and that before the default."""
    secret: bool
    set: bool
    value: str | int | None
    """Null for a secret: it is never shown."""
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemAnswer:
    """The settings of the system. Their ETag is in `version`, and is sent back as `If-Match`."""

    version: str
    settings: list[SettingAnswer]
    vectors: VectorsAnswer
    can_keep_secrets: bool
    """False: `ECHOIC_SETTINGS_KEY` is not set where the API runs."""
    note: str = (
        "Agents use what is set from the next call on; a learning worker and the API when they start again."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAnswer:
    """Something that takes a while; asked for again at `follow`."""

    task_id: UUID
    what: str
    state: Literal["running", "done", "failed"]
    done: int
    """Bytes so far."""
    total: int | None
    """Bytes there are; null: not known yet."""
    sentence: str
    """Of a failure, what went wrong."""
    follow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialAnswer:
    """What came of it."""

    ok: bool
    sentence: str
    elapsed_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorsAnswer:
    """Which embedding model is in use, which one is set, and what it takes to go over to that one."""

    in_use: str | None
    wanted: str
    texts: int
    waits: bool
    """True: it counts after `echoic reembed`."""
    sentence: str
