"""Carries out what a caller asks of their memory: at once, in every store, confirmed in one sentence."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from livekit.agents import llm

from echoic.agent.call.call import Call, PendingForget
from echoic.agent.commands.memory_commands import MemoryCommand, parse_memory_command
from echoic.memory.call import CallMemory
from echoic.memory.errors import MemoryFault
from echoic.memory.privacy.forget import forget, restated
from echoic.memory.privacy.named import Named, find_named, named_in
from echoic.memory.recall.prompt import excerpt
from echoic.memory.store.turns import turn_id_for
from echoic.memory.text.language import UNKNOWN, Language, languages
from echoic.memory.text.people import shown
from echoic.memory.text.words import is_small_talk, normalise
from echoic.memory.types import ForgetRequest, Item

log = logging.getLogger("echoic.say")

TOLD = 4
"""Most things told at once: what is spoken aloud must stay short."""

SHOWN_CHARS = 120
"""Of what is read back."""
UNTOUCHED = "No memory was touched."
"""Said to nobody: the words were no matter of memory, and the model answers them."""


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The call, as a wish finds it."""

    call: Call
    memory: CallMemory
    """Whose wish it is, also when somebody else speaks before it is carried out."""
    language: Language = UNKNOWN
    """In which the caller is answered."""
    messages: Sequence[llm.ChatMessage] = ()
    """What was said so far, the wish itself last."""
    used: Sequence[Item] = ()
    """What the reply before was given from memory."""

    def turn_id(self, message: llm.ChatMessage) -> UUID:
        return turn_id_for(self.memory.caller.call_id, message.id)

    def say(self, key: str, **given: object) -> str:
        return answer(key, self.language, **given)


def answer(key: str, language: Language, **given: object) -> str:
    """A sentence of the `[answers]` of a language; English where it has none."""
    sentence = language.answers.get(key) or languages()["en"].answers[key]
    return sentence.format(**given)


async def execute(request: MemoryCommand, spoken: CommandContext) -> str:
    """Do what the caller asked, and return the one sentence that confirms it, or says why it could not be
    done. Never raises a fault."""
    if spoken.call.capture is not None:
        await spoken.call.capture.drained()  # what was said just before may still be on its way to its row
    match request.wish:
        case "stop_remembering" | "remember_again" if request.likely and _may_be_kept(spoken):
            return spoken.say("question")
        case "what_do_you_know":
            return await _tell(spoken)
        case "stop_remembering":
            return await _decide(spoken, granted=False)
        case "remember_again":
            return await _remember(spoken)
        case "forget_everything":
            return spoken.say("not_all")
        case "dont_remember_this":
            return await _forget_last(spoken, "not_kept", request)
        case "confirm_forgetting":
            return await _forget_confirmed(spoken, request)
        case "forget_that" if request.likely and (request.about or _asked_before(spoken)):
            return await _forget_likely(spoken, request)
        case "forget_that" if request.about:
            return await _forget_named(spoken, request)
        case "forget_that":
            return await _forget_last(spoken, "forgotten", request)
        case "nothing":
            return UNTOUCHED


def _may_be_kept(spoken: CommandContext) -> bool:
    return spoken.memory.persistent and spoken.memory.memory.settings.consent != "off"


async def _forget_last(spoken: CommandContext, done: str, request: MemoryCommand) -> str:
    """Forget the last exchange: what the caller said before this wish, the reply, and what of memory that
    reply told again; or the words of the wish alone. What is only likely wished is read back."""
    this_alone = request.this_alone
    wish, before = spoken.messages[-1:], [] if this_alone else _last_exchange(spoken.messages)
    turns = {spoken.turn_id(message) for message in (*before, *wish)} | _heard_since(spoken, [*before, *wish])
    if not this_alone and not before:
        turns |= _last_stored(spoken.memory, turns)
    if len(turns) == len(wish) and not this_alone:
        return spoken.say("nothing_before")
    told_again = restated(spoken.used, " ".join(message.text_content or "" for message in before))
    turns |= {item.id for item in told_again if item.kind == "turn"}
    facts = frozenset(item.id for item in told_again if item.kind == "fact")
    relations = tuple(item for item in told_again if item.kind == "relation")
    wanted = ForgetRequest(frozenset(turns), fact_ids=facts, relations=relations)
    if request.likely:
        return _ask(spoken, wanted, f"“{excerpt((before or wish)[0].text_content or '', SHOWN_CHARS)}”")
    return await _forget(spoken, wanted, done)


