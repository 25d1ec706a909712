"""Where sentences, and their parts between commas, begin and end."""

import re
from bisect import bisect_left, bisect_right

Span = tuple[int, int]
"""Characters, from the first to behind the last."""
SENTENCE_END = re.compile(r"[.!?;。！？؟।\n]")
PART_END = re.compile(r"[.!?;。！？؟।\n,，、،؛]")


class Cuts:
    """The pieces of a text between such ends."""

    def __init__(self, ends: re.Pattern[str], text: str) -> None:
        found = [*ends.finditer(text)]
        self._begins = [0, *(end.end() for end in found)]
        self._ends = [*(end.start() for end in found), len(text)]

    def around(self, span: Span) -> Span:
        """The piece in which this stands, or from the first to the last of several."""
        first, last = bisect_right(self._begins, span[0]) - 1, bisect_left(self._ends, span[1])
        return self._begins[first], self._ends[last]
