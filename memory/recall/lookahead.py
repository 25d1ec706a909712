"""Lookups for words that are still being spoken, whichever way they are heard: started, watched, given up."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from echoic.memory.recall.pending import PendingRecall
from echoic.memory.text.words import normalise, terms

SETTLE_S = 0.03
"""A partial whose content is not new ("…uh", "…to me then") is looked up only if nothing follows it for so
long. Final words come 100 ms after the last partial: with 0.12 the lookups of a quarter of all questions,
those that end in such a word, began with them and were met in flight (p95 of a reply +12 ms)."""
LONGEST_WAIT_S = 0.5
"""Words that follow later than this come after a pause."""
TURNS_WATCHED, FEWEST_TURNS, LOOKUPS_WATCHED = 32, 4, 64
LATENESS_S = 0.05
"""Of a timer in a busy process, and the block that is composed when a lookup has ended; a lookup that was met
in flight counts as asked so much earlier, too."""
SLOW = 2
"""A slow lookup may take so many times as long when all callers of a process end their turns together: with
one, and 20 ms of lateness, sixteen of them waited 38 ms longer at p95, and 13 with these (evals/turns.py)."""
PARTIALS_LOOKED_UP = 24
"""Lookups started from the partial words of one turn; each costs the embedder some 5 ms."""
LOOKUPS_A_TURN = 32
"""With those of final words, of which a monologue has many."""
RUNNING = 2
"""Lookups under way at once: the newest words, and those before, to which an unsure ear may return."""

Outcome = Literal["hit", "late", "miss", "none"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the lookups that were started while a caller spoke."""

    started: int = 0
    hit: int = 0
    """Answered before the model asked."""
    late: int = 0
    """Adopted by the model's question while under way."""
    wasted: int = 0
    """Never asked: their words were not the last ones."""


class Pace:
    """How long a partial may wait for the next word, and is still looked up in time: the time from a caller's
    last word to the model's question, less what a lookup takes.

    Where the end of a turn is known 600 ms after the last word, and words are 300 ms apart, only the last one
    is looked up. A call begins with what was seen in its process; until some turns were seen nothing waits.
    """

    def __init__(self, usual: "Pace | None" = None) -> None:
        self._usual = usual
        self._gaps: deque[float] = deque(usual._gaps if usual else (), TURNS_WATCHED)
        self._took: deque[float] = deque(usual._took if usual else (), LOOKUPS_WATCHED)

    @property
    def wait_s(self) -> float:
        """How long a partial may wait; 0: not at all."""
        if len(self._gaps) < FEWEST_TURNS:
            return 0.0
        took, shortest = sorted(self._took), min(self._gaps)
        slow = took[len(took) * 19 // 20] if took else 0.0
        surely = shortest - (fmean(self._gaps) - shortest) / 2  # the next one may be shorter yet
        return min(max(surely - SLOW * slow - LATENESS_S, 0.0), LONGEST_WAIT_S)

    def note(self, gap_s: float | None, took_s: Iterable[float] = ()) -> None:
        """A question came so long after its last word, if its words were known before they were final; its
        lookups took so long."""
        self._took.extend(took_s := list(took_s))
        if gap_s is not None:
            self._gaps.append(gap_s)
        if self._usual is not None:
            self._usual.note(gap_s, took_s)


class Lookahead:
    """Looks up what a caller is saying, as partial transcripts grow; the question to the model adopts the
    lookup of exactly its words, done or not.

    A lookup's key is all the normalised words of a turn (`Recaller`): an answer to other words, to fewer
    words or for another person can therefore never be taken.

    Args:
        start: begins a lookup at once, as `CallMemory.prefetch`; None: there is nothing to look up.
        give_up: stops one that nobody asked for, as `Recaller.give_up`.
        usual: the pace of other calls.
    """

    def __init__(
        self,
        start: Callable[[str], PendingRecall | None],
        give_up: Callable[[PendingRecall], None],
        usual: Pace | None = None,
    ) -> None:
        self._start, self._stop, self._pace = start, give_up, Pace(usual)
        self._words = ""
        self._content: list[str] = []
        self._askable = False
        self._heard_at: float | None = None
        """When the newest words came, unless they came as final ones."""
        self._started: list[PendingRecall] = []
        self._settling: asyncio.TimerHandle | None = None
        self._turn_ended = False
        self._earlier = Counts()

    @property
    def outcome(self) -> Outcome:
        """How the newest turn fared: its recall was answered already (`hit`), under way (`late`), or of other
        words (`miss`).

        `none`: there was nothing to ask, because nothing was said that is worth a lookup, or the words came
        typed.
        """
        claimed = [asked.claimed for asked in self._started if asked.claimed is not None]
        return claimed[-1] if claimed else "miss" if self._started and self._askable else "none"

    @property
    def counts(self) -> Counts:
        """All lookups of the call; those of the newest turn count as wasted until they are asked."""
        before, claimed = self._earlier, [asked.claimed for asked in self._started]
        return Counts(
            started=before.started + len(claimed),
            hit=before.hit + claimed.count("hit"),
            late=before.late + claimed.count("late"),
            wasted=before.wasted + claimed.count(None),
        )

    def follow(self, text: str, is_final: bool) -> None:
        """Start a lookup if these words, all of the turn so far, are other words, and matter."""
        if self._turn_ended:
            self._begin_turn()
        words = normalise(text)
        if words == self._words and not (is_final and self._settling):
            return
        if words != self._words:
            self._heard_at = None if is_final else time.monotonic()
        self._words = words
        self._stop_settling()
        before, self._content = self._content, terms(text)
        if not (is_final or self._content):  # "what is my" asks nothing yet
            return
        wait_s = 0.0 if is_final else max(self._pace.wait_s, SETTLE_S * (self._content == before))
        if wait_s:
            self._settling = asyncio.get_running_loop().call_later(wait_s, self._look_up, text)
        else:
            self._look_up(text, is_final)

    def end_turn(self) -> None:
        """What is heard from now on is the next turn's; lookups that run may still be asked for."""
        self._stop_settling()
        self._turn_ended = True

    def close(self) -> None:
        """The call is over, or remembering is: stop what nobody will ask for."""
        self.end_turn()
        self._give_up(self._running())

    def _look_up(self, text: str, is_final: bool = False) -> None:
        self._settling = None
        if len(self._started) >= (LOOKUPS_A_TURN if is_final else PARTIALS_LOOKED_UP):
            return
        asked = self._start(text)
        self._askable = asked is not None
        if asked is not None and asked.claimed is not None:
            self._pace.note(self._gap(asked))  # it could not wait so long
        if asked is None or asked.claimed is not None or any(asked is one for one in self._started):
            return
        self._started.append(asked)
        self._give_up(self._running()[:-RUNNING])

    def _running(self) -> list[PendingRecall]:
        return [asked for asked in self._started if asked.claimed is None and asked.running]

    def _give_up(self, superseded: Sequence[PendingRecall]) -> None:
        for asked in superseded:
            self._stop(asked)

    def _gap(self, asked: PendingRecall) -> float | None:
        if self._heard_at is None or asked.claimed is None:
            return None
        return asked.claimed_at - self._heard_at - LATENESS_S * (asked.claimed == "late")

    def _begin_turn(self) -> None:
        if self._started:
            took = [asked.took_s for asked in self._started if asked.took_s is not None]
            self._pace.note(self._gap(self._started[-1]), took)
        self._give_up(self._running())
        self._earlier, self._started = self.counts, []
        self._words, self._content, self._turn_ended = "", [], False

    def _stop_settling(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
