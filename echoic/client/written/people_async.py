"""Routes of the memory API: people, for asyncio. Written by `tools/client.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from echoic.client.connection import AsyncRoutes
from echoic.client.request import UNSET, Ask, Unset
from echoic.client.written.bodies import TurnCreate
from echoic.client.written.people_answers import (
    CallAnswer,
    CallPage,
    ChangesAnswer,
    EraseAnswer,
    LinksAnswer,
    PeoplePage,
    PersonAnswer,
    PersonCounts,
    TicketAnswer,
    TurnAnswer,
    TurnPage,
    TurnsKept,
    UndoneAnswer,
)


class AsyncPeople(AsyncRoutes):
    """Each method is one route."""

    def list_users(
        self,
        *,
        q: str | None = None,
        order: Literal["user_id", "-latest"] = "user_id",
        page_size: int = 200,
    ) -> AsyncIterator[PersonAnswer]:
        """Everybody of whom something is remembered."""
        ask = Ask("GET", "/v1/users", query={"q": q, "order": order, "limit": page_size})
        return self._pages(ask, PeoplePage)

    async def read_user(self, user_id: str) -> PersonAnswer:
        """One user, and how much is known of them."""
        ask = Ask("GET", "/v1/users/{}", (user_id,))
        found: PersonAnswer = await self._ask(ask, PersonAnswer)
        return found

    async def erase_one_user(self, user_id: str, *, person: bool = False) -> EraseAnswer:
        """Erase everything about one user from every store, for good, their keys and links included. Safe
        to repeat.
        """
        ask = Ask("DELETE", "/v1/users/{}", (user_id,), query={"person": person})
        found: EraseAnswer = await self._ask(ask, EraseAnswer)
        return found

    def export_one_user(self, user_id: str) -> AsyncIterator[bytes]:
        """Everything that every store holds about one person, as JSON. All stores are read before the
        first byte is sent: the answer is whole, or a problem.
        """
        ask = Ask("GET", "/v1/users/{}/export", (user_id,))
        return self._bytes(ask)

    async def read_statistics(self, user_id: str) -> PersonCounts:
        """How much there is of one user, and of which topics."""
        ask = Ask("GET", "/v1/users/{}/statistics", (user_id,))
        found: PersonCounts = await self._ask(ask, PersonCounts)
        return found

    async def list_changes(
        self,
        user_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> ChangesAnswer:
        """What changed in what is known about one person between two times, as `echoic diff --json` shows
        it.
        """
        ask = Ask("GET", "/v1/users/{}/changes", (user_id,), query={"since": since, "until": until})
        found: ChangesAnswer = await self._ask(ask, ChangesAnswer)
        return found

    def list_turns(
        self,
        user_id: str,
        *,
        q: str | None = None,
        page_size: int = 200,
    ) -> AsyncIterator[TurnAnswer]:
        """What was said, newest first."""
        ask = Ask("GET", "/v1/users/{}/turns", (user_id,), query={"q": q, "limit": page_size})
        return self._pages(ask, TurnPage)

    async def add_turns(
        self,
        user_id: str,
        *,
        turns: Sequence[TurnCreate],
        call_id: str | Unset | None = UNSET,
        agent_id: str | Unset | None = UNSET,
        ended: bool | Unset = UNSET,
    ) -> TurnsKept:
        """Store what a person and an agent said to each other; durable when this answers, and learned
        later.
        """
        ask = Ask(
            "POST",
            "/v1/users/{}/turns",
            (user_id,),
            body={"turns": turns, "call_id": call_id, "agent_id": agent_id, "ended": ended},
        )
        found: TurnsKept = await self._ask(ask, TurnsKept)
        return found

    async def read_turn(self, user_id: str, turn_id: UUID) -> TurnAnswer:
        """One thing that was said."""
        ask = Ask("GET", "/v1/users/{}/turns/{}", (user_id, turn_id))
        found: TurnAnswer = await self._ask(ask, TurnAnswer)
        return found

    def list_calls(self, user_id: str, *, page_size: int = 200) -> AsyncIterator[CallAnswer]:
        """Calls, the last to begin first."""
        ask = Ask("GET", "/v1/users/{}/calls", (user_id,), query={"limit": page_size})
        return self._pages(ask, CallPage)

    def list_call_turns(
        self,
        user_id: str,
        call_id: str,
        *,
        page_size: int = 200,
    ) -> AsyncIterator[TurnAnswer]:
        """The turns of one call, in its order."""
        ask = Ask("GET", "/v1/users/{}/calls/{}/turns", (user_id, call_id), query={"limit": page_size})
        return self._pages(ask, TurnPage)

    async def undo_one_call(self, user_id: str, call_id: str) -> UndoneAnswer:
        """Take back what one call taught, and open again what it ended; what was said stays."""
        ask = Ask("POST", "/v1/users/{}/calls/{}/undo", (user_id, call_id))
        found: UndoneAnswer = await self._ask(ask, UndoneAnswer)
        return found

    async def list_links(self, user_id: str) -> LinksAnswer:
        """All ids of the person who has this one, and the links that say so."""
        ask = Ask("GET", "/v1/users/{}/links", (user_id,))
        found: LinksAnswer = await self._ask(ask, LinksAnswer)
        return found

    async def link_users(self, user_id: str, other_id: str) -> None:
        """From their next call on both are one person: each recalls, lists and exports what is known of
        both. Nothing is moved. Make sure first that they are: whoever calls as one is told what the
        other said.
        """
        ask = Ask("PUT", "/v1/users/{}/links/{}", (user_id, other_id))
        await self._ask(ask, None)

    async def unlink_users(self, user_id: str, other_id: str) -> None:
        """Take a link back: each is as if it had never been, with what was said under its own id since."""
        ask = Ask("DELETE", "/v1/users/{}/links/{}", (user_id, other_id))
        await self._ask(ask, None)

    async def talk(self, user_id: str) -> TicketAnswer:
        """A token for one call of this person with their agent; it must be joined within ten minutes."""
        ask = Ask("POST", "/v1/users/{}/talk", (user_id,))
        found: TicketAnswer = await self._ask(ask, TicketAnswer)
        return found
