"""Answers of the memory API: profile. Written by `tools/client.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from echoic.client.written.facts_answers import FactAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaAnswer:
    """One thing that an event did to what is known."""

    change: Literal["added", "ended", "confirmed"]
    fact: FactAnswer
    """As it is now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeAnswer:
    """What happened: one event for each batch of turns that taught or changed something."""

    episode_id: UUID
    agent_id: str
    call_id: str
    summary: str
    """Its gists, one a line; or what was written by hand."""
    tags: dict[str, str]
    deltas: list[DeltaAnswer]
    began_at: datetime
    """When it was said, from here …"""
    ended_at: datetime
    """… to here."""
    happened_from: datetime | None
    """When it happened, as far as its facts name dates."""
    happened_until: datetime | None
    created_at: datetime
    updated_at: datetime
    similarity: float | None
    """Where it was looked for: cosine of its nearest gist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodePage:
    """Events, newest first; where they were looked for, nearest first."""

    next: str | None = None
    """Cursor of the next page; null: this is the last one."""
    items: list[EpisodeAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class GistAnswer:
    """One fact that an event taught."""

    fact: FactAnswer
    episode_id: UUID
    similarity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GistsAnswer:
    """Gists, newest first; where they were looked for, nearest first."""

    items: list[GistAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAnswer:
    """One fact of a slot; the rest of it is at `facts/{fact_id}`."""

    fact_id: UUID
    text: str
    importance: float
    said_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileAnswer:
    """A profile: preferred topics first, then what matters most."""

    items: list[SlotAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileConfig:
    """What slots there are, and how events are tagged."""

    text: str
    """What was set here; empty: the file and the environment count."""
    effective: dict[str, Any]
    """What counts, key by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalAnswer:
    """One thing that an agent may bring up."""

    reason: Literal["overdue", "coming", "unknown"]
    """`overdue`: a promise whose last day is over; `coming`: something begins or is due soon, or a promise is
    due; `unknown`: a slot of which nothing is known."""
    topic: str
    sub_topic: str
    description: str
    """Of a slot of which nothing is known."""
    at: datetime | None
    fact: FactAnswer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalsAnswer:
    """What is overdue, then what comes, then what is not known."""

    items: list[ProposalAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotAnswer:
    """What is known under one topic and sub-topic. Its `version` is sent back as `If-Match`."""

    slot_id: UUID
    version: str
    topic: str
    sub_topic: str
    """Empty: facts of the topic that stand in no slot."""
    content: str
    """Its facts, the most important first, as far as they fit the size of a slot."""
    facts: list[LineAnswer]
    """All of them."""
    created_at: datetime | None
    updated_at: datetime | None
