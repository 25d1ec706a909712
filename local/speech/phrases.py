"""Words that arrive a few at a time, cut into phrases that can be spoken each by itself, the first one as
early as possible.

Piper speaks a phrase only when it has all of it. So the first phrase of a reply is a short one (the words up
to a comma, or up to eight of them), and while it is heard there is time for longer ones, which sound better.
"""

import re
from dataclasses import dataclass, field

FIRST_WORDS = 2  # "Well," alone would be heard before there is anything after it
LATER_WORDS = 7  # a clause at a time: about 3 s of speech, made in 0.3 s on two cores
WORDS_WITHOUT_PAUSE = 8  # then a phrase may end before a joining word
MOST_WORDS = 24  # then it ends anywhere
SENTENCE_END = re.compile(r"[.!?…]+[\"')\]”’]*$")
CLAUSE_END = re.compile(r"[,;:–—][\"')\]”’]*$|^[–—-]$")
ABBREVIATION = re.compile(r"^(?:mr|mrs|ms|dr|prof|st|vs|no|e\.g|i\.e|[a-z])\.$", re.IGNORECASE)
JOINING = frozenset(
    "and but or so because that which who when where while if although as than with from for to in on "
    "at of".split()
)
WORDS = re.compile(r"\S+\s+")


@dataclass(slots=True)
class Phrases:
    """Cuts one reply. Nothing is lost: the phrases together are the reply's words, in order."""

    _rest: str = ""
    """What came after the last white space: perhaps half a word."""
    _words: list[str] = field(default_factory=list)
    _is_first: bool = True

    def push(self, text: str) -> list[str]:
        """Take more of the reply; the phrases that are now complete."""
        whole = self._rest + text
        end = max((found.end() for found in WORDS.finditer(whole)), default=0)
        self._rest = whole[end:]
        cut = [phrase for word in whole[:end].split() for phrase in self._add(word)]
        if "\n" in whole[:end]:
            cut += self._end()  # a line is a phrase, however it ends
        return cut

    def finish(self) -> list[str]:
        """The reply is complete: whatever is left of it."""
        last, self._rest = self._rest.strip(), ""
        return [*(self._add(last) if last else ()), *self._end()]

    def _add(self, word: str) -> list[str]:
        before = self._end() if self._may_end_before(word) else []
        self._words.append(word)
        return [*before, *(self._end() if self._ends_with(word, len(self._words)) else ())]

    def _may_end_before(self, word: str) -> bool:
        count = len(self._words)
        return count >= MOST_WORDS or (
            self._is_first and count >= WORDS_WITHOUT_PAUSE and word.lower() in JOINING
        )

    def _ends_with(self, word: str, count: int) -> bool:
        if SENTENCE_END.search(word) and not ABBREVIATION.match(word):
            return True
        return bool(CLAUSE_END.search(word)) and count >= (FIRST_WORDS if self._is_first else LATER_WORDS)

    def _end(self) -> list[str]:
        if not self._words:
            return []
        phrase, self._words, self._is_first = " ".join(self._words), [], False
        return [phrase]
