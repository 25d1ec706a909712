"""What people and operators choose: settings, providers, model files, keys."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from echoic.api.access.keys import KeyRole
from echoic.api.schemas.common import Answer, Body
from echoic.memory.settings.kinds import Kind, ProviderType
from echoic.memory.settings.personal import MOST_DAYS, Choices, known_zone, language_tag
from echoic.memory.settings.system import Source, SystemSettings
from echoic.memory.settings.trial import Part
from echoic.memory.store.consent import Consent, Policy
from echoic.memory.text.words import clean

B = TypeVar("B", bound=Body)


def _one_line(text: str) -> str:
    if clean(text) != text or not text.isprintable():
        raise ValueError("holds what cannot be printed")
    return text


Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(_one_line)]
Zone = Annotated[str, StringConstraints(max_length=64), AfterValidator(known_zone)]
Language = Annotated[str, StringConstraints(max_length=64), AfterValidator(language_tag)]
Days = Annotated[int, Field(ge=1, le=MOST_DAYS, strict=True)]
Fields = Annotated[dict[str, Line | int | None], Field(max_length=10)]
Name = Annotated[Line, StringConstraints(min_length=1, max_length=100)]


class PersonSettings(Answer):
    """What one person has chosen. Its ETag is in `version`, and is sent back as `If-Match`."""

    version: str = Field(examples=["9f2c6a1e0b7d4c35"])
    memory: bool
    """False: nothing is kept of them, and nothing is recalled."""
    consent: Consent
    """Whether what they say is kept: `unknown` until they have said so."""
    policy: Policy
    """What `ECHOIC_CONSENT` makes of it: `on` keeps until they object, `ask` after a yes, `off` never."""
    retention_days: int | None = Field(examples=[365])
    """Days after which it is forgotten; null: what the system says."""
    language: str | None = Field(examples=["pt-BR"])
    timezone: str | None = Field(examples=["Europe/Lisbon"])

    @classmethod
    def of(cls, choices: Choices, policy: Policy) -> Self:
        fields = {name: getattr(choices, name) for name in Choices.__slots__}
        return cls(version=choices.version, policy=policy, **fields)


class PersonSettingsEdit(Body):
    """What is changed; a field that is left out stays. Null takes a choice back."""

    memory: bool | None = Field(None, strict=True)
    """False: keep nothing and recall nothing from now on; true: remember me."""
    consent: Literal["on", "off"] | None = None
    """`off`: keep nothing that is said from now on; what was known is still recalled."""
    retention_days: Days | None = Field(None, examples=[365])
    language: Language | None = Field(None, examples=["pt-BR"])
    """BCP 47. In it memory's own sentences are said, from the next call on."""
    timezone: Zone | None = Field(None, examples=["Europe/Lisbon"])
    """IANA. Dates are theirs from the next call on."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        return _changing(self, {"memory", "consent"})


class SettingAnswer(Answer):
    """One setting of the system, and where it comes from."""

    name: str = Field(examples=["llm_model"])
    kind: Kind
    source: Source
    """The database counts before the environment, and that before the default."""
    secret: bool
    set: bool
    value: str | int | None
    """Null for a secret: it is never shown."""
    about: str


class VectorsAnswer(Answer):
    """Which embedding model is in use, which one is set, and what it takes to go over to that one."""

    in_use: str | None = Field(examples=["minilm-use-e5:1280"])
    wanted: str
    texts: int
    waits: bool
    """True: it counts after `echoic reembed`."""
    sentence: str


class SystemAnswer(Answer):
    """The settings of the system. Their ETag is in `version`, and is sent back as `If-Match`."""

    version: str = Field(examples=["9f2c6a1e0b7d4c35"])
    settings: list[SettingAnswer]
    vectors: VectorsAnswer
    can_keep_secrets: bool
    """False: `ECHOIC_SETTINGS_KEY` is not set where the API runs."""
    note: str = (
        "Agents use what is set from the next call on; a learning worker and the API when they start again."
    )

    @classmethod
    def of(cls, found: SystemSettings) -> Self:
        return cls(
            version=found.version,
            settings=[SettingAnswer.model_validate(one) for one in found.settings],
            vectors=VectorsAnswer.model_validate(found.vectors),
            can_keep_secrets=found.can_keep_secrets,
        )


class SystemEdit(Body):
    """What is set in the database; a field that is left out stays. Null: the environment counts again.

    With another address, its key has to be sent again.
    """

    extractor: Literal["auto", "echoic", "mem0", "off"] | None = None
    llm_url: Line | None = Field(None, examples=["https://api.example.com/v1"])
    llm_model: Line | None = Field(None, examples=["gpt-4.1-mini"])
    llm_api_key: Line | None = None
    embedding_url: Line | None = None
    embedding_model: Line | None = None
    embedding_dimensions: Annotated[int, Field(ge=8, le=16_000, strict=True)] | None = None
    embedding_api_key: Line | None = None
    graph: Literal["off", "on"] | None = None
    falkordb_url: Line | None = None
    neo4j_url: Line | None = None
    neo4j_user: Line | None = None
    neo4j_password: Line | None = None
    neo4j_database: Line | None = None

    def changes(self) -> dict[str, Any]:
        """As the settings are named."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class SystemChange(SystemEdit):
    """The same, and at least one of them."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        return _changing(self, set())


class TrialBody(Body):
    """What is tried, with changes that are not set yet."""

    part: Part = Field(examples=["learning"])
    changes: SystemEdit = Field(default_factory=SystemEdit)


class TrialAnswer(Answer):
    """What came of it."""

    ok: bool
    sentence: str = Field(examples=["gpt-4.1-mini at OpenAI answered."])
    elapsed_ms: float


class FieldAnswer(Answer):
    """One thing that a provider needs to be told."""

    name: str = Field(examples=["url"])
    about: str
    required: bool
    secret: bool
    is_number: bool
    example: str


class KindAnswer(Answer):
    """A sort of provider."""

    kind: Kind
    type: str = Field(examples=["openai"])
    about: str
    fields: list[FieldAnswer]

    @classmethod
    def of(cls, sort: ProviderType) -> Self:
        return cls.model_validate(sort)


class KindsAnswer(Answer):
    items: list[KindAnswer]


class ProviderAnswer(Answer):
    """One provider. Its ETag is in `version`, and is sent back as `If-Match`."""

    provider_id: UUID
    version: str = Field(examples=["9f2c6a1e0b7d4c35"])
    kind: Kind
    name: str
    type: str
    fields: dict[str, Any] = Field(examples=[{"url": "https://api.example.com/v1"}])
    secrets_set: list[str] = Field(examples=[["api_key"]])
    """Secrets that it has; they are never shown."""
    active: bool
    created_at: datetime
    updated_at: datetime
    vectors: VectorsAnswer | None = None
    """Of an embedder: what it takes to go over to it."""


class ProvidersAnswer(Answer):
    items: list[ProviderAnswer]


class ProviderCreate(Body):
    """A provider to keep at hand."""

    kind: Kind = Field(examples=["embedder"])
    type: Name = Field(examples=["openai"])
    name: Name = Field(examples=["our own embedder"])
    fields: Fields = Field(
        default_factory=dict,
        examples=[{"url": "https://api.example.com/v1", "model": "e5", "dimensions": 1024}],
    )
    active: bool = Field(False, strict=True)
    """Use it at once."""


class ProviderChange(Body):
    """What is changed; a field that is left out stays, one that is null goes.

    With another `url`, its secret has to be sent again.
    """

    name: Name | None = None
    fields: Fields | None = None
    active: bool | None = Field(None, strict=True)
    """True: use it; false: the environment counts again."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        return _changing(self, {"name", "fields", "active"})