def _asked_before(spoken: CommandContext) -> bool:
    """Whether the caller's words before the wish were a question, which nobody takes back."""
    before = _last_exchange(spoken.messages)
    return bool(before) and (before[0].text_content or "").rstrip().endswith(("?", "？", "؟"))


async def _forget_likely(spoken: CommandContext, request: MemoryCommand) -> str:
    """What the wish names of what is remembered nearest to its words; of a wish that may name nothing, the
    last exchange."""
    words = spoken.messages[-1].text_content or ""
    recall, own = await spoken.memory.recall(words), {*map(spoken.turn_id, spoken.messages[-1:])}
    items = [item for item in recall.used if own.isdisjoint(item.turn_ids)]
    named = named_in(words, items, spoken.language)
    if not named and not request.about:
        return await _forget_last(spoken, "forgotten", request)
    return await _forget_named(spoken, replace(request, about=named, perhaps=True))


async def _forget_named(spoken: CommandContext, request: MemoryCommand) -> str:
    """Forget one thing at once; of more it is read back what would go, and they go at a yes."""
    own = frozenset(map(spoken.turn_id, spoken.messages[-1:]))
    named = _without(own, await find_named(spoken.memory, request.about, spoken.language))
    wanted = ForgetRequest(own, named.turn_ids - own, named.fact_ids, named.versions)
    if not named.things:
        return UNTOUCHED if request.perhaps else await _forget(spoken, wanted, "not_found")
    if named.things == 1 and named.sure and not request.perhaps:
        return await _forget(spoken, wanted, "forgotten")
    if not named.reached:  # without a yes, only from this call
        spoken.memory.forget_items(wanted.turn_ids | wanted.lone_turn_ids | wanted.fact_ids)
        return spoken.say("out_of_reach")
    return _ask(spoken, wanted, _read_back(spoken, named), request.about)


def _ask(spoken: CommandContext, wanted: ForgetRequest, what: str, named: str = "") -> str:
    """The question at whose yes it goes."""
    question = spoken.say("read_back", what=what)
    spoken.call.pending = PendingForget(spoken.memory, wanted, named, question)
    return question


async def _forget_confirmed(spoken: CommandContext, request: MemoryCommand) -> str:
    """What was read back goes, with the wish, the question, the yes, and what was learned meanwhile.

    What is only likely a yes is asked again: of twenty who refused, meaning takes one for it.
    """
    pending, talk = spoken.call.pending, spoken.messages[-3:]
    if pending is None or len(talk) < 3 or not may_forget(spoken.call, talk[1]):
        return UNTOUCHED
    said = {spoken.turn_id(message) for message in talk} | _heard_since(spoken, talk)
    if request.likely:
        wanted = replace(pending.wanted, turn_ids=pending.wanted.turn_ids | said)
        spoken.call.pending = replace(pending, wanted=wanted)
        return pending.question
    spoken.call.pending = None
    also = said - ({spoken.turn_id(talk[-1])} if request.rest else set())  # more words want an answer
    late = (await find_named(spoken.memory, pending.what, spoken.language)).facts
    facts = {fact.id for fact in late if not pending.wanted.lone_turn_ids.isdisjoint(fact.turn_ids)}
    wanted = replace(
        pending.wanted,
        turn_ids=pending.wanted.turn_ids | also,
        fact_ids=pending.wanted.fact_ids | facts,
    )
    return await _forget(spoken, wanted, "forgotten")


def may_forget(call: Call, message: llm.ChatMessage) -> bool:
    """Whether this is the question that waits for the caller's yes."""
    pending = call.pending
    return (
        pending is not None
        and pending.memory is call.call_memory
        and message.role == "assistant"
        and normalise(pending.question) in normalise(message.text_content or "")
    )


