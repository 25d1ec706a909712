"""Carries out what a caller asks of their memory: at once, in every store, confirmed in one sentence."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from livekit.agents import llm

from echoic.agent.commands.memory_commands import MemoryCommand, parse_memory_command
from echoic.memory.call import CallMemory
from echoic.memory.errors import MemoryFault
from echoic.memory.privacy.forget import forget, restated, stems
from echoic.memory.store.turns import turn_id_for
from echoic.memory.text.spoken_dates import said
from echoic.memory.text.words import is_small_talk
from echoic.memory.types import ForgetRequest, Item

log = logging.getLogger("echoic.say")

TOLD = 4
"""Most things told at once: what is spoken aloud must stay short."""

FORGOTTEN = "Done, I have forgotten that."
NOT_KEPT = "All right, I will not remember that."
NOT_FOUND = "I found nothing about that in my memory."
NOTHING_BEFORE = "There is nothing in this call yet that I could forget."
STOPPED = "All right, from now on I will not remember what you say."
AGREED = "Thank you, I will remember what we talk about."
NEVER_HERE = "I am set up not to remember anything after our call."
NOBODY = "I do not know who you are, so I forget this call when it ends."
NOTHING_KNOWN = "I do not remember anything about you yet."
NOT_ALL = (
    "I can forget whatever you name, one thing at a time; to erase everything, ask those who run this "
    "service."
)
NO_MEMORY = "I have no memory in this call."
OUT_OF_REACH = (
    "I cannot reach my memory right now, so I have dropped it from this call only; please ask me again later."
)
NOT_NOTED = "I will do so in this call, but I cannot reach my memory to note it for the next one."
UNREAD = "I cannot reach my memory right now; please ask me again later."


class Captures(Protocol):
    """What is being written of a call."""

    async def drained(self) -> None:
        """Return when every word heard so far is stored."""
        ...


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The call, as a wish finds it."""

    call_memory: CallMemory
    messages: Sequence[llm.ChatMessage] = ()
    """What was said so far, the wish itself last."""
    used: Sequence[Item] = ()
    """What the reply before was given from memory."""
    capture: Captures | None = None

    def turn_id(self, message: llm.ChatMessage) -> UUID:
        return turn_id_for(self.call_memory.caller.call_id, message.id)


async def execute(request: MemoryCommand, spoken: CommandContext) -> str:
    """Do what the caller asked, and return the one sentence that confirms it, or says why it could not be
    done. Never raises a fault."""
    if spoken.capture is not None:
        await spoken.capture.drained()  # what was said just before may still be on its way to its row
    match request.wish:
        case "what_do_you_know":
            return await _tell(spoken.call_memory)
        case "stop_remembering":
            return await _stop(spoken)
        case "remember_again":
            return await _remember(spoken.call_memory)
        case "forget_everything":
            return NOT_ALL
        case "dont_remember_this":
            return await _forget_last(spoken, NOT_KEPT, this_alone=request.this_alone)
        case "forget_that" if request.about:
            return await _forget_about(spoken, request.about)
        case "forget_that":
            return await _forget_last(spoken, FORGOTTEN)


async def _forget_last(spoken: CommandContext, done: str, *, this_alone: bool = False) -> str:
    """Forget the last exchange: what the caller said before this wish, the reply, and what of memory that
    reply told again.

    Args:
        this_alone: forget the words of the wish itself, and nothing before them.
    """
    wish, before = spoken.messages[-1:], [] if this_alone else _last_exchange(spoken.messages)
    turns = {spoken.turn_id(message) for message in (*before, *wish)} | _heard_since(spoken, [*before, *wish])
    if not this_alone and not before:
        turns |= _last_stored(spoken.call_memory, turns)
    if len(turns) == len(wish) and not this_alone:
        return NOTHING_BEFORE
    told_again = restated(spoken.used, " ".join(message.text_content or "" for message in before))
    turns |= {item.id for item in told_again if item.kind == "turn"}
    facts = frozenset(item.id for item in told_again if item.kind == "fact")
    relations = tuple(item for item in told_again if item.kind == "relation")
    return await _forget(spoken, ForgetRequest(frozenset(turns), facts, relations=relations), done)


