"""Turns into the graph as Graphiti's episodes, in order: a batch is thought up once, kept, then saved."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.graph import ledger as ledger
from echoic.memory.graph.ledger import GraphBatch, GraphRef, Mode
from echoic.memory.store.queries import query
from echoic.memory.types import Turn
from echoic.workers.chat_model import ChatModel, Cost
from echoic.workers.extractors.lines import Line, lines_of
from echoic.workers.graph.entity_types import GraphTypes
from echoic.workers.graph.feed import Attempts, GraphReport
from echoic.workers.graph.graphiti_env import load
from echoic.workers.locked_connection import within

SHRINK_BITS_PER_FAILURE = 2
"""Each failure halves a batch this many times: an answer was cut off, or no model reads a turn."""


class TurnsFeed:
    """Turns become episodes with the time they were said as reference time and their call as saga."""

    mode: Mode = "episodes"

    def __init__(
        self, store: Any, embedder: Embedder, settings: MemorySettings, model: ChatModel, types: GraphTypes
    ) -> None:
        self._store, self._settings, self._model, self._types = store, settings, model, types
        self._graphiti = load("echoic.workers.graph.graphiti_episodes", embedder.dimensions)
        self._zone = ZoneInfo(settings.timezone)
        self._attempts = Attempts()

    async def step(self, connection: asyncpg.Connection, one: GraphRef, report: GraphReport) -> bool:
        """See `Feed`."""
        if await self._remove_lost(connection, one, report):
            return True
        before = await within(connection, ledger.running(connection, one))
        if before is not None and await self._attempts.gave_up(connection, one, before, report):
            return True
        turns = await within(connection, self._turns(connection, one, before))
        if before is not None and (
            not turns or (before.result is not None and before.result["turn_ids"] != _ids(turns))
        ):
            # some of it was forgotten, or there is nothing left to do
            await within(connection, ledger.drop(connection, one, before))
            return True
        if not turns:
            return False
        lines = lines_of(turns, self._zone)
        if not lines and before is None:  # small talk never reaches a model
            await within(connection, _pass_by(connection, one, turns))
            return True
        batch = await within(connection, _begin(connection, one, before, [turn.turn_id for turn in turns]))
        cost = Cost()
        await self._attempts.run(
            connection,
            one,
            batch,
            partial(self._enter, connection, one, batch, turns, lines, cost, report),
            cost,
            report,
        )
        return not report.failed

    async def _turns(
        self, connection: asyncpg.Connection, one: GraphRef, before: GraphBatch | None
    ) -> list[Turn]:
        """The turns of the batch that waits to be saved, or the oldest open ones of one call."""
        if before is not None and before.result is not None:
            return await ledger.turns_of(connection, one.user_id, before.ids)
        most = max(
            1, self._settings.learn_turns >> SHRINK_BITS_PER_FAILURE * (before.failures if before else 0)
        )
        return _of_one_call(await ledger.open_turns(connection, one, most), self._settings.learn_tokens)

    async def _remove_lost(self, connection: asyncpg.Connection, one: GraphRef, report: GraphReport) -> bool:
        """Take the episodes of forgotten turns out of the graph; what else was said in them is read again."""
        lost = await within(connection, ledger.lost_turns(connection, one))
        if not lost:
            return False
        episodes = {episode for episode in lost.values() if episode}
        await within(connection, self._remove(connection, one, list(lost), episodes))
        report.removed += len(episodes)
        return True

    async def _remove(
        self, connection: asyncpg.Connection, one: GraphRef, lost: Sequence[UUID], episodes: set[str]
    ) -> None:
        async with connection.transaction():
            await connection.execute(query("lock_user_shared"), one.user_id)
            if episodes:
                driver = await self._store.open(one.group_id)
                turns = await ledger.turns_of_episodes(
                    connection, one.user_id, [UUID(episode) for episode in episodes]
                )
                gone = [turn_id for ids in turns.values() for turn_id in ids]
                await self._store.remove_episodes(driver, one.group_id, episodes, [*gone, *map(str, lost)])
            await ledger.leave(connection, one, lost)
            await ledger.leave_with_episodes(connection, one, episodes)

    async def _enter(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        batch: GraphBatch,
        turns: Sequence[Turn],
        lines: Sequence[Line],
        cost: Cost,
        report: GraphReport,
    ) -> None:
        result = batch.result
        if result is None:
            driver = await self._store.reading(one.group_id)
            episode = self._graphiti.Episode(
                batch.batch_id,
                one.group_id,
                turns[0].call_id,
                turns[-1].said_at,
                lines,
                [turn.turn_id for turn in turns],
            )
            result = await self._graphiti.think(self._store, driver, self._model, self._types, episode, cost)
            await within(connection, self._keep(connection, one, batch, result, cost, report))
        await within(connection, self._commit(connection, one, batch, turns, result, report))

    async def _keep(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        batch: GraphBatch,
        result: dict[str, Any],
        cost: Cost,
        report: GraphReport,
    ) -> None:
        """What the model made of it, and what that cost, before anything is saved."""
        async with connection.transaction():
            await ledger.keep_result(connection, one, batch, result)
            await ledger.count_cost(connection, one, batch, cost.calls, cost.tokens)
        report.calls, report.tokens = report.calls + cost.calls, report.tokens + cost.tokens
        cost.calls = cost.tokens = 0  # counted

    async def _commit(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        batch: GraphBatch,
        turns: Sequence[Turn],
        result: dict[str, Any],
        report: GraphReport,
    ) -> None:
        """Under the lock that keeps an erasure out until the graph holds what the ledger says.

        Nothing of it if a turn went meanwhile.
        """
        async with connection.transaction():
            await connection.execute(query("lock_user_shared"), one.user_id)
            if not await _all_there(connection, one, turns):
                await ledger.drop(connection, one, batch)
                return
            driver = await self._store.open(one.group_id)
            saved = await self._graphiti.save(self._store, driver, result)
            await ledger.enter(
                connection, one, "turn", dict.fromkeys((turn.turn_id for turn in turns), str(batch.batch_id))
            )
            await ledger.finish(connection, one, batch, saved)
        report.batches, report.relations = report.batches + 1, report.relations + saved


async def _begin(
    connection: asyncpg.Connection, one: GraphRef, before: GraphBatch | None, ids: Sequence[UUID]
) -> GraphBatch:
    async with connection.transaction():
        await connection.execute(query("lock_user_shared"), one.user_id)
        await ledger.add_group(connection, one, "episodes")
        return await ledger.begin(connection, one, before, ids)


async def _pass_by(connection: asyncpg.Connection, one: GraphRef, turns: Sequence[Turn]) -> None:
    """Turns that say nothing are done without an episode."""
    async with connection.transaction():
        await connection.execute(query("lock_user_shared"), one.user_id)
        if await _all_there(connection, one, turns):
            await ledger.enter(connection, one, "turn", dict.fromkeys((turn.turn_id for turn in turns), ""))


async def _all_there(connection: asyncpg.Connection, one: GraphRef, turns: Sequence[Turn]) -> bool:
    """Whether nobody forgot or erased any of these since, and the person still wants to be remembered."""
    if await ledger.is_void(connection, one.user_id, _latest(turns)):
        return False
    return int(
        await connection.fetchval(query("count_batch_turns"), one.user_id, [turn.turn_id for turn in turns])
    ) == len(turns)


def _latest(turns: Sequence[Turn]) -> datetime:
    return max(turn.said_at for turn in turns)


def _of_one_call(waiting: Sequence[Turn], most_tokens: int) -> list[Turn]:
    """The first turns of one call, up to the token limit (four letters a token), at least one."""
    taken: list[Turn] = []
    tokens = 0
    for turn in waiting:
        tokens += len(turn.text) // 4 + 1
        if turn.call_id != waiting[0].call_id or (taken and tokens > most_tokens):
            break
        taken.append(turn)
    return taken


def _ids(turns: Sequence[Turn]) -> list[str]:
    return [str(turn.turn_id) for turn in turns]
