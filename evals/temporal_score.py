"""Does a recalled block hold the right words at the right time?

Whole lines are judged, as a model would read them.

A word is there where it begins a word of the line, in any case: "vegetarian" is there in "vegetarians", "tea"
is not in "steak". A line may hold what it must not if it says itself that this is over: `true until` a day,
as ended facts and relations are shown. A verbatim quote that nothing marks as ended does not: when it was
said says nothing about whether it still holds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINE = re.compile(r"^- (?P<line>.+)$", re.MULTILINE)
_OVER = re.compile(r"\(.*\btrue until\b[^()]*\)$")
_QUOTE = re.compile(r'^(?:Caller|You): "')
_LATIN = "a-z0-9ß-ɏ"
"""Scripts with spaces between words; in others a word may begin anywhere."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was wrong with one block; right when both are empty."""

    missing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    """Lines that say what must not be said as if it were still true."""

    @property
    def right(self) -> bool:
        return not self.missing and not self.stale

    @property
    def reason(self) -> str:
        """Why it does not count: `missing`, `stale fact`, `stale quote`, or several; empty when it counts."""
        quotes = [_QUOTE.match(line) is not None for line in self.stale]
        kinds = ("missing", bool(self.missing)), ("stale fact", not all(quotes)), ("stale quote", any(quotes))
        return " + ".join(kind for kind, there in kinds if there)


def judge(block: str, must: Sequence[str], must_not: Sequence[str]) -> Verdict:
    """Whether the lines of a block hold every `must`, and no `must_not` but as past."""
    lines = [match["line"].rstrip() for match in _LINE.finditer(block)]
    missing = tuple(word for word in must if not any(holds(line, word) for line in lines))
    stale = tuple(
        line for line in lines if not _OVER.search(line) and any(holds(line, word) for word in must_not)
    )
    return Verdict(missing, stale)


def holds(line: str, word: str) -> bool:
    """Is the word, or are the words in a row, there?

    What begins with a letter begins a word; what ends with a digit ends one.
    """
    folded = " ".join(word.casefold().split())
    before = f"(?<![{_LATIN}])" if re.match(f"[{_LATIN}]", folded) else ""
    after = r"(?!\d)" if folded[-1:].isdigit() else ""
    return re.search(before + re.escape(folded) + after, " ".join(line.casefold().split())) is not None
