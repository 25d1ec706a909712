"""Numbers that must not be kept: cards, and what is called a PIN or a code, or was asked for as one."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from echoic.memory.text.canonical import is_unspaced
from echoic.memory.text.numbers.runs import Run, Word, run_of
from echoic.memory.text.secrets.cuts import PART_END, Cuts, Span
from echoic.memory.text.secrets.names import Place, functions

LEAST_DIGITS, LEAST_SENT = 3, 4
"""Of a number called a PIN; of one that was sent."""
CARD = range(13, 20)
BEFORE, FAR_BEFORE, AFTER = 3, 6, 15
"""Words around such a name in which its number stands; far before it, with one telling word between."""
IN_PIECES = 4
"""Words from one piece of a number to the next."""
CORRECTED = 5
"""Words to the number that is said instead; further on, one of as many digits counts."""


def span_of(words: list[Word], run: Run) -> Span:
    return words[run.first].begin, words[run.last].end


def cards(text: str, words: list[Word], run: Run) -> list[Span]:
    """The run, or a part of it, if it is a card's number: up to a comma, or to where digits end and words
    begin."""
    cuts = [at for at in range(run.first + 1, run.last + 1) if _is_cut(text, words[at - 1], words[at])]
    pairs = pairwise([run.first, *cuts, run.last + 1]) if cuts else ()
    parts = (run_of(text, words, first, behind - 1, run.codes) for first, behind in pairs)
    return [span_of(words, one) for one in (run, *parts) if any(map(_is_card, one.readings))]


def _is_cut(text: str, before: Word, word: Word) -> bool:
    return (
        before.text.isdigit() != word.text.isdigit()
        or PART_END.search(text, before.end, word.begin) is not None
    )


def _is_card(digits: str) -> bool:
    """By its check digit (ISO/IEC 7812); no card begins as telephone numbers do, of which every tenth has a
    fitting one."""
    if len(digits) not in CARD or digits[0] in "017":
        return False
    total = 0
    for place, mark in enumerate(reversed(digits)):
        value = int(mark) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def called(words: list[Word], runs: list[Run], named: list[Place], parts: Cuts) -> Iterator[Span]:
    """Of each name the number next to it, in its part of the sentence first, and what is said instead of
    that."""
    long = [run for run in runs if run.size >= LEAST_DIGITS]
    codes = defaultdict[tuple[int, int], list[str]](list)
    for first, last, code in named:
        codes[first, last].append(code)
    firsts = [run.first for run in long]
    for (first, last), known in codes.items():
        place, since, until = Place(first, last, ""), first - FAR_BEFORE, last + AFTER
        around = long[max(0, bisect_left(firsts, since) - 1) : bisect_left(firsts, until)]
        around = [run for run in around if run.last >= since and _may_belong(words, run, place, known)]
        if around:
            part = parts.around((words[place.first].begin, words[place.last].end))
            near = min(around, key=lambda run: _distance(words, run, place, part, parts))
            yield span_of(words, near)
            yield from (span_of(words, run) for run in around if _is_instead(run, near))


def answered(words: list[Word], runs: list[Run], least: int = LEAST_DIGITS) -> Iterator[Span]:
    """Of an answer to a question for a number the first one that is long enough, in one piece or in several
    ("two six, and then 44"), and any later one of as many digits."""
    told = 0
    for pieces in _in_pieces(runs):
        longest, size = max(run.size for run in pieces), sum(run.size for run in pieces)
        size = longest if longest >= least else size
        if size >= least and told in (0, size):
            told = size
            yield from (span_of(words, run) for run in pieces)
        elif told:
            yield from (span_of(words, run) for run in pieces if run.size == told)


def _in_pieces(runs: list[Run]) -> list[list[Run]]:
    """Runs with few words between them, together."""
    found: list[list[Run]] = []
    for run in runs:
        if found and run.first - found[-1][-1].last <= IN_PIECES:
            found[-1].append(run)
        else:
            found.append([run])
    return found


def _may_belong(words: list[Word], run: Run, place: Place, codes: list[str]) -> bool:
    """Behind the name, or not far before it: "6 1 9 4, that is the PIN"; not "at 221 I forgot my PIN"."""
    between = words[run.last + 1 : place.first]
    if run.first > place.last or len(between) < BEFORE:
        return True
    least = min(sum(word.text not in functions(code) for word in between) for code in codes)
    return least <= 1 or all(is_unspaced(word.text) for word in between)


def _distance(words: list[Word], run: Run, place: Place, part: Span, parts: Cuts) -> tuple[bool, int]:
    apart = run.first - place.last if run.first > place.last else place.first - run.last
    return parts.around(span_of(words, run)) != part, apart


def _is_instead(run: Run, near: Run) -> bool:
    apart = run.first - near.last if run.first > near.last else near.first - run.last
    return run is not near and (0 < apart <= CORRECTED or run.size == near.size)
