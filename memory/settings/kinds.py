"""What an operator may choose over the API: names of settings, and providers that set several at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from pydantic import SecretStr

from echoic.memory.config import LOCAL_DIMENSIONS, LOCAL_EMBEDDING_MODEL, MemorySettings

Kind = Literal["extractor", "embedder", "graph"]
KINDS: tuple[Kind, ...] = get_args(Kind)

NAMES: dict[Kind, tuple[str, ...]] = {
    "extractor": ("extractor", "llm_url", "llm_model", "llm_api_key"),
    "embedder": ("embedding_url", "embedding_model", "embedding_dimensions", "embedding_api_key"),
    "graph": ("graph", "falkordb_url", "neo4j_url", "neo4j_user", "neo4j_password", "neo4j_database"),
}
"""The settings of each kind; nothing else can be set over the API."""
KIND_OF: dict[str, Kind] = {name: kind for kind, names in NAMES.items() for name in names}
SECRETS = frozenset(name for name in KIND_OF if MemorySettings.model_fields[name].annotation is SecretStr)
KEY_OF = {
    "llm_url": "llm_api_key",
    "embedding_url": "embedding_api_key",
    "neo4j_url": "neo4j_password",
}
"""An address, and the secret that is sent there: with another address it must be entered again, or whoever
sets addresses could have it sent to themselves."""


@dataclass(frozen=True, slots=True)
class ProviderField:
    """One thing that a provider needs to be told."""

    name: str
    setting: str
    about: str
    required: bool = False
    example: str = ""

    @property
    def secret(self) -> bool:
        return self.setting in SECRETS

    @property
    def is_number(self) -> bool:
        return MemorySettings.model_fields[self.setting].annotation is int


@dataclass(frozen=True, slots=True)
class ProviderType:
    """A sort of provider: what it needs, and which settings it fixes by being chosen."""

    kind: Kind
    type: str
    about: str
    fields: tuple[ProviderField, ...] = ()
    fixes: Mapping[str, str | int] = field(default_factory=dict)

    def settings_of(self, values: Mapping[str, object]) -> dict[str, object]:
        """Every setting that choosing it decides: what is left out is empty, or the default."""
        told = {
            one.setting: values.get(one.name, MemorySettings.model_fields[one.setting].default)
            for one in self.fields
        }
        return {**self.fixes, **told}


_MODEL = (
    ProviderField(
        "url", "llm_url", "OpenAI-compatible address; empty: OpenAI.", example="https://api.example.com/v1"
    ),
    ProviderField(
        "model",
        "llm_model",
        "Model that replies and learns; empty: gpt-4.1-mini at OpenAI, else the first listed.",
    ),
    ProviderField("api_key", "llm_api_key", "Key of the model's provider."),
)
_EMBEDDER = (
    ProviderField(
        "url", "embedding_url", "OpenAI-compatible address.", True, example="https://api.example.com/v1"
    ),
    ProviderField(
        "model", "embedding_model", "Model asked for there.", True, example="text-embedding-3-small"
    ),
    ProviderField("dimensions", "embedding_dimensions", "Length of its vectors.", True, example="1536"),
    ProviderField("api_key", "embedding_api_key", "Key of the model's provider."),
)
_PULLED = (
    ProviderField("model", "embedding_model", "As `echoic model pull` names it.", True, example="bge-m3"),
    ProviderField("dimensions", "embedding_dimensions", "Length of its vectors.", True, example="1024"),
)
_NEO4J = (
    ProviderField("url", "neo4j_url", "Address of Neo4j 5.26 or later.", True, example="neo4j://graph:7687"),
    ProviderField("user", "neo4j_user", "User name."),
    ProviderField("password", "neo4j_password", "Password; empty: it asks for none."),
    ProviderField("database", "neo4j_database", "Database that holds the graph."),
)
_FALKORDB = (
    ProviderField(
        "url", "falkordb_url", "Address of FalkorDB, with its password.", True, example="redis://graph:6379"
    ),
)
_LOCAL: dict[str, str | int] = {
    "embedding_url": "",
    "embedding_model": LOCAL_EMBEDDING_MODEL,
    "embedding_dimensions": LOCAL_DIMENSIONS,
}
TYPES: tuple[ProviderType, ...] = (
    ProviderType(
        "extractor",
        "echoic",
        "Learns facts with one structured call of a model.",
        _MODEL,
        {"extractor": "echoic"},
    ),
    ProviderType("extractor", "mem0", "Learns facts with Mem0's `add`.", _MODEL, {"extractor": "mem0"}),
    ProviderType("extractor", "off", "Learns no facts; the model still replies.", (), {"extractor": "off"}),
    ProviderType("embedder", "local", "The small model of this machine; sends nothing anywhere.", (), _LOCAL),
    ProviderType(
        "embedder", "pulled", "A model that was pulled to this machine.", _PULLED, {"embedding_url": ""}
    ),
    ProviderType("embedder", "openai", "An address that embeds as OpenAI's does.", _EMBEDDER),
    ProviderType("graph", "off", "No graph.", (), {"graph": "off"}),
    ProviderType("graph", "falkordb", "FalkorDB.", _FALKORDB, {"graph": "on", "neo4j_url": ""}),
    ProviderType("graph", "neo4j", "Neo4j.", _NEO4J, {"graph": "on", "falkordb_url": ""}),
)
"""Every sort of provider."""


def type_of(kind: str, name: str) -> ProviderType | None:
    """The sort of provider of this name."""
    return next((one for one in TYPES if (one.kind, one.type) == (kind, name)), None)
