"""A profile by slot: read, filled, edited and forgotten; and the configuration of its slots."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from echoic.api.access.guard import Mind, Operates, Reads, UserId, Writes
from echoic.api.gateway.model import Model
from echoic.api.paging import Limit
from echoic.api.problems import Problem
from echoic.api.routes.facts import IfMatch, version_in
from echoic.api.schemas.common import EDITS
from echoic.api.schemas.profile import (
    ProfileAnswer,
    ProfileConfig,
    ProfileConfigBody,
    ProfileNeed,
    ProposalAnswer,
    ProposalsAnswer,
    SlotAnswer,
    SlotEdit,
    SlotFill,
)
from echoic.memory.call import CallMemory
from echoic.memory.privacy.forget import forget
from echoic.memory.profile.edit import fill_slot, find_slot
from echoic.memory.profile.needed import Said, answered, question
from echoic.memory.profile.proactive import proposals
from echoic.memory.profile.profile import Limits, Slot, read_slots
from echoic.memory.profile.slots import STORED, read_profile, write_profile
from echoic.memory.review.corrections import FactChanged
from echoic.memory.review.reader import reader
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.queries import query
from echoic.memory.types import Caller, ForgetRequest

router = APIRouter(tags=["profile"])
Topics = Annotated[list[Annotated[str, Query(max_length=100)]] | None, Query(max_length=20)]
MOST_NOTES = 200
"""Slots that a model chooses among."""
AgentName = Annotated[str | None, Query(max_length=200)]


@router.get("/profile/configuration")
async def read_profile_configuration(who: Operates, mind: Mind) -> ProfileConfig:
    """Which slots profiles have, and how events are tagged."""
    return await mind.db.run(lambda connection: _configuration(connection, mind))


@router.put("/profile/configuration")
async def write_profile_configuration(body: ProfileConfigBody, who: Operates, mind: Mind) -> ProfileConfig:
    """Set it for every process, from the next batch and the next question on; 422 says what is wrong."""

    async def write(connection: Connection) -> ProfileConfig:
        await write_profile(connection, body.text)
        return await _configuration(connection, mind)

    return await mind.db.transaction(write)


@router.get("/users/{user_id:id}/profile")
async def read_user_profile(
    user_id: UserId,
    who: Reads,
    mind: Mind,
    agent_id: AgentName = None,
    topic: Topics = None,
    prefer: Topics = None,
    slots_a_topic: Annotated[int | None, Query(ge=1, le=1_000)] = None,
    max_tokens: Annotated[int | None, Query(ge=1, le=100_000)] = None,
    slots: Annotated[int, Query(ge=1, le=1_000, description="Most of them.")] = 200,
) -> ProfileAnswer:
    """What is known about one person, by slot: of `prefer`, in its order, first; then what matters most."""
    only = None if topic is None else tuple(topic)
    limits = Limits(only, tuple(prefer or ()), slots_a_topic, slots=slots, tokens=max_tokens)
    ids = (await _caller(mind, user_id, agent_id)).ids

    async def read(connection: Connection) -> list[Slot]:
        profile = await read_profile(connection, mind.settings.profile_file)
        return await read_slots(connection, ids, agent_id, profile, limits, mind.now())

    return ProfileAnswer(items=[SlotAnswer.of(one, user_id) for one in await mind.db.run(read)])


@router.post("/users/{user_id:id}/profile", status_code=201)
async def fill_profile_slot(user_id: UserId, body: SlotFill, who: Writes, mind: Mind) -> SlotAnswer:
    """Put facts into a slot, beside what stands there; one that stands there already is not stored twice."""
    caller = await _caller(mind, user_id, body.agent_id)
    fill = fill_slot(mind, caller, body.topic, body.sub_topic, body.values, by_whom=who.by_whom, beside=True)
    return SlotAnswer.of(await fill, user_id)


@router.post("/users/{user_id:id}/profile/needed")
async def choose_profile_slots(
    request: Request, user_id: UserId, body: ProfileNeed, who: Reads, mind: Mind
) -> ProfileAnswer:
    """The slots that a conversation needs, chosen by the language model of the settings: not for a call that
    waits. 409 where none is set, 502 and 504 where it does not answer."""

    caller, choices = await reader(mind, user_id, body.agent_id, call_id="api")

    async def read(connection: Connection) -> list[Slot]:
        profile = await read_profile(connection, mind.settings.profile_file)
        limits = Limits(slots=MOST_NOTES)
        return await read_slots(connection, caller.ids, body.agent_id, profile, limits, mind.now())

    slots = await mind.db.run(read) if choices.memory else []
    if not slots:
        return ProfileAnswer(items=[])
    said = [Said(turn.role, turn.text) for turn in body.said]
    model: Model = request.app.state.model
    request.scope["echoic.give_back"]()  # others are answered while it thinks
    chosen = answered(await model.complete(question(slots, said, body.most)), slots, body.most)
    return ProfileAnswer(items=[SlotAnswer.of(slot, user_id) for slot in chosen])


@router.put("/users/{user_id:id}/profile/{slot_id}", responses=EDITS)
async def change_profile_slot(
    user_id: UserId,
    slot_id: UUID,
    body: SlotEdit,
    who: Writes,
    mind: Mind,
    response: Response,
    if_match: IfMatch = None,
) -> SlotAnswer:
    """Change what a slot says by changing its facts; 412 when somebody else has since it was read."""
    version = version_in(if_match)
    if version is None:
        raise Problem(
            428, "if-match-needed", "Send the slot's version as If-Match, so that no change is lost."
        )
    caller = await _caller(mind, user_id, body.agent_id)
    slot = await find_slot(mind, caller, slot_id)
    place = (slot.topic, slot.sub_topic)
    changed = await fill_slot(mind, caller, *place, body.values, by_whom=who.by_whom, version=version)
    response.headers["ETag"] = f'"{changed.version}"'
    return SlotAnswer.of(changed, user_id)


@router.delete("/users/{user_id:id}/profile/{slot_id}", status_code=204, responses=EDITS)
async def forget_profile_slot(
    user_id: UserId,
    slot_id: UUID,
    who: Writes,
    mind: Mind,
    agent_id: AgentName = None,
    if_match: IfMatch = None,
) -> None:
    """Forget every fact of a slot, as `DELETE facts/{id}` does."""
    caller = await _caller(mind, user_id, agent_id)
    slot = await find_slot(mind, caller, slot_id)
    if if_match is not None and version_in(if_match) != slot.version:
        raise FactChanged
    facts = frozenset(line.fact_id for line in slot.lines)
    await forget(CallMemory(mind, caller), ForgetRequest(fact_ids=facts))


@router.get("/users/{user_id:id}/proposals")
async def list_proposals(
    user_id: UserId,
    who: Reads,
    mind: Mind,
    agent_id: AgentName = None,
    limit: Limit = 20,
) -> ProposalsAnswer:
    """What an agent may bring up by itself: promises, what comes soon, and slots that are empty."""
    found = await proposals(mind, await _caller(mind, user_id, agent_id), limit)
    return ProposalsAnswer(items=[ProposalAnswer.of(one) for one in found])


async def _configuration(connection: Connection, mind: Memory) -> ProfileConfig:
    text = await connection.fetchval(query("setting"), STORED)
    return ProfileConfig.of(text or "", await read_profile(connection, mind.settings.profile_file))


async def _caller(mind: Memory, user_id: str, agent_id: str | None) -> Caller:
    also = await mind.links.read_along(user_id)
    return Caller(user_id, agent_id or mind.settings.agent_id, "api", also=also)
