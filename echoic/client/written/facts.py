"""Routes of the memory API: facts. Written by `tools/client.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from echoic.client.connection import Routes
from echoic.client.events import Event
from echoic.client.request import UNSET, Ask, Unset, tag
from echoic.client.written.bodies import AboutBody, SectionsBody
from echoic.client.written.facts_answers import (
    EvidenceOfFact,
    FactAnswer,
    FactPage,
    GraphAnswer,
    HistoryAnswer,
    LearningAnswer,
    LearnTask,
    RecallAnswer,
)


class Facts(Routes):
    """Each method is one route."""

    def list_facts(
        self,
        user_id: str,
        *,
        agent_id: str | None = None,
        scope: Literal["user", "agent"] | None = None,
        topic: str | None = None,
        about: str | None = None,
        q: str | None = None,
        validity: Literal["live", "ended", "all"] = "live",
        at: datetime | None = None,
        call_id: str | None = None,
        page_size: int = 200,
    ) -> Iterator[FactAnswer]:
        """What is known about one person, newest first."""
        ask = Ask(
            "GET",
            "/v1/users/{}/facts",
            (user_id,),
            query={
                "agent_id": agent_id,
                "scope": scope,
                "topic": topic,
                "about": about,
                "q": q,
                "validity": validity,
                "at": at,
                "call_id": call_id,
                "limit": page_size,
            },
        )
        return self._pages(ask, FactPage)

    def add_fact(
        self,
        user_id: str,
        *,
        text: str,
        idempotency_key: str | None = None,
        topic: str | Unset = UNSET,
        sub_topic: str | Unset = UNSET,
        importance: float | Unset = UNSET,
        scope: Literal["user", "agent"] | Unset = UNSET,
        agent_id: str | Unset | None = UNSET,
        about: AboutBody | Unset = UNSET,
        valid_from: datetime | Unset | None = UNSET,
        valid_until: datetime | Unset | None = UNSET,
    ) -> FactAnswer:
        """Store a fact that somebody states by hand."""
        ask = Ask(
            "POST",
            "/v1/users/{}/facts",
            (user_id,),
            headers={"idempotency-key": idempotency_key},
            body={
                "text": text,
                "topic": topic,
                "sub_topic": sub_topic,
                "importance": importance,
                "scope": scope,
                "agent_id": agent_id,
                "about": about,
                "valid_from": valid_from,
                "valid_until": valid_until,
            },
        )
        found: FactAnswer = self._ask(ask, FactAnswer)
        return found

    def read_fact(
        self,
        user_id: str,
        fact_id: UUID,
        *,
        unless_version: str | None = None,
    ) -> FactAnswer | None:
        """One fact, with its ETag; 304 if it is still the one that is held."""
        ask = Ask(
            "GET",
            "/v1/users/{}/facts/{}",
            (user_id, fact_id),
            headers={"if-none-match": tag(unless_version)},
            also=frozenset({304}),
        )
        found: FactAnswer | None = self._ask(ask, FactAnswer)
        return found

    def change_fact(
        self,
        user_id: str,
        fact_id: UUID,
        *,
        version: str | None,
        text: str | Unset | None = UNSET,
        topic: str | Unset | None = UNSET,
        sub_topic: str | Unset | None = UNSET,
        importance: float | Unset | None = UNSET,
        scope: Literal["user", "agent"] | Unset | None = UNSET,
        about: AboutBody | Unset | None = UNSET,
        valid_from: datetime | Unset | None = UNSET,
        valid_until: datetime | Unset | None = UNSET,
    ) -> FactAnswer:
        """Change some fields of a fact; 412 when somebody else has changed it since it was read."""
        ask = Ask(
            "PATCH",
            "/v1/users/{}/facts/{}",
            (user_id, fact_id),
            headers={"if-match": tag(version)},
            body={
                "text": text,
                "topic": topic,
                "sub_topic": sub_topic,
                "importance": importance,
                "scope": scope,
                "about": about,
                "valid_from": valid_from,
                "valid_until": valid_until,
            },
        )
        found: FactAnswer = self._ask(ask, FactAnswer)
        return found

    def forget_fact(
        self,
        user_id: str,
        fact_id: UUID,
        *,
        version: str | None = None,
    ) -> None:
        """Forget a fact in every store, its history included. What was said stays, and is not learned
        again.
        """
        ask = Ask("DELETE", "/v1/users/{}/facts/{}", (user_id, fact_id), headers={"if-match": tag(version)})
        self._ask(ask, None)

    def read_history(self, user_id: str, fact_id: UUID) -> HistoryAnswer:
        """Every change of a fact, oldest first; also of one that was taken back."""
        ask = Ask("GET", "/v1/users/{}/facts/{}/history", (user_id, fact_id))
        found: HistoryAnswer = self._ask(ask, HistoryAnswer)
        return found

    def read_evidence(self, user_id: str, fact_id: UUID) -> EvidenceOfFact:
        """The words that a fact rests on, and the turns in which they were said."""
        ask = Ask("GET", "/v1/users/{}/facts/{}/evidence", (user_id, fact_id))
        found: EvidenceOfFact = self._ask(ask, EvidenceOfFact)
        return found

    def search(
        self,
        user_id: str,
        *,
        text: str,
        agent_id: str | Unset | None = UNSET,
        budget_ms: int | Unset = UNSET,
    ) -> RecallAnswer:
        """Ask every tier as a call does. A tier that is slow or broken is named in `tiers`."""
        ask = Ask(
            "POST",
            "/v1/users/{}/search",
            (user_id,),
            body={"text": text, "agent_id": agent_id, "budget_ms": budget_ms},
        )
        found: RecallAnswer = self._ask(ask, RecallAnswer)
        return found

    def build_context(
        self,
        user_id: str,
        *,
        text: str | Unset = UNSET,
        agent_id: str | Unset | None = UNSET,
        max_tokens: int | Unset = UNSET,
        max_items: int | Unset = UNSET,
        topics: Sequence[str] | Unset = UNSET,
        sections: SectionsBody | Unset | None = UNSET,
    ) -> RecallAnswer:
        """A block for a prompt within a token limit: what answers the text, then the most important facts.
        With `sections` the profile by slot, then what happened: what answers the text, and the last.
        """
        ask = Ask(
            "POST",
            "/v1/users/{}/context",
            (user_id,),
            body={
                "text": text,
                "agent_id": agent_id,
                "max_tokens": max_tokens,
                "max_items": max_items,
                "topics": topics,
                "sections": sections,
            },
        )
        found: RecallAnswer = self._ask(ask, RecallAnswer)
        return found

    def read_learning(self, user_id: str) -> LearningAnswer:
        """Whether something waits to be learned, or is being learned, and how the last batches ended."""
        ask = Ask("GET", "/v1/users/{}/learning", (user_id,))
        found: LearningAnswer = self._ask(ask, LearningAnswer)
        return found

    def learn_now(self, user_id: str) -> LearnTask:
        """Have a worker learn what was said, now rather than later; follow `learning`, or the events."""
        ask = Ask("POST", "/v1/users/{}/learn", (user_id,))
        found: LearnTask = self._ask(ask, LearnTask)
        return found

    def read_graph(self, user_id: str, *, at: datetime | None = None) -> GraphAnswer:
        """Who and what belongs to one person, as nodes and edges; `at` a date, as it was then."""
        ask = Ask("GET", "/v1/users/{}/graph", (user_id,), query={"at": at})
        found: GraphAnswer = self._ask(ask, GraphAnswer)
        return found

    def follow_user(self, user_id: str, *, last_event_id: str | None = None) -> Iterator[Event]:
        """What happens in one person's memory: turns, learning, facts, erasure. Ids and counts, no words."""
        ask = Ask("GET", "/v1/users/{}/events", (user_id,))
        return self._follow(ask, last_event_id)

    def follow_all(self, *, last_event_id: str | None = None) -> Iterator[Event]:
        """The same of all users."""
        ask = Ask("GET", "/v1/events")
        return self._follow(ask, last_event_id)

    def list_models(self) -> dict[str, Any]:
        """The models that a request may name, as OpenAI lists them: what programs ask first to offer a
        choice.
        """
        ask = Ask("GET", "/v1/models")
        found: dict[str, Any] = self._ask(ask, dict[str, Any])
        return found

    def complete_chat(
        self,
        *,
        messages: Sequence[Mapping[str, Any]],
        echoic_agent: str | None = None,
        echoic_user: str | None = None,
        model: str | Unset | None = UNSET,
    ) -> dict[str, Any]:
        """Ask the model of the settings, with what is remembered of the person whom the header Echoic-User
        names. Without it nobody is remembered. Answers, also refusals, are the model's own.
        """
        ask = Ask(
            "POST",
            "/v1/chat/completions",
            headers={"Echoic-Agent": echoic_agent, "Echoic-User": echoic_user},
            body={"messages": messages, "model": model},
        )
        found: dict[str, Any] = self._ask(ask, dict[str, Any])
        return found
