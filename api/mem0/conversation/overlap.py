"""Which messages of a conversation are new, when clients send it again and again, whole or its last part.

By content and order alone: messages have no ids. Pure; nothing is read.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from echoic.memory.text.secrets import MASK
from echoic.memory.types import Role

MOST_COMPARED = 2_000
"""Messages at the end of what is sent that are compared; what stands before them in a conversation of which
something is known was sent before."""
LEAST_RUN = 3
"""Messages in a row that are known, in the middle of a conversation, before it counts as sent again: a pair
such as "ok" and "anything else?" is said twice in one."""
LEAST_TAIL = 2
"""The same for the end of what is known, when what is sent begins with something else, such as a summary."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message."""

    role: Role
    text: str


def new_places(known: Sequence[Said], sent: Sequence[Said]) -> list[int]:
    """Places in `sent` of what is not known yet, in order.

    Args:
        known: the end of the conversation as it is stored, secrets hidden.
        sent: as it came.
    """
    first = max(0, len(sent) - MOST_COMPARED) if known else 0
    return [first + place for place in _new(known, sent[first:])]


def _new(known: Sequence[Said], sent: Sequence[Said]) -> list[int]:
    begin, run = _longest_run(known, sent)
    end = begin + run
    if run and end == len(known):
        return list(range(run, len(sent)))
    if run and (begin == 0 or run >= LEAST_RUN):
        return _after(known[end:], sent, run)
    return list(range(_behind_tail(known, sent), len(sent)))


def same(stored: Said, sent: Said) -> bool:
    """Whether a message is the stored one, in which a secret may be hidden."""
    if stored.role != sent.role:
        return False
    if stored.text == sent.text or MASK not in stored.text:
        return stored.text == sent.text
    shown = ".+?".join(re.escape(part) for part in stored.text.split(MASK))
    return re.fullmatch(shown, sent.text, re.DOTALL) is not None


def _longest_run(known: Sequence[Said], sent: Sequence[Said]) -> tuple[int, int]:
    """Where the most of the beginning of `sent` stands in `known`, last, and how many messages that are."""
    best = (0, 0)
    for begin in range(len(known)):
        run = 0
        while run < min(len(sent), len(known) - begin) and same(known[begin + run], sent[run]):
            run += 1
        if run and run >= best[1]:
            best = (begin, run)
    return best


def _after(rest: Sequence[Said], sent: Sequence[Said], run: int) -> list[int]:
    """A conversation that has gone two ways: what else of it is known stands later, in the same order."""
    exact: defaultdict[Said, list[int]] = defaultdict(list)
    for at, stored in enumerate(rest):
        exact[stored].append(at)
    hidden = [at for at, stored in enumerate(rest) if MASK in stored.text]
    new, place = [], 0
    for number in range(run, len(sent)):
        found = exact.get(sent[number], [])
        later = found[bisect_left(found, place) :][:1]
        later += [at for at in hidden if at >= place and same(rest[at], sent[number])][:1]
        if later:
            place = min(later) + 1
        else:
            new.append(number)
    return new


def _behind_tail(known: Sequence[Said], sent: Sequence[Said]) -> int:
    """How much of `sent` is over with the end of `known`: what stands before that was said before it."""
    for end in range(len(sent), 0, -1):
        run = 0
        while run < min(end, len(known)) and same(known[-1 - run], sent[end - 1 - run]):
            run += 1
        if run and (run >= LEAST_TAIL or run == len(known)):
            return end
    return 0
