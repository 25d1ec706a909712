"""Routes of the memory API: profile, for asyncio. Written by `tools/client.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from echoic.client.connection import AsyncRoutes
from echoic.client.request import UNSET, Ask, Unset, tag
from echoic.client.written.bodies import SaidBody
from echoic.client.written.profile_answers import (
    EpisodeAnswer,
    EpisodePage,
    GistsAnswer,
    ProfileAnswer,
    ProfileConfig,
    ProposalsAnswer,
    SlotAnswer,
)


class AsyncProfile(AsyncRoutes):
    """Each method is one route."""

    async def read_profile_configuration(self) -> ProfileConfig:
        """Which slots profiles have, and how events are tagged."""
        ask = Ask("GET", "/v1/profile/configuration")
        found: ProfileConfig = await self._ask(ask, ProfileConfig)
        return found

    async def write_profile_configuration(self, *, text: str) -> ProfileConfig:
        """Set it for every process, from the next batch and the next question on; 422 says what is wrong."""
        ask = Ask("PUT", "/v1/profile/configuration", body={"text": text})
        found: ProfileConfig = await self._ask(ask, ProfileConfig)
        return found

    async def read_user_profile(
        self,
        user_id: str,
        *,
        agent_id: str | None = None,
        topic: Sequence[str] | None = None,
        prefer: Sequence[str] | None = None,
        slots_a_topic: int | None = None,
        max_tokens: int | None = None,
        slots: int = 200,
    ) -> ProfileAnswer:
        """What is known about one person, by slot: of `prefer`, in its order, first; then what matters
        most.
        """
        ask = Ask(
            "GET",
            "/v1/users/{}/profile",
            (user_id,),
            query={
                "agent_id": agent_id,
                "topic": topic,
                "prefer": prefer,
                "slots_a_topic": slots_a_topic,
                "max_tokens": max_tokens,
                "slots": slots,
            },
        )
        found: ProfileAnswer = await self._ask(ask, ProfileAnswer)
        return found

    async def fill_profile_slot(
        self,
        user_id: str,
        *,
        topic: str,
        values: Sequence[str],
        sub_topic: str | Unset = UNSET,
        agent_id: str | Unset | None = UNSET,
    ) -> SlotAnswer:
        """Put facts into a slot, beside what stands there; one that stands there already is not stored
        twice.
        """
        ask = Ask(
            "POST",
            "/v1/users/{}/profile",
            (user_id,),
            body={"topic": topic, "sub_topic": sub_topic, "values": values, "agent_id": agent_id},
        )
        found: SlotAnswer = await self._ask(ask, SlotAnswer)
        return found

    async def choose_profile_slots(
        self,
        user_id: str,
        *,
        said: Sequence[SaidBody],
        most: int | Unset = UNSET,
        agent_id: str | Unset | None = UNSET,
    ) -> ProfileAnswer:
        """The slots that a conversation needs, chosen by the language model of the settings: not for a
        call that waits. 409 where none is set, 502 and 504 where it does not answer.
        """
        ask = Ask(
            "POST",
            "/v1/users/{}/profile/needed",
            (user_id,),
            body={"said": said, "most": most, "agent_id": agent_id},
        )
        found: ProfileAnswer = await self._ask(ask, ProfileAnswer)
        return found

    async def change_profile_slot(
        self,
        user_id: str,
        slot_id: UUID,
        *,
        version: str | None,
        values: Sequence[str],
        agent_id: str | Unset | None = UNSET,
    ) -> SlotAnswer:
        """Change what a slot says by changing its facts; 412 when somebody else has since it was read."""
        ask = Ask(
            "PUT",
            "/v1/users/{}/profile/{}",
            (user_id, slot_id),
            headers={"if-match": tag(version)},
            body={"values": values, "agent_id": agent_id},
        )
        found: SlotAnswer = await self._ask(ask, SlotAnswer)
        return found

    async def forget_profile_slot(
        self,
        user_id: str,
        slot_id: UUID,
        *,
        version: str | None,
        agent_id: str | None = None,
    ) -> None:
        """Forget every fact of a slot, as `DELETE facts/{id}` does."""
        ask = Ask(
            "DELETE",
            "/v1/users/{}/profile/{}",
            (user_id, slot_id),
            query={"agent_id": agent_id},
            headers={"if-match": tag(version)},
        )
        await self._ask(ask, None)

    async def list_proposals(
        self,
        user_id: str,
        *,
        agent_id: str | None = None,
        page_size: int = 200,
    ) -> ProposalsAnswer:
        """What an agent may bring up by itself: promises, what comes soon, and slots that are empty."""
        ask = Ask(
            "GET", "/v1/users/{}/proposals", (user_id,), query={"agent_id": agent_id, "limit": page_size}
        )
        found: ProposalsAnswer = await self._ask(ask, ProposalsAnswer)
        return found

    def list_episodes(
        self,
        user_id: str,
        *,
        q: str | None = None,
        least: float = 0.2,
        tag: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        agent_id: str | None = None,
        page_size: int = 200,
    ) -> AsyncIterator[EpisodeAnswer]:
        """What happened, newest first; with `q` what is near to it, nearest first."""
        ask = Ask(
            "GET",
            "/v1/users/{}/episodes",
            (user_id,),
            query={
                "q": q,
                "least": least,
                "tag": tag,
                "since": since,
                "until": until,
                "agent_id": agent_id,
                "limit": page_size,
            },
        )
        return self._pages(ask, EpisodePage)

    async def read_episode(self, user_id: str, episode_id: UUID) -> EpisodeAnswer:
        """One event."""
        ask = Ask("GET", "/v1/users/{}/episodes/{}", (user_id, episode_id))
        found: EpisodeAnswer = await self._ask(ask, EpisodeAnswer)
        return found

    async def change_episode(
        self,
        user_id: str,
        episode_id: UUID,
        *,
        summary: str | Unset | None = UNSET,
        tags: Mapping[str, str] | Unset | None = UNSET,
    ) -> EpisodeAnswer:
        """Write over its summary or its tags; its facts are changed by themselves, and stay as they are."""
        ask = Ask(
            "PATCH",
            "/v1/users/{}/episodes/{}",
            (user_id, episode_id),
            body={"summary": summary, "tags": tags},
        )
        found: EpisodeAnswer = await self._ask(ask, EpisodeAnswer)
        return found

    async def drop_episode(self, user_id: str, episode_id: UUID) -> None:
        """Take an event and its gists out of the list. What was learned stays: forget its facts to forget
        it.
        """
        ask = Ask("DELETE", "/v1/users/{}/episodes/{}", (user_id, episode_id))
        await self._ask(ask, None)

    async def list_gists(
        self,
        user_id: str,
        *,
        q: str | None = None,
        least: float = 0.2,
        since: datetime | None = None,
        agent_id: str | None = None,
        page_size: int = 200,
    ) -> GistsAnswer:
        """The facts that events taught, each one alone: the last ones, or what is near to `q`."""
        ask = Ask(
            "GET",
            "/v1/users/{}/gists",
            (user_id,),
            query={"q": q, "least": least, "since": since, "agent_id": agent_id, "limit": page_size},
        )
        found: GistsAnswer = await self._ask(ask, GistsAnswer)
        return found
