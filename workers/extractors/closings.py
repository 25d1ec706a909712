"""Which known facts are over: what the model says, as far as the caller's words bear it out, and what they
say outright."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from echoic.memory.text.words import terms
from echoic.memory.types import Fact
from echoic.workers.extractors.base import Closing
from echoic.workers.extractors.guards import Draft, best_clause, content, is_english
from echoic.workers.extractors.lines import Line
from echoic.workers.extractors.speech import ENDING, NEGATION, PEOPLE, PETS, clauses, sentences

_ONE_MORE = re.compile(
    r"\b(?:second|another|also|too|as well|both|one more|third|in addition|still)\b", re.IGNORECASE
)
_OUTRIGHT = re.compile(
    r"\b(?:any ?more|any longer|no longer|used to|instead of|not|quit|stopped|switched|replaced|swapped|gave "
    r"up|given up|sold"
    r"|cancell?ed|divorced|died|passed away|got rid of)\b|n['’]t\b",
    re.IGNORECASE,
)
_STATES_NAME = re.compile(
    r"\b(?:is|are|am|called|named|live|lives|work|works)\b|['’](?:s|m|re)\b", re.IGNORECASE
)


def closings(
    ended: Sequence[int], drafts: Sequence[Draft], lines: Sequence[Line], known: Sequence[Fact]
) -> list[Closing]:
    """The known facts that end, each with the time of the words that end it.

    Args:
        ended: places in `known` that the model calls ended.
        drafts: the new facts that passed the guards.
    """
    found: dict[int, Line] = {}
    for place, fact in enumerate(known):
        line = _outright(fact, drafts, lines)
        if line is None:
            line = _borne_out(fact, drafts, lines) if place in ended else _superseded(fact, drafts, lines)
        if line is not None:
            found[place] = line
    return [Closing(known[place].fact_id, _when(line)) for place, line in sorted(found.items())]


def _outright(fact: Fact, drafts: Sequence[Draft], lines: Sequence[Line]) -> Line | None:
    """A clause that denies what the fact is about: "not Biscuit", "I don't live in Leeds any more"."""
    words = content(fact.text)
    for line in lines:
        for clause in (clause for sentence in sentences(line.text) for clause in clauses(sentence)):
            shared = words & set(terms(clause))
            if not shared or not _OUTRIGHT.search(clause) or _ONE_MORE.search(clause):
                continue
            if words <= set(terms(clause)) or _replaced(fact, drafts, line):
                return line
    return None


def _borne_out(fact: Fact, drafts: Sequence[Draft], lines: Sequence[Line]) -> Line | None:
    """The line that bears out what the model says; None if none does."""
    for number, line in enumerate(lines):
        if not is_english(line.text):
            return line
        cue = ENDING.search(line.text) or NEGATION.search(line.text)
        about = content(fact.text) & (set(terms(line.text)) | set(terms(line.before)))
        new = [draft for draft in drafts if draft.line == number]
        if _ONE_MORE.search(line.text) and not NEGATION.search(line.text):
            continue
        if cue and (about or any(_same_kind(draft.text, fact) for draft in new)):
            return line
        if any(_same_kind(draft.text, fact) and not _ONE_MORE.search(draft.text) for draft in new):
            return line
    return None


def _superseded(fact: Fact, drafts: Sequence[Draft], lines: Sequence[Line]) -> Line | None:
    """The line of a new fact that gives another value of what everybody has one of: an age, a home."""
    for draft in drafts:
        for value in _ONE_VALUE:
            new, old = value.search(draft.text), value.search(fact.text)
            if (
                new
                and old
                and _of_whom(draft.text) == _of_whom(fact.text)
                and new["value"].casefold() != old["value"].casefold()
            ):
                return (
                    None
                    if NEGATION.search(draft.text) or _ONE_MORE.search(lines[draft.line].text)
                    else lines[draft.line]
                )
    return None


def _of_whom(text: str) -> set[str]:
    """Stems of the people and pets that a fact is about; none for the caller."""
    return set(terms(text)) & _OTHERS


def _replaced(fact: Fact, drafts: Sequence[Draft], line: Line) -> bool:
    """Whether a new fact of this line says of the same thing what is so now."""
    return any(_same_kind(draft.text, fact) and best_clause(draft.text, line.text) for draft in drafts)


_OTHERS = frozenset(term for name in (*PEOPLE, *PETS) for term in terms(name)) - {
    *terms("wife husband partner team assistant")
}
_ONE_VALUE = (
    re.compile(r"^(?:is|turned|caller is|user is) (?P<value>\d{1,3})\b(?!%)", re.IGNORECASE),
    re.compile(r"\b(?:lives|living) in (?P<value>[A-Z]\w+)", re.IGNORECASE),
)
_KINDS = (
    {"live", "move", "resid", "home", "hous", "relocat"},
    {"work", "job", "employ", "baker", "career", "profess", "retir", "team"},
    {"marri", "singl", "divorc", "husband", "wife", "partner", "engag", "widow"},
    {"eat", "vegetarian", "vegan", "meat", "fish", "diet"},
    {"drink", "coffe", "tea", "alcohol", "beer", "wine"},
    {"smoke", "cigarett"},
    {"phone", "iphon", "pixel", "android", "samsung", "mobil"},
)
"""Words of one thing that has one value at a time."""


def _same_kind(text: str, fact: Fact) -> bool:
    """Whether two facts answer the same question: where somebody lives, what the dog is called, how old they
    are."""
    mine, its = set(terms(text)), set(terms(fact.text))
    if _of_whom(text) != _of_whom(fact.text):
        return False
    if any(mine & kind and its & kind for kind in _KINDS):
        return True
    if all(re.search(r"\b\d{1,3}\b", one) for one in (text, fact.text)) and (
        "old" in mine | its or "age" in mine | its
    ):
        return True
    shared = content(text) & content(fact.text)
    return (
        bool(shared)
        and bool(mine & its & {"call", "name", "favourit", "favorit"})
        and bool(_STATES_NAME.search(text))
    )


def _when(line: Line) -> datetime:
    """Said now, or said by a clock that runs ahead: a fact is over at once either way."""
    return min(line.turn.said_at, datetime.now(UTC))