def _without(own: Collection[UUID], named: Named) -> Named:
    return replace(named, turns=[item for item in named.turns if item.id not in own])


def _read_back(spoken: CommandContext, named: Named) -> str:
    """The most important of what would go, and how much goes with it."""
    first, *facts = [*named.facts, *named.sentences]
    sentences = len(named.sentences) - (not named.facts)
    counts = (("fact", len(facts) - sentences), ("sentence", sentences))
    more = [spoken.say(f"{one}s" if count > 1 else one, count=count) for one, count in counts if count]
    text = excerpt(first.text, SHOWN_CHARS).rstrip(".。।")
    return spoken.say("and").join(filter(None, [", ".join([f"“{text}”", *more[:-1]]), *more[-1:]]))


async def _forget(spoken: CommandContext, wanted: ForgetRequest, done: str) -> str:
    call = spoken.memory
    # at once: neither recalled nor shown any more, whatever a store says
    call.forget_items(wanted.turn_ids | wanted.lone_turn_ids | wanted.fact_ids)
    try:
        gone = await forget(call, wanted)
    except MemoryFault as exc:
        log.warning("say.not_forgotten", extra={"error": type(exc).__name__})
        return spoken.say("out_of_reach")
    log.info("say.forgotten", extra={"turns": len(gone.turns), "facts": len(gone.facts)})
    return spoken.say(done)


async def _remember(spoken: CommandContext) -> str:
    if not spoken.memory.persistent:
        return spoken.say("nobody")
    if spoken.memory.memory.settings.consent == "off":
        return spoken.say("never_here")
    return await _decide(spoken, granted=True)


async def _decide(spoken: CommandContext, *, granted: bool) -> str:
    try:
        await spoken.memory.decide(granted)
    except MemoryFault as exc:
        log.warning("say.not_noted", extra={"error": type(exc).__name__})
        return spoken.say("not_noted")
    return spoken.say("agreed" if granted else "stopped")


async def _tell(spoken: CommandContext) -> str:
    """What is known, most important first; where nothing was learned yet, what they said last."""
    call = spoken.memory
    facts = [shown(item.text, item.about) for item in call.recent.profile]
    try:
        if call.persistent:
            known = await call.memory.facts.profile(call.caller, limit=100)
            facts = [shown(fact.text, fact.about) for fact in known]
    except MemoryFault:
        if not facts and not call.recent.now:
            return spoken.say("unread")
    told = [text.rstrip(".") for text in facts] or [f"“{text.rstrip('.')}”" for text in _own_words(call)]
    if not told:
        return spoken.say("nothing_known")
    more = spoken.say("and_more", count=len(facts) - TOLD) if len(facts) > TOLD else ""
    return spoken.say("known" if facts else "told", what=f"{'; '.join(told[:TOLD])}{more}")


def _own_words(call: CallMemory) -> list[str]:
    held = (*reversed(call.recent.now), *call.recent.last_call)
    return [item.text for item in held if item.role == "user" and _says_something(item.text)]


def _says_something(text: str) -> bool:
    return not is_small_talk(text) and parse_memory_command(text) is None and not text.rstrip().endswith("?")


def _heard_since(spoken: CommandContext, exchange: Sequence[llm.ChatMessage]) -> set[UUID]:
    """Also the words of these moments that never became a part of the conversation."""
    if not exchange:
        return set()
    since = datetime.fromtimestamp(exchange[0].created_at, UTC)
    return {item.id for item in spoken.memory.recent.now if item.said_at >= since}


def _last_stored(call: CallMemory, besides: set[UUID]) -> set[UUID]:
    """The last exchange of a call that another agent began: it stands in memory only."""
    now = [item for item in call.recent.now if item.id not in besides]
    last = next((at for at in reversed(range(len(now))) if now[at].role == "user"), len(now))
    return {item.id for item in now[last:]}


def _last_exchange(messages: Sequence[llm.ChatMessage]) -> list[llm.ChatMessage]:
    """From the caller's last words before the wish to the wish, which is not part of it."""
    said_before = [at for at, message in enumerate(messages[:-1]) if message.role == "user"]
    return list(messages[said_before[-1] : -1]) if said_before else []
