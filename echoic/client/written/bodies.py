"""Parts of what the memory API is sent. Written by `tools/client.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict


class AboutBody(TypedDict, total=False):
    """Whose fact it is; both empty: the caller's."""

    role: str
    name: str


class SaidBody(TypedDict, total=False):
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    text: str


class SectionsBody(TypedDict, total=False):
    """How a context of two sections is to be. What comes first is kept within the limit."""

    profile_share: float
    days: int | None
    fill: bool
    prefer: list[str]
    slots_a_topic: int | None
    slots_of: dict[str, int]
    feature: str
    language: str
    template: str


class SystemEdit(TypedDict, total=False):
    """What is set in the database; a field that is left out stays. Null: the environment counts again.

    With another address, its key has to be sent again."""

    extractor: Literal["auto", "echoic", "mem0", "off"] | None
    llm_url: str | None
    llm_model: str | None
    llm_api_key: str | None
    embedding_url: str | None
    embedding_model: str | None
    embedding_dimensions: int | None
    embedding_api_key: str | None
    graph: Literal["on", "off"] | None
    falkordb_url: str | None
    neo4j_url: str | None
    neo4j_user: str | None
    neo4j_password: str | None
    neo4j_database: str | None


class TurnCreate(TypedDict, total=False):
    """One thing that was said."""

    role: Literal["user", "assistant"]
    text: str
    said_at: datetime | None
    id: str | None
