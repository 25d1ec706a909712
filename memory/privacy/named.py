"""Find what somebody names of what is remembered about them: by canonical words, in any language."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from uuid import UUID

from echoic.memory.call import CallMemory
from echoic.memory.errors import MemoryFault
from echoic.memory.text.canonical import (
    beginning,
    clauses,
    has,
    is_unspaced,
    same,
    same_stem,
    sentences,
    squash,
    together,
    tokens,
)
from echoic.memory.text.content import function_words, tells
from echoic.memory.text.language import Language
from echoic.memory.text.people import shown
from echoic.memory.types import Caller, Fact, ForgetRequest, Item, Turn

MOST_NAMED = 4
"""Words in what is named; more is a sentence about something else."""
MOST_PIECES = 4
"""Words that one word may be written as: "mother in law", "L'Haÿ les Roses"."""
LEAST_SHARED = 2
"""Letters that name something where no spaces are written."""


@dataclass(frozen=True, slots=True)
class Named:
    """What is remembered about something."""

    facts: Sequence[Item] = ()
    """Most important first."""
    turns: Sequence[Item] = ()
    """Those that no fact here rests on, oldest first."""
    sure: bool = True
    """False: only words that hang others together were named, or what was named stands there as a part of
    something: a "husband" of "ex-husband"."""
    reached: bool = True
    """False: Postgres was away, and these are what this process holds."""
    archived: frozenset[UUID] = frozenset()
    """Facts that an undo would bring back: nobody is told of them, and they go with the rest."""
    versions: frozenset[int] = frozenset()
    """So do changes before which a fact that stays said it."""

    @property
    def fact_ids(self) -> frozenset[UUID]:
        return frozenset(item.id for item in self.facts) | self.archived

    @property
    def turn_ids(self) -> frozenset[UUID]:
        """Also the turns that the facts rest on."""
        return frozenset(turn_id for item in (*self.facts, *self.turns) for turn_id in item.turn_ids)

    @property
    def wanted(self) -> ForgetRequest:
        """All of it is to be forgotten."""
        return ForgetRequest(lone_turn_ids=self.turn_ids, fact_ids=self.fact_ids, versions=self.versions)

    @property
    def sentences(self) -> Sequence[Item]:
        """Turns as a caller counts them: what the agent said after them is no thing of its own."""
        return [item for item in self.turns if item.role == "user"] or ([] if self.facts else self.turns)

    @property
    def things(self) -> int:
        """How many go: a fact with its own turns is one, and so is any other turn."""
        return len(self.facts) + len(self.sentences)


async def find_named(call: CallMemory, what: str, language: Language) -> Named:
    """Facts and turns of this caller, as their agent may see them, in which all that is named stands.

    Raises no fault: without Postgres it is what the calls of this process hold, and its spool.
    """
    held, reached, stored = list(_held(call)), True, _Stored()
    if call.persistent:
        try:
            stored = await _stored(call, _pattern(what, language))
        except MemoryFault:
            reached = False

    def look() -> tuple[list[Item], bool, dict[UUID, int | None]]:
        pool = {item.id: item for item in (*held, *stored.items(call.caller))}
        past = stored.past(call.caller)
        found, sure = _naming([*pool.values(), *(item for item, _ in past)], what, language)
        return found, sure, {item.id: change_id for item, change_id in past}

    found, sure, archived = await asyncio.to_thread(look)
    past = {item.id: archived[item.id] for item in found if item.id in archived} if sure else {}
    facts = sorted(
        (item for item in found if item.kind == "fact" and item.id not in archived),
        key=lambda item: (item.valid_until is None, item.score),
        reverse=True,
    )
    own = {turn_id for item in facts for turn_id in item.turn_ids}
    turns = sorted(
        (item for item in found if item.kind == "turn" and item.id not in own), key=lambda item: item.said_at
    )
    gone = frozenset(one for one, change_id in past.items() if change_id is None)
    earlier = frozenset(change_id for change_id in past.values() if change_id is not None)
    return Named(facts, turns, sure, reached, gone, earlier)


def names_something(what: str, language: Language) -> bool:
    """Whether these words name something: "my dog", and neither "him" nor "my dog and call me"."""
    words = _words(what, language)
    few = len(_telling(words, language)) <= MOST_NAMED
    said = together(tokens(what))
    # "forget about getting there on time" gives up an act
    acts = tuple((ending,) for ending in language.wishes.get("acts", ()))
    return (
        bool(words)
        and few
        and not has((*language.negation, *language.breaks), said)
        and not has(acts, said[:1])
    )


def named_in(sentence: str, items: Sequence[Item], language: Language) -> str:
    """What a sentence names of these: its longest run of telling words, or of letters where no spaces are
    written, that stands in one of them, first in the first; empty where none does."""
    telling, named = _telling(_words(sentence, language), language), ""
    for item in items:
        text = together(tokens(shown(item.text, item.about)))
        shared = [_shared(word, text, language) for word in telling]
        for stands, run in groupby(shared, bool):
            named = max(named, " ".join(list(run)[:MOST_NAMED]) if stands else "", key=_length)
    return named


def _shared(word: str, text: Sequence[str], language: Language) -> str:
    """Of a word what stands in a text: all of it, in some form, or of unspaced letters the longest part."""
    if not is_unspaced(word):
        return word if _stands(word, text, language) else ""
    said = squash(text)
    part = SequenceMatcher(None, word, said, autojunk=False).find_longest_match()
    return word[part.a : part.a + part.size] if part.size >= LEAST_SHARED else ""


def _length(named: str) -> int:
    """In words; letters where no spaces are written."""
    return len(named) if is_unspaced(named) else len(named.split())


def _naming(items: Sequence[Item], what: str, language: Language) -> tuple[list[Item], bool]:
    """Those in which every word stands, or where none is, as parts of others; False: it is not sure that
    they are meant."""
    telling, ways = _ways(what, language)
    texts = {item: tokens(shown(item.text, item.about)) for item in items}
    for write in (together, list):
        found = [item for item, text in texts.items() if _has_one(ways, write(text), language)]
        if found:
            ids = {item.id for item in found}
            left = {item: text for item, text in texts.items() if item.id not in ids}
            quoted = {one: _own_words(one, left[one], language) for one in _learned_from(found, left)}
            learned = [one for one, said in quoted.items() if _any_has(ways, map(write, said), language)]
            alike = all(_has_a_word(telling, left[fact], language) for fact in learned)
            replies = _replies(found, left, telling, language)
            return [*found, *learned, *replies], bool(telling) and write is together and alike
    return [], bool(telling)


def _ways(what: str, language: Language) -> tuple[list[str], list[list[str]]]:
    """The telling words of what is named, and the ways to write it, of each of which all words must stand."""
    words = _words(what, language)
    telling = _telling(words, language)
    return telling, [telling or words, *([one] for one in _as_one(what, telling))] if words else []


def _pattern(what: str, language: Language) -> str | None:
    """For Postgres: where it does not stand, nothing is named; None where it cannot tell.

    Of each way the word of which most letters are sure, with whatever may stand between these: "e mail".
    """
    begins = [max((beginning(word, language) for word in way), key=len) for way in _ways(what, language)[1]]
    if not begins or min(map(len, begins)) < LEAST_SHARED:
        return None
    return "|".join("[^a-zA-Z0-9]*.{0,3}".join(f"[{one}{one.upper()}]" for one in word) for word in begins)


def _learned_from(found: Sequence[Item], left: Iterable[Item]) -> list[Item]:
    """Facts of turns that are found, perhaps in other words: "has an allergy" for "I am allergic"."""
    turns = {turn_id for one in found for turn_id in one.turn_ids}
    return [item for item in left if item.kind == "fact" and not turns.isdisjoint(item.turn_ids)]


def _own_words(fact: Item, text: Sequence[str], language: Language) -> list[list[str]]:
    """What of its quote a fact rests on: the sentences that say most of it, or clauses that say as much."""
    told = _telling(text, language)

    def most(quoted: list[list[str]]) -> tuple[int, list[list[str]]]:
        shared = [sum(_stands(word, said, language) for word in told) for said in quoted]
        best = max(shared, default=0)
        return best, [said for said, count in zip(quoted, shared, strict=True) if count == best]

    by_sentence, by_clause = most([*map(tokens, sentences(fact.quote))]), most(clauses(fact.quote, language))
    return (by_clause if by_clause[0] == by_sentence[0] > 0 else by_sentence)[1]


def _replies(
    found: Sequence[Item], left: Mapping[Item, Sequence[str]], telling: Sequence[str], language: Language
) -> list[Item]:
    """What the agent said next, where it has a word of what is named: "Peanuts, I see"."""
    turns = sorted((item for item in (*found, *left) if item.kind == "turn"), key=lambda item: item.said_at)
    return [
        reply
        for said, reply in pairwise(turns)
        if (said.role, reply.role) == ("user", "assistant")
        and said not in left
        and _has_a_word(telling, left.get(reply, ()), language)
    ]


def _has_a_word(words: Sequence[str], text: Sequence[str], language: Language) -> bool:
    return any(_stands(word, text, language) for word in words)


def _any_has(ways: Sequence[Sequence[str]], texts: Iterable[Sequence[str]], language: Language) -> bool:
    return any(_has_one(ways, text, language) for text in texts)


def _has_one(ways: Sequence[Sequence[str]], text: Sequence[str], language: Language) -> bool:
    return any(all(_stands(word, text, language) for word in way) for way in ways)


def _as_one(what: str, telling: Sequence[str]) -> list[str]:
    """What is named as one word, from any word on: who says "my e mail" may mean what is written "email"."""
    said = tokens(what)
    first = next((at for at, word in enumerate(said) if word in telling), 0)
    return [squash(said[at:]) for at in range(first + 1)] if len(said) - first < MOST_PIECES else []


def _pronouns(language: Language) -> frozenset[str]:
    return frozenset(squash(tokens(" ".join(phrase))) for phrase in (*language.self, *language.others))


def _words(what: str, language: Language) -> list[str]:
    """Without pronouns; what is written together, or in a script without spaces, is one word.

    Short words tell something where no others do: "Jo", "TV".
    """
    groups = groupby(together(tokens(what)), is_unspaced)
    words = [word for unspaced, run in groups for word in ([squash(run)] if unspaced else run)]
    words = [word for word in words if word not in _pronouns(language)]
    functions = function_words(language.code)
    return [word for word in words if tells(word)] or [word for word in words if word not in functions]


def _telling(words: Sequence[str], language: Language) -> list[str]:
    """Also what people have, such as a "number", which is a common word too."""
    things = together(tokens(" ".join(language.wishes.get("mine", ()))))
    return [word for word in words if word not in function_words(language.code) or word in things]


def _stands(word: str, text: Sequence[str], language: Language) -> bool:
    """Whether a form of the word is there, also in pieces; where stems are known, "party" is no form of
    "partner"."""
    if is_unspaced(word):
        return word in squash(text)
    form = same_stem if language.stemmer else same
    return any(form(word, one, language) for one in _written(word, text))


def _written(word: str, text: Sequence[str]) -> Iterable[str]:
    """The words of a text, and runs of them that may be this one, written in pieces: "e mail"."""
    yield from text
    for at, first in enumerate(text):
        if len(first) < len(word) and word.startswith(first):
            yield from (squash(text[at : at + size]) for size in range(2, MOST_PIECES + 1))


def _held(call: CallMemory) -> Iterable[Item]:
    """What this process holds of the same person and agent; no store may know the newest of it yet."""
    whose = call.caller.user_id, call.caller.agent_id
    calls = {call, *(one for one in call.memory.calls if (one.caller.user_id, one.caller.agent_id) == whose)}
    held = (item for one in calls for item in (*one.recent.profile, *one.recent.last_call, *one.recent.now))
    return (item for item in held if item.kind != "relation")


def _seen(facts: Iterable[Fact], caller: Caller) -> list[Item]:
    """Those that this agent may see; a link may be newer than the call."""
    theirs = (fact for fact in facts if fact.user_id in caller.ids)
    return [
        Item.of_fact(fact, "", fact.importance)
        for fact in theirs
        if fact.scope == "user" or fact.agent_id == caller.agent_id
    ]


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is kept of which anything may be named; a thread makes items of it."""

    facts: Sequence[Fact] = ()
    turns: Sequence[Turn] = ()
    versions: Sequence[tuple[Fact, int | None]] = ()
    """As `FactStore.past`."""

    def items(self, caller: Caller) -> list[Item]:
        own = (turn for turn in self.turns if turn.user_id in caller.ids and turn.agent_id == caller.agent_id)
        return [*_seen(self.facts, caller), *(Item.of_turn(turn, "") for turn in own)]

    def past(self, caller: Caller) -> list[tuple[Item, int | None]]:
        return [(item, change_id) for fact, change_id in self.versions for item in _seen([fact], caller)]


async def _stored(call: CallMemory, pattern: str | None) -> _Stored:
    memory, caller = call.memory, call.caller
    facts = await memory.facts.list(caller.user_id, include_closed=True)
    turns = [*await memory.turns.naming(caller, pattern)]
    for user_id in caller.ids:
        turns += await memory.spool.of_user(user_id)
    return _Stored(facts, turns, await memory.facts.past(caller.user_id))
