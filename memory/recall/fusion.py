"""What several tiers found, as one list: what they say about the same thing stands there once, at the better
of its places.

Scores of two tiers cannot be compared, so turns and facts keep their order, and relations of the graph take
places between them. Of what was said of one matter the newest comes first: a change matches a question less
than what it changed. A relation that says what a fact says becomes one line with it: the fuller words, the
dates of both. Only what is surely the same is: two lines too many cost a few tokens, but "Ana lives in Porto"
and "Works in Porto" made one would lose something.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from functools import cache, lru_cache
from itertools import islice
from uuid import UUID

from echoic.memory.text.canonical import has, tokens
from echoic.memory.text.language import languages
from echoic.memory.text.people import may_be_one, shown, whose
from echoic.memory.text.words import is_small_talk, languages_of, normalise, terms
from echoic.memory.types import GRAPH_TIER, Item

ONE_MATTER = {"turn": 0.18, "fact": 0.5}
"""Share of its words, by how rare they are among the best, that the shorter of two statements has in common
with the other when both are of one matter. A fact is short, and two facts of one person are alike. What that
finds, and what it costs, is in docs/decisions.md.
"""
ORDERED, BEST = 8, 16
"""Items among which the newest is sought, as many as a block holds, so that nothing leaves it; and those that
tell which words are rare."""
EVERY = 3
"""A relation stands behind the first and then behind every third item of the stores, two of eight lines where
none says the same as they. Of 89 temporal questions 87 were right (every second: 86, every fourth: 87; facts
alone: 85, evals/temporal.py)."""
SOURCES = 3
"""A relation drawn from more turns than these (a whole batch) is about none of them in particular."""
SHORTEST = 2
"""Terms with which a statement must begin like another one from the same turn, and end, to say a part of it.
"""
RETOLD = 0.6
"""Share of a relation's terms that its turn must have: who speaks says "I", and the relation a name."""
LONG_CHARS = 800
"""Most of a text whose words are counted for a block, forty seconds of speech: new words take 40 us each."""
CALLER = frozenset({"caller", "user"})
"""Stems for who speaks: one statement names them, another leaves them out."""


# the same lines come up question after question: without these caches a block took twice as long
@lru_cache(maxsize=4_096)
def features(text: str) -> tuple[str, frozenset[str], bool]:
    """A text's key, its terms, and whether it tells nothing: small talk, or what the agent says of memory; of
    a long one the beginning and the length count."""
    if len(text) > LONG_CHARS:
        return f"{normalise(text[:LONG_CHARS])} {len(text)}", frozenset(terms(text[:LONG_CHARS])), False
    key = normalise(text)
    return key, frozenset(terms(text)), is_small_talk(text) or key in _said_of_memory()


@cache
def _said_of_memory() -> frozenset[str]:
    """ "Done, I have forgotten that.", in every language: next to what was forgotten, it would come in its
    place."""
    sentences = (one for language in languages().values() for one in language.answers.values())
    return frozenset(normalise(one) for one in sentences if "{" not in one)


def forget_texts() -> None:
    """Someone was erased: the caches here hold sentences."""
    features.cache_clear()
    _stems.cache_clear()
    _denies.cache_clear()


def fused(items: Iterable[Item]) -> list[Item]:
    """All of `items`, best first: turns and facts by their scores, relations between them, and the same thing
    once."""
    best = sorted(items, key=lambda item: (-item.score, -item.said_at.timestamp()))
    relations = [item for item in best if item.kind == "relation"]
    others = newest_of_a_matter([item for item in best if item.kind != "relation"])
    if not relations:
        return others
    return _before_their_turns(joined(others, relations))


def joined(items: Sequence[Item], relations: Sequence[Item]) -> list[Item]:
    """Both in their order, relations between the others, and the same statement once."""
    if not relations:
        return list(items)
    kept: list[Item] = []
    alike: defaultdict[Hashable, list[int]] = defaultdict(list)
    """Places of statements that may say the same: of one id, or with the same first term."""
    for item in _woven(items, relations):
        keys = () if item.kind == "turn" else (item.id, _stems(item.text)[:1])
        at = next((at for key in keys for at in alike[key] if _says_the_same(item, kept[at])), None)
        if at is None:
            for key in keys:
                alike[key].append(len(kept))
            kept.append(item)
        else:
            kept[at] = _merged(kept[at], item)
    return kept


def newest_of_a_matter(items: Sequence[Item]) -> list[Item]:
    """The items in their order, and of the best ones that are of one matter the newest where the first of
    them stands.

    Facts and what the caller said tell how things are; an agent repeats what it was told.
    """
    words = [features(shown(item.text, item.about))[1] for item in items[:BEST]]
    said = Counter(term for found in words for term in found)
    rarity = {term: math.log((len(words) + 1) / count) for term, count in said.items()}

    def weight(found: frozenset[str]) -> float:
        return sum(map(rarity.__getitem__, found))

    weights = [*map(weight, words)]

    def of_one_matter(one: int, other: int) -> bool:
        shared, shorter = weight(words[one] & words[other]), min(weights[one], weights[other])
        return shared > 0 and shared >= ONE_MATTER[items[one].kind] * shorter

    def replaces(newer: int, older: int) -> bool:
        one, other = items[newer], items[older]
        return one.kind == other.kind and one.said_at > other.said_at and of_one_matter(newer, older)

    told = [at for at, item in enumerate(items[:ORDERED]) if item.kind == "fact" or item.role == "user"]
    order = list(range(len(items)))
    for older in told:
        place = order.index(older)
        newer = [one for one in told if order.index(one) > place and replaces(one, older)]
        if newer:
            newest = max(newer, key=lambda one: items[one].said_at)
            passed = order[place : order.index(newest)]
            # a turn is shown only where none of its facts stands before it
            before = [one for one in passed if items[newest].id in items[one].turn_ids]
            behind = [one for one in passed if one not in before]
            order[place : order.index(newest) + 1] = [*before, newest, *behind]
    return [items[at] for at in order]


