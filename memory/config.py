"""Memory's settings: read once at start, frozen, passed in. The only place where `_ms` becomes `_s`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from echoic.memory.embedding.hub_models import hub_model
from echoic.memory.errors import ConfigInvalid
from echoic.memory.text.words import clean

OPENAI_MODEL = "gpt-4.1-mini"
QUOTE = "quote"
"""Named as the model: none, an honest responder quotes what is remembered."""
LOCAL_EMBEDDING_MODEL, LOCAL_DIMENSIONS = "minilm-use-e5", 1_280

S = TypeVar("S", bound=BaseSettings)


class MemorySettings(BaseSettings):
    """Each field is read from `ECHOIC_<NAME>`; the text under a field is its documentation."""

    # an empty variable is one that is not set: .env files and Compose pass such on
    model_config = SettingsConfigDict(
        env_prefix="ECHOIC_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        populate_by_name=True,
    )

    database_url: SecretStr = SecretStr("")
    """Postgres with pgvector, as `postgresql://…`. Empty: only `echoic …` and `make …` start an embedded
    one."""
    redis_url: SecretStr = SecretStr("")
    """Redis for the job queue, as `redis://…` or `unix:///…`. Empty: as above."""
    data_dir: Path | None = None
    """Folder of the embedded stores, spool and models. Default: the user's data directory."""
    agent_id: str = Field("echoic", min_length=1, max_length=200)
    """Name of this agent; facts of scope `agent` and verbatim turns are seen by this agent only."""
    timezone: str = "UTC"
    """IANA time zone of the caller's dates, when the call does not say."""

    recall_budget_ms: int = Field(150, ge=1, le=10_000)
    """Longest a reply waits for memory, in milliseconds, all tiers together."""
    recall_max_tokens: int = Field(400, ge=50, le=8_000)
    """Size limit of the recalled block, in tokens (estimated on the high side)."""
    recall_items: int = Field(8, ge=1, le=50)
    """Most items a recall puts into the block."""
    key_terms: int = Field(40, ge=0, le=100)
    """Most names of a caller's memory that are given to the speech recognition of their call, where it takes
    key terms; 0: none leaves memory for it."""
    store_timeout_ms: int = Field(2_000, ge=50, le=60_000)
    """Hard limit of one store operation, in milliseconds; past it the connection is dropped."""
    breaker_failures: int = Field(3, ge=1, le=1_000)
    """Failures in a row after which a tier is skipped, or late answers: to one caller, for that caller, and
    to as many callers, for all."""
    breaker_pause_ms: int = Field(5_000, ge=100, le=3_600_000)
    """How long a tier is skipped before it is tried again, in milliseconds."""
    database_pool_size: int = Field(4, ge=1, le=100)
    """Postgres connections of one process. Sixteen call processes at 4 stay below Postgres' default of
    100."""

    embedding_model: str = LOCAL_EMBEDDING_MODEL
    """The local models by default; or one that `echoic model pull` fetched, `multilingual-e5-small` or
    `bge-m3`; with `ECHOIC_EMBEDDING_URL`, the model asked for there."""
    embedding_url: str = ""
    """An OpenAI-compatible address (`https://…/v1`). Empty: a model of this machine."""
    embedding_api_key: SecretStr = SecretStr("")
    """Key for `ECHOIC_EMBEDDING_URL`."""
    embedding_dimensions: int = Field(LOCAL_DIMENSIONS, ge=8, le=16_000)
    """Length of a vector; a pulled model knows its own. Changing it, or the model, needs `echoic
    reembed`."""
    embedding_workers: int = Field(2, ge=1, le=32)
    """Threads that embed, one text each."""

    extractor: Literal["auto", "echoic", "mem0", "off"] = "auto"
    """Who learns facts: `echoic` (one structured call), `mem0` (Mem0's `add` and one more), `off`; `auto`:
    `echoic` if there is a model."""
    llm_url: str = Field("", validation_alias=AliasChoices("ECHOIC_LLM_URL", "OPENAI_BASE_URL"))
    """OpenAI-compatible address of the language model. Empty with a key: OpenAI."""
    llm_api_key: SecretStr = Field(
        SecretStr(""), validation_alias=AliasChoices("ECHOIC_LLM_API_KEY", "OPENAI_API_KEY")
    )
    """Key of the language model's provider."""
    llm_model: str = Field("", validation_alias=AliasChoices("ECHOIC_LLM_MODEL", "OPENAI_MODEL"))
    """Language model that replies and extracts.

    Empty: `gpt-4.1-mini` at OpenAI, else the first one the address lists. `quote`: no model; what is
    remembered is quoted."""
    learn_turns: int = Field(25, ge=1, le=500)
    """A batch is learned once this many turns wait."""
    learn_tokens: int = Field(1_500, ge=100, le=100_000)
    """... or this many tokens of turns."""
    learn_idle_s: int = Field(120, ge=1, le=86_400)
    """... or after this many seconds without a new turn; at once when a call ends."""
    llm_grade: Literal["", "full", "adds", "none"] = ""
    """How far the learning model is trusted: `full` adds and ends facts, `adds` only adds; `none` is idle.
    Empty: as it fared in our own short trial (`echoic model try`)."""
    model_timeout_s: int = Field(120, ge=1, le=3_600)
    """Longest one extraction call may take, in seconds."""

    graph: Literal["off", "on"] = "off"
    """Tier 3, a temporal graph of people, things and how they belong together; `on` needs one of the two
    addresses below. Only `echoic …` and `make …` start an embedded FalkorDB by themselves."""
    falkordb_url: SecretStr = SecretStr("")
    """FalkorDB for the graph, as `redis://…`, `rediss://…` or `unix:///…`; a server apart from the job
    queue's."""
    neo4j_url: str = ""
    """Neo4j 5.26 or later for the graph, as `neo4j://…` or `bolt://…` (`+s` for TLS). Set this one or
    `ECHOIC_FALKORDB_URL`."""
    neo4j_user: str = "neo4j"
    """User name at Neo4j."""
    neo4j_password: SecretStr = SecretStr("")
    """Password at Neo4j. Empty: it asks for none."""
    neo4j_database: str = "neo4j"
    """Database of Neo4j that holds the graph."""

    profile_file: Path | None = None
    """YAML file of a profile's slots, event tags and their settings; every key of it can be a variable
    instead. Memobase's file fits."""

    mask_secrets: bool = True
    """Whether card numbers, PINs, passwords and one-time codes become "•••" before anything is stored."""
    consent: Literal["on", "ask", "off"] = "on"
    """Whether callers are remembered: `on` unless they object, `ask` only after they said yes to being asked
    once, `off` never."""
    retention_days: int | None = Field(None, ge=1, le=36_500)
    """Days after which facts are archived and turns deleted, every night, where a person has chosen nothing
    else. Empty: never."""

    metrics_host: str = "127.0.0.1"
    """Address on which metrics are served; `0.0.0.0` where Prometheus runs on another machine or in another
    container."""
    metrics_port: int = Field(0, ge=0, le=65_535)
    """Port of `/metrics` of an agent worker: all its calls, those that have ended included. 0: not served."""
    worker_metrics_port: int = Field(0, ge=0, le=65_535)
    """Port of `/metrics` of a learning worker: the queue, and what waits to be learned. 0: not served."""
    settings_key: SecretStr = SecretStr("")
    """Encrypts the secrets that are set over the memory API; `echoic settings key` prints one. Several with
    commas between them: the first encrypts, all decrypt; `echoic settings rotate` then frees the others."""
    telemetry_words: bool = False
    """Whether traces may hold personal data: spoken words and remembered facts. They go where
    `OTEL_EXPORTER_OTLP_ENDPOINT` says."""

    @property
    def folder(self) -> Path:
        """The data folder, chosen or the user's own."""
        return self.data_dir or platformdirs.user_data_path("echoic", appauthor=False)

    @property
    def recall_budget_s(self) -> float:
        return self.recall_budget_ms / 1000

    @property
    def store_timeout_s(self) -> float:
        return self.store_timeout_ms / 1000

    @property
    def breaker_pause_s(self) -> float:
        return self.breaker_pause_ms / 1000

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str | Path) and clean(str(text)) != str(text):
            raise ValueError("it holds bytes that are not UTF-8, or NUL")
        return value

    @model_validator(mode="before")
    @classmethod
    def _as_long_as_its_vectors(cls, given: Any) -> Any:
        """A pulled model says itself how long its vectors are."""
        if isinstance(given, dict) and not given.get("embedding_url"):
            found = hub_model(str(given.get("embedding_model", "")))
            return {"embedding_dimensions": found.dimensions, **given} if found else given
        return given

    @field_validator("database_url")
    @classmethod
    def _at_postgres(cls, url: SecretStr) -> SecretStr:
        if text := url.get_secret_value():
            names_server(text, ("postgresql", "postgres"), needs_host=False)
        return url

    @field_validator("redis_url", "falkordb_url")
    @classmethod
    def _at_redis(cls, url: SecretStr) -> SecretStr:
        if text := url.get_secret_value():
            names_server(text, ("redis", "rediss", "unix"), needs_host=not text.startswith("unix:"))
            _redis_takes(text)
        return url

    @field_validator("neo4j_url")
    @classmethod
    def _at_neo4j(cls, url: str) -> str:
        if url:
            names_server(
                url, [f"{scheme}{tls}" for scheme in ("neo4j", "bolt") for tls in ("", "+s", "+ssc")]
            )
        return url

    @field_validator("embedding_url", "llm_url")
    @classmethod
    def _over_http(cls, url: str) -> str:
        if url:
            names_server(url, ("http", "https"))
        return url

    @field_validator("llm_api_key", "embedding_api_key")
    @classmethod
    def _stands_in_a_header(cls, key: SecretStr) -> SecretStr:
        if not re.fullmatch("[!-~]*", key.get_secret_value()):
            raise ValueError("a key has no spaces, and no characters beyond ASCII")
        return key

    @field_validator("settings_key")
    @classmethod
    def _encrypts(cls, keys: SecretStr) -> SecretStr:
        named = [key for key in map(str.strip, keys.get_secret_value().split(",")) if key]
        if not all(re.fullmatch("[A-Za-z0-9_-]{43}=", key) for key in named):
            raise ValueError(
                "a key is 32 bytes in URL-safe base64, as `echoic settings key` prints one; several have "
                "commas between them"
            )
        return keys

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except Exception as exc:
            raise ValueError(f"{name!r} is not an IANA time zone such as Europe/Lisbon") from exc
        return name


