"""Forget one thing of one person: by its id, or by words of it where these fit one thing only."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from echoic.memory.call import CallMemory
from echoic.memory.errors import StoreUnavailable
from echoic.memory.privacy.forget import forget
from echoic.memory.privacy.named import find_named
from echoic.memory.recall.prompt import excerpt
from echoic.memory.review import facts, people
from echoic.memory.service import Memory
from echoic.memory.text.language import Language, language_of
from echoic.memory.text.people import shown
from echoic.memory.types import Caller, ForgetRequest

SHOWN, SHOWN_CHARS = 10, 120
LAST_SAID = 6
"""Of the person's last turns, which tell in what language the words are: these are too few."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it."""

    sentence: str
    forgotten: list[str] = field(default_factory=list)
    """Ids of facts and turns."""
    candidates: list[dict[str, str]] = field(default_factory=list)
    """What fits, where that is several things: `id` and `memory`."""


async def forget_one(memory: Memory, user_id: str, memory_id: UUID) -> Done:
    """Forget a fact, with the words that it rests on, or a turn, with what was learned from it.

    Of a memory that is not this user's, or is another agent's, nothing is done.

    Raises:
        StoreUnavailable: Postgres did not do it.
    """
    agent_id = memory.settings.agent_id
    found = await facts.fact(memory.db, user_id, memory_id)
    if found is not None and (found.fact.scope == "user" or found.fact.agent_id == agent_id):
        turns = frozenset(found.fact.turn_ids)
        wanted = ForgetRequest(lone_turn_ids=turns, fact_ids=frozenset({memory_id}))
        call = _call(memory, found.fact.user_id)  # which may be another id of theirs
        return await _forgotten(call, wanted, shown(found.fact.text, found.fact.about))
    said = await people.turns_by_id(memory.db, user_id, [memory_id])
    if said and said[0].agent_id == agent_id:
        call = _call(memory, said[0].user_id)
        return await _forgotten(call, ForgetRequest(frozenset({memory_id})), said[0].text)
    return Done("")


async def forget_named(memory: Memory, user_id: str, about: str) -> Done:
    """Forget the one thing that holds these words; of several, and of words that only hang others together,
    none is forgotten, and they are listed.

    Raises:
        StoreUnavailable: Postgres did not do it, or cannot be asked.
    """
    call = _call(memory, user_id, await memory.links.read_along(user_id))
    named = await find_named(call, about, await _language(memory, user_id, about))
    if not named.reached:
        raise StoreUnavailable
    if not named.things:
        if named.archived or named.versions:  # what nobody sees any more goes all the same
            await forget(call, named.wanted)
        return Done("Nothing was forgotten: nothing that is remembered holds these words.")
    things = [*named.facts, *named.sentences]
    if named.things > 1 or not named.sure:
        candidates = [
            {"id": str(item.id), "memory": _short(shown(item.text, item.about))} for item in things[:SHOWN]
        ]
        lines = [f"- {one['id']}: {one['memory']}" for one in candidates]
        sentence = (
            f"Nothing was forgotten yet: {len(things)} memories may be meant. Ask the user which, and call "
            "forget with its memory_id."
        )
        return Done("\n".join([sentence, *lines]), candidates=candidates)
    return await _forgotten(call, named.wanted, shown(things[0].text, things[0].about))


async def _forgotten(call: CallMemory, wanted: ForgetRequest, text: str) -> Done:
    gone = await forget(call, wanted)
    ids = sorted(map(str, gone.turns | gone.facts))
    return Done(f"Forgotten for good: “{_short(text)}”", ids)


async def _language(memory: Memory, user_id: str, about: str) -> Language:
    choices = await memory.choices.read(user_id)
    turns = await people.turns(memory.db, user_id, None, None, 2 * LAST_SAID)
    said = [one.turn.text for one in turns if one.turn.role == "user"][:LAST_SAID]
    # the first time in a process it takes 0.1 s to tell a language
    return await asyncio.to_thread(language_of, [*said, about], choices.language_code)


def _call(memory: Memory, user_id: str, also: tuple[str, ...] = ()) -> CallMemory:
    settings = memory.settings
    return CallMemory(memory, Caller(user_id, settings.agent_id, "mcp", settings.timezone, also=also))


def _short(text: str) -> str:
    return " ".join(excerpt(text, SHOWN_CHARS).split())
