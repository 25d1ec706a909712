"""A batch of turns as a model reads it: every word of both speakers, numbered, with the days around."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from echoic.memory.profile.slots import PLAIN, ProfileSettings
from echoic.memory.recall.prompt import estimate_tokens
from echoic.memory.text.language import UNKNOWN, Language
from echoic.memory.types import CALLER, Fact, Turn
from echoic.workers.evidence.spoken import language_of_turns

TOKENS_AT_ONCE = 900
"""Of turns in one question; a small model loses facts in more, and its context is 4,096 with the examples."""
TURNS_AT_ONCE = 25
"""A whole batch as it is cut by default: with 24, each had a second question about its last turn."""
CONTEXT_TURNS, CONTEXT_TOKENS = 2, 300
"""Turns before a portion that are shown with it, so that an answer stands beside its question."""
DAYS_BEFORE, DAYS_AFTER = 3, 7
LONGEST_TURN = 3_000
"""Characters of one turn that are shown at once; a longer monologue is shown in parts, one a portion."""
_ENDS = ((". ", "! ", "? ", "。", "！", "？", "।"), (" ",))
"""Of sentences, and of words."""


@dataclass(frozen=True, slots=True)
class Portion:
    """What one question shows: turns in order, of which the first few are context."""

    turns: tuple[Turn, ...]
    new: int
    """Place of the first turn that is not context only."""
    language: Language = UNKNOWN
    """The caller's, by all turns of the batch: a portion may hold little more than "Yes"."""
    profile: ProfileSettings = PLAIN
    """Which slots and tags are asked for."""


LEAST_OPERATIONS, WORDS_AN_OPERATION = 4, 6


def most_operations(portion: Portion) -> int:
    """How many facts a portion can hold at most."""
    said = sum(len(turn.text) for turn in portion.turns[portion.new :]) / 5
    return max(LEAST_OPERATIONS, int(said / WORDS_AN_OPERATION))


def portions(turns: Sequence[Turn], profile: ProfileSettings = PLAIN) -> Iterator[Portion]:
    """The turns in groups that fit one question, each with the turns before it."""
    language = language_of_turns(turns)
    turns, start = [part for turn in turns for part in parts(turn, LONGEST_TURN)], 0
    while start < len(turns):
        end, size = start, 0
        while end < len(turns) and end - start < TURNS_AT_ONCE:
            size += estimate_tokens(turns[end].text)
            if size > TOKENS_AT_ONCE and end > start:
                break
            end += 1
        first = _context(turns, start)
        yield Portion(tuple(turns[first:end]), start - first, language, profile)
        start = end


def parts(turn: Turn, longest: int) -> Iterator[Turn]:
    """A turn as it is; one of more characters in parts, cut behind sentences where it has any."""
    text = turn.text
    while len(text) > longest:
        ends = (max(text.rfind(mark, 0, longest) for mark in marks) for marks in _ENDS)
        cut = next((end + 1 for end in ends if end > 0), longest)
        yield replace(turn, text=text[:cut])
        text = text[cut:]
    yield replace(turn, text=text) if text != turn.text else turn


def _context(turns: Sequence[Turn], start: int) -> int:
    """Where the turns begin that are shown before this one."""
    first, size = start, 0
    while first > max(0, start - CONTEXT_TURNS):
        size += estimate_tokens(turns[first - 1].text)
        if size > CONTEXT_TOKENS:
            break
        first -= 1
    return first


def halves(portion: Portion) -> tuple[Portion, Portion] | None:
    """A portion as two; None when it holds a single turn."""
    middle = (portion.new + len(portion.turns)) // 2
    if middle in (portion.new, len(portion.turns)):
        return None
    first = max(0, middle - CONTEXT_TURNS)
    return (
        replace(portion, turns=portion.turns[:middle]),
        replace(portion, turns=portion.turns[first:], new=middle - first),
    )


def render(portion: Portion, known: Sequence[Fact], zone: ZoneInfo) -> str:
    """The known facts and the portion as text; facts and turns are numbered from 1.

    The conversation comes last: a small model writes down what it read last.
    """
    shown = ["Known:", *([_known(number, fact) for number, fact in enumerate(known, 1)] or ["none"])]
    day: date | None = None
    for number, turn in enumerate(portion.turns, 1):
        said_at = turn.said_at.astimezone(_zone_of(turn, zone))
        if said_at.date() != day:
            day = said_at.date()
            shown += ["", heading(said_at)]
        speaker = "caller" if turn.role == "user" else "agent"
        cut = " [cut off]" if turn.interrupted and turn.role == "assistant" else ""
        shown.append(f"{number} {speaker}: {one_line(turn.text)}{cut}")
    return "\n".join(shown)


def one_line(text: str) -> str:
    """Every word, and no line of its own: a text that holds line breaks could say what another turn said."""
    return " ".join(text.split())


def heading(said_at: datetime) -> str:
    """The day and time of a call where the caller is, and the dates of the days around it."""
    days = [said_at.date() + timedelta(days=number) for number in range(-DAYS_BEFORE, DAYS_AFTER + 1)]
    around = ", ".join(f"{day:%a} {day.isoformat()}" for day in days)
    return f"Call on {said_at:%A} {said_at.date().isoformat()}, {said_at:%H:%M}. Days: {around}."


def _known(number: int, fact: Fact) -> str:
    whose = f"[{fact.about}] " if fact.about not in (None, CALLER) else ""
    return f"{number}. {one_line(f'{whose}{fact.text}')}"


def _zone_of(turn: Turn, zone: ZoneInfo) -> ZoneInfo:
    """The time zone that the caller was in, where it is known."""
    return ZoneInfo(turn.timezone) if turn.timezone else zone