def split_told_by_facts(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Items that tell something of their own, and turns that a better placed fact or relation was learned
    from."""
    first: list[Item] = []
    second: list[Item] = []
    told: set[UUID] = set()
    for item in items:
        if item.kind == "fact" or (item.kind == "relation" and len(item.turn_ids) <= SOURCES):
            told.update(item.turn_ids)
        (second if item.kind == "turn" and item.id in told else first).append(item)
    return first, second


def _woven(items: Sequence[Item], relations: Sequence[Item]) -> list[Item]:
    woven: list[Item] = []
    waiting = iter(relations)
    for place, item in enumerate(items):
        woven.append(item)
        if place % EVERY == 0:
            woven.extend(islice(waiting, 1))
    return [*woven, *waiting]


def _says_the_same(item: Item, other: Item) -> bool:
    """Whether a relation and another statement tell one thing; two facts are not looked at."""
    if "relation" not in (item.kind, other.kind):
        return False
    if item.id == other.id:
        return True
    if (whose(item.text, item.about) or whose(other.text, other.about)) and not may_be_one(
        item.about, other.about
    ):
        return False  # of two people, neither of whom stands in the words
    if _ended_before(item, other) or _ended_before(other, item):
        return False  # twice true, at two times
    one, two = sorted((_stems(item.text), _stems(other.text)), key=len)
    if not one or two[: len(one)] != one or _denies(item.text) != _denies(other.text):
        return False
    if len(one) == len(two):
        return True
    from_one_turn = not set(item.turn_ids).isdisjoint(other.turn_ids)
    return (
        len(one) >= SHORTEST and from_one_turn and (item.valid_until is None) == (other.valid_until is None)
    )


def _ended_before(item: Item, other: Item) -> bool:
    return item.valid_until is not None and item.valid_until <= _began(other) and _began(item) < _began(other)


def _began(item: Item) -> datetime:
    return item.valid_from or item.said_at


@lru_cache(maxsize=4_096)
def _stems(text: str) -> tuple[str, ...]:
    """In their order: "Ana's sister is Eva" is not "Eva's sister is Ana"."""
    return tuple(stem for stem in terms(text[:LONG_CHARS]) if stem not in CALLER)


@lru_cache(maxsize=4_096)
def _denies(text: str) -> bool:
    """In the language of its stop words; where they tell none, in any."""
    words = tokens(text[:LONG_CHARS])
    return any(has(languages()[code].negation, words) for code in languages_of(text) or languages())


def _merged(first: Item, second: Item) -> Item:
    """One item of two that say the same: the fuller words, and of those the newer ones; every date, turn and
    tier."""
    fuller, other = sorted(
        (first, second),
        key=lambda item: (len(_stems(item.text)), item.said_at, item.kind == "fact"),
        reverse=True,
    )
    fact, newer = other if other.kind == "fact" else fuller, max(first, second, key=lambda item: item.said_at)
    older = first if newer is second else second
    return Item(
        kind=fact.kind,
        id=fact.id,
        text=fuller.text,
        said_at=newer.said_at,
        score=first.score,
        valid_from=newer.valid_from or older.valid_from,
        valid_until=newer.valid_until or older.valid_until,
        turn_ids=tuple(dict.fromkeys((*fact.turn_ids, *newer.turn_ids, *older.turn_ids))),
        tier="+".join(dict.fromkeys(f"{fact.tier}+{first.tier}+{second.tier}".split("+"))),
        due=newer.due or older.due,
        precision=(newer if newer.due else older).precision,
        quote=newer.quote or older.quote,
        about=fuller.about or other.about,
    )


def _before_their_turns(items: Sequence[Item]) -> list[Item]:
    """A statement that the graph told goes before the turn that it retells, if that is placed better: the
    same in fewer words.

    Without that, three more of those 89 questions were not answered: a turn and its fact took two lines.
    """
    turns = {item.id: at for at, item in enumerate(items) if item.kind == "turn"}

    def place(at: int, item: Item) -> float:
        if item.kind == "turn" or GRAPH_TIER not in item.tier.split("+") or len(item.turn_ids) > SOURCES:
            return at
        retold = [
            turns[one] for one in item.turn_ids if one in turns and retells(item.text, items[turns[one]].text)
        ]
        return min(at, *(turn - 0.5 for turn in retold)) if retold else at

    order = sorted((place(at, item), at) for at, item in enumerate(items))
    return [items[at] for _, at in order]


def retells(statement: str, said: str) -> bool:
    """Whether a statement says what stands in the words that it was drawn from, or in a part of them."""
    told = features(statement)[1]
    return len(told & features(said)[1]) >= RETOLD * len(told)