class ModelAnswer(Answer):
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


class ModelsAnswer(Answer):
    items: list[ModelAnswer]


class Reclaimed(Answer):
    """What is free now."""

    reclaimed_bytes: int


class TaskAnswer(Answer):
    """Something that takes a while; asked for again at `follow`."""

    task_id: UUID
    what: str = Field(examples=["pull smollm2.gguf"])
    state: Literal["running", "done", "failed"]
    done: int
    """Bytes so far."""
    total: int | None
    """Bytes there are; null: not known yet."""
    sentence: str
    """Of a failure, what went wrong."""
    follow: str = Field(examples=["/v1/tasks/0b6e…"])


class KeyAnswer(Answer):
    """A key as it is listed; the key itself is known to its holder only."""

    key_id: UUID
    name: str
    role: KeyRole
    user_id: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeysAnswer(Answer):
    items: list[KeyAnswer]


class KeyCreate(Body):
    """Whose key, and what it may do."""

    name: Name = Field(examples=["the shop's website"])
    role: KeyRole = Field(examples=["service"])
    user_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    """The person of a key of the role `user`."""
    valid_days: Days | None = None
    """Null: until it is revoked."""


class KeyMade(KeyAnswer):
    """With the key, which is shown this once."""

    key: str = Field(examples=["echoic_…"])


def _changing(body: B, needed: set[str]) -> B:
    """Raises ValueError for an edit of nothing, or one that clears what is always there."""
    cleared = sorted(name for name in body.model_fields_set & needed if getattr(body, name) is None)
    if cleared or not body.model_fields_set:
        raise ValueError(f"cannot be null: {', '.join(cleared)}" if cleared else "changes nothing")
    return body