def names_server(url: str, schemes: Sequence[str], *, needs_host: bool = True) -> None:
    """Raises ValueError unless a client can be given this address. It is not shown (passwords)."""
    begins = " or ".join(f"`{scheme}://`" for scheme in schemes)
    expected = f"an address is {begins}, a server, and its port if need be"
    try:
        parts = urlsplit(url)
        hosts = [urlsplit(f"//{one}") for one in parts.netloc.rpartition("@")[2].split(",")]
        ports = [one.port for one in hosts]  # raises for one that is none
        for one in hosts:
            (one.hostname or "").encode("idna")
    except ValueError as exc:
        raise ValueError(expected) from exc
    has_host = all(one.hostname for one in hosts)
    if (
        parts.scheme not in schemes
        or 0 in ports
        or re.search(r"[\s\x00-\x1f]", url)
        or (needs_host and not has_host)
    ):
        raise ValueError(expected)


def _redis_takes(url: str) -> None:
    """The driver is asked: it reads options out of the address, and fails for one that it does not know."""
    from redis.asyncio import ConnectionPool

    try:
        pool = ConnectionPool.from_url(url)
        pool.connection_class(**pool.connection_kwargs)
    except Exception as exc:
        raise ValueError(
            "Redis' driver does not take this address: check its number, path and options"
        ) from exc


def load_settings(**overrides: object) -> MemorySettings:
    """Settings from the environment and `overrides`.

    Raises:
        ConfigInvalid: a value is wrong; the sentence names the variable.
    """
    return read_settings(MemorySettings, overrides)


def plainly(message: str) -> str:
    """What pydantic says of a value, without its own words around ours."""
    return message.removeprefix("Value error, ").rstrip(".")


def read_settings(kind: type[S], overrides: Mapping[str, object]) -> S:
    """Settings of a kind from the environment and `overrides`.

    Raises:
        ConfigInvalid: a value is wrong; the sentence names the variable, and never the value.
    """
    try:
        return kind(**overrides)  # type: ignore[arg-type]
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        # one that has other names too is told by its variable already
        variable = field if field.isupper() else f"{kind.model_config['env_prefix']}{field.upper()}"
        named = variable if field else "A setting"
        raise ConfigInvalid(
            f"{named} is wrong: {plainly(first['msg'])}. Set it in the environment or in .env."
        ) from exc