async def _forget_about(spoken: CommandContext, about: str) -> str:
    """Forget every turn and fact in which all that is named stands; the wish itself names it too."""
    named, wish = stems(about), spoken.messages[-1:]
    own = {spoken.turn_id(message) for message in wish}
    in_call = {
        spoken.turn_id(message) for message in spoken.messages if named <= stems(message.text_content or "")
    }
    return await _forget(spoken, ForgetRequest(frozenset(own | in_call), about=named), FORGOTTEN, besides=own)


async def _forget(
    spoken: CommandContext, wanted: ForgetRequest, done: str, *, besides: set[UUID] | None = None
) -> str:
    call = spoken.call_memory
    # at once: neither recalled nor shown any more, whatever a store says
    call.forget_items(wanted.turn_ids | wanted.fact_ids)
    try:
        gone = await forget(call, wanted)
    except MemoryFault as exc:
        log.warning("say.not_forgotten", extra={"error": type(exc).__name__})
        return OUT_OF_REACH
    log.info("say.forgotten", extra={"turns": len(gone.turns), "facts": len(gone.facts)})
    return done if gone.turns - (besides or set()) or gone.facts else NOT_FOUND


async def _stop(spoken: CommandContext) -> str:
    call = spoken.call_memory
    try:
        await call.decide(granted=False)
    except MemoryFault as exc:
        log.warning("say.not_noted", extra={"error": type(exc).__name__})
        return NOT_NOTED
    return STOPPED


async def _remember(call: CallMemory) -> str:
    if not call.persistent:
        return NOBODY
    if call.memory.settings.consent == "off":
        return NEVER_HERE
    try:
        await call.decide(granted=True)
    except MemoryFault as exc:
        log.warning("say.not_noted", extra={"error": type(exc).__name__})
        return NOT_NOTED
    return AGREED


async def _tell(call: CallMemory) -> str:
    """What is known, most important first; where nothing was learned yet, what they said last."""
    try:
        facts = [item.text for item in call.recent.profile] if not call.persistent else await _facts(call)
    except MemoryFault:
        facts = [item.text for item in call.recent.profile]
        if not facts and not call.recent.now:
            return UNREAD
    if facts:
        more = len(facts) - TOLD
        rest = f", and {more} more {'thing' if more == 1 else 'things'}" if more > 0 else ""
        return f"This is what I know about you: {'; '.join(fact.rstrip('.') for fact in facts[:TOLD])}{rest}."
    return _told_last(call)


async def _facts(call: CallMemory) -> list[str]:
    known = await call.memory.facts.profile(call.caller, limit=100)
    return [fact.text for fact in known]


def _told_last(call: CallMemory) -> str:
    zone, now = ZoneInfo(call.caller.timezone), datetime.now(UTC)
    own = [
        item
        for item in (*reversed(call.recent.now), *call.recent.last_call)
        if item.role == "user" and _says_something(item.text)
    ]
    if not own:
        return NOTHING_KNOWN
    quotes = [f"{said(item.said_at, now, zone)}: “{item.text.rstrip('.')}”" for item in own[:TOLD]]
    return f"This is what you told me: {'; '.join(quotes)}."


def _says_something(text: str) -> bool:
    return not is_small_talk(text) and parse_memory_command(text) is None and not text.rstrip().endswith("?")


def _heard_since(spoken: CommandContext, exchange: Sequence[llm.ChatMessage]) -> set[UUID]:
    """Also the words of these moments that never became a part of the conversation."""
    if not exchange:
        return set()
    since = datetime.fromtimestamp(exchange[0].created_at, UTC)
    return {item.id for item in spoken.call_memory.recent.now if item.said_at >= since}


def _last_stored(call: CallMemory, besides: set[UUID]) -> set[UUID]:
    """The last exchange of a call that another agent began: it stands in memory only."""
    now = [item for item in call.recent.now if item.id not in besides]
    last = next((at for at in reversed(range(len(now))) if now[at].role == "user"), len(now))
    return {item.id for item in now[last:]}


def _last_exchange(messages: Sequence[llm.ChatMessage]) -> list[llm.ChatMessage]:
    """From the caller's last words before the wish to the wish, which is not part of it."""
    said_before = [at for at, message in enumerate(messages[:-1]) if message.role == "user"]
    return list(messages[said_before[-1] : -1]) if said_before else []
