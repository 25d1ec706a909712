"""The lines of a batch that a model is shown: what the caller states, and the agent's words just before it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from echoic.memory.types import Turn
from echoic.workers.extractors.dates import resolve
from echoic.workers.extractors.speech import stated

LINE_CHARS = 1_200
"""A longer turn is shown as several lines, cut between sentences."""
CONTEXT_CHARS = 200
LINES_AT_ONCE = 10
CHARS_AT_ONCE = 2_400
"""About 600 tokens of lines a question: a small model loses facts in more."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a caller stated in one turn."""

    turn: Turn
    text: str
    """The stated part, with dates instead of "yesterday"."""
    before: str = ""
    """What the agent said just before, as far as it was heard; helps to understand an answer, teaches
    nothing."""


def lines_of(turns: Sequence[Turn], zone: ZoneInfo) -> list[Line]:
    """The lines worth a model's time, in order; empty when nobody told anything."""
    found: list[Line] = []
    before = ""
    for turn in turns:
        if turn.role == "assistant":
            before = " ".join(turn.text.split())[-CONTEXT_CHARS:] + ("…" if turn.interrupted else "")
            continue
        informative_turns = stated(" ".join(turn.text.split()))
        if informative_turns:
            said = resolve(informative_turns, turn.said_at.astimezone(zone).date())
            found.extend(Line(turn, part, before if first else "") for first, part in _parts(said))
        before = ""
    return found


def portions(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """The lines in groups that fit one question."""
    portion: list[Line] = []
    chars = 0
    for line in lines:
        size = len(line.text) + len(line.before)
        if portion and (len(portion) == LINES_AT_ONCE or chars + size > CHARS_AT_ONCE):
            yield portion
            portion, chars = [], 0
        portion.append(line)
        chars += size
    if portion:
        yield portion


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    first = True
    while len(text) > LINE_CHARS:
        cut = max(text.rfind(mark, 0, LINE_CHARS) for mark in (". ", "! ", "? ", ", ", " "))
        cut = cut + 1 if cut > 0 else LINE_CHARS
        yield first, text[:cut].strip()
        first, text = False, text[cut:]
    if text.strip():
        yield first, text.strip()
