"""What one process holds of memory: every store, and the calls that are open."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from echoic.memory.clock import Clock
from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.graph.backend import GraphBackend
from echoic.memory.graph.groups import GraphGroups
from echoic.memory.graph.types import item_of
from echoic.memory.recall.facts_tier import HybridSearch
from echoic.memory.recall.prompt import forget_texts
from echoic.memory.recall.recaller import Recaller
from echoic.memory.recall.recent_turns import PROFILE_FACTS, TURNS_BEFORE, TURNS_NOW, RecentTurns
from echoic.memory.settings.links import Links, NoLinks
from echoic.memory.settings.personal import Choices, NoChoices, ReadsChoices
from echoic.memory.store.consent import Consent, ConsentStore
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.facts import FactStore
from echoic.memory.store.jobs import JobQueue
from echoic.memory.store.queries import query
from echoic.memory.store.recorder import Recorder
from echoic.memory.store.spool import Spool
from echoic.memory.store.turns import TurnStore
from echoic.memory.store.versions import Versions
from echoic.memory.types import Caller, Fact, ForgetRequest, Forgotten, Item, Turn


class OpenCall(Protocol):
    """A call of this process, as erasing and forgetting see it (`memory/call.py: CallMemory`)."""

    caller: Caller
    recent: RecentTurns
    loaded: bool
    began_s: float
    forgotten_ids: set[UUID]

    def forget_read(self) -> None: ...

    def forget_items(self, ids: Collection[UUID]) -> None: ...

    def see_as(self, also: tuple[str, ...]) -> None: ...


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the stores know of a caller as a call begins."""

    before: list[Turn]
    profile: list[Fact]
    now: list[Turn]
    """Turns of this call, if another process began it."""
    consent: Consent
    choices: Choices
    digest: list[Item]
    """The most important live relations of their graph, as last added to."""
    names: tuple[str, ...]

    def applied_to(self, caller: Caller) -> Caller:
        """The caller in the time zone that they chose, or else are in, or were in last time."""
        zone = next((turn.timezone for turn in reversed((*self.before, *self.now)) if turn.timezone), "")
        if zone and not caller.timezone_known:
            caller = replace(caller, timezone=zone, timezone_known=True)
        return self.choices.applied_to(caller)


class Forgetter(Protocol):
    """Takes rows out of the store, with all that was learned from them alone."""

    async def forget_rows(self, caller: Caller, wanted: ForgetRequest, gone: Forgotten) -> None: ...


@dataclass(slots=True)
class Stores:
    """Everything of one process: the stores, and how they are asked."""

    settings: MemorySettings
    db: Database
    embedder: Embedder
    turns: TurnStore
    facts: FactStore
    search: HybridSearch
    recaller: Recaller
    recorder: Recorder
    spool: Spool
    jobs: JobQueue
    versions: Versions
    consents: ConsentStore
    graph_groups: GraphGroups
    forgetter: Forgetter
    now: Callable[[], datetime]
    graph: GraphBackend | None = None
    """The graph server; None when the graph is off, or its settings are wrong."""
    graph_fault: str = ""
    """What is wrong with those settings, as a sentence."""
    calls: set[OpenCall] = field(default_factory=set)
    clock: Clock = field(default_factory=Clock)
    """The database's."""
    choices: ReadsChoices = field(default_factory=NoChoices)
    """What people have chosen for their own memory."""
    links: Links = field(default_factory=NoLinks)
    """Which ids are one person."""

    async def read_beginning(self, caller: Caller) -> Beginning:
        """What tier 1 of a call is filled with; no graph server is asked.

        Raises:
            StoreUnavailable: Postgres did not answer.
        """
        read = await asyncio.gather(
            self.turns.before(caller, TURNS_BEFORE),
            self.facts.profile(caller, PROFILE_FACTS),
            self.turns.of_call(caller, TURNS_NOW),
            self.consents.read(caller.user_id),
            self.choices.read(caller.user_id),
            self._digest(caller),
        )
        return Beginning(*read, await self.facts.names(caller, self.settings.key_terms))

    async def _digest(self, caller: Caller) -> list[Item]:
        if self.graph is None:
            return []
        groups, now = await self.graph_groups.of(caller), self.now()
        return [item_of(one) for group in groups for one in group.digest if one.is_live(now)]

    def hold(self, caller: Caller) -> None:
        """A call begins, or its caller has more ids or fewer: hold what it may recall."""
        self.versions.ignore_changes_from(caller)
        self.search.hold(caller)

    def let_go(self, caller: Caller) -> None:
        """The call is over, or its caller has other ids: drop what was held for these."""
        self.search.drop(caller)
        self.versions.watch_changes_from(caller)

    def forget_erased(self, user_id: str) -> None:
        """A person was erased: what this process holds of them goes too."""
        self.recaller.forget(user_id)
        self.search.forget(user_id)
        self.graph_groups.forget(user_id)
        forget_texts()
        for call in self.calls:
            if user_id in call.caller.ids:
                call.forget_read()

    def forget_items(self, user_id: str, ids: Collection[UUID]) -> None:
        """A person had some turns or facts forgotten: what this process holds of those goes too."""
        self.recaller.forget(user_id)
        self.search.forget_items(user_id, ids)
        self.graph_groups.forget(user_id)
        forget_texts()
        for call in self.calls:
            if user_id in call.caller.ids:
                call.forget_items(ids)

    def forget_links(self, user_id: str) -> None:
        """A person has lost an id: their running calls see nothing but what was said under their own."""
        for call in self.calls:
            if user_id in call.caller.ids and (call.caller.also or not call.loaded):
                self.recaller.forget_call(call.caller)
                call.forget_read()
                call.see_as(())

    async def check_erased(self) -> None:
        """The same for what was erased or forgotten while no notice could be heard."""
        for call in list(self.calls):
            since, also = self.clock.at(call.began_s), call.caller.also
            if also and not set(also) <= set(await self.links.read_along(call.caller.user_id)):
                self.forget_links(call.caller.user_id)
            for user_id in call.caller.ids:
                if await self.db.run(partial(_was_erased, user_id=user_id, since=since)):
                    self.forget_erased(user_id)
                if gone := await self.db.run(partial(_was_forgotten, user_id=user_id, since=since)):
                    self.forget_items(user_id, gone - call.forgotten_ids)


async def _was_forgotten(connection: Connection, user_id: str, since: datetime) -> set[UUID]:
    return {row["id"] for row in await connection.fetch(query("forgotten_since"), user_id, since)}


async def _was_erased(connection: Connection, user_id: str, since: datetime) -> bool:
    return bool(await connection.fetchval(query("is_void"), user_id, since))
