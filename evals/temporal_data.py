"""Planted histories, the questions asked about them, and what a perfect extraction learns from them.

Data: `{"histories": {NAME: [{"said_at", "text"}]}, "questions": [{"history", "asked_at", "question", "must":
[words], "must_not": [words]}]}`. Times are ISO 8601, UTC where they name no zone; a turn is the caller's
unless `"role": "assistant"`.

Beside FILE.json may lie FILE.learned.json: `{"learned": {NAME: [{"turn", "facts": [{"text", "topic",
"importance", "valid_from", "valid_until"}], "ended": [{"text", "at"}]}]}}`, `turn` being the number of the
turn in its history, from 0, and an ended fact one that an earlier turn taught, by its words. Facts there were
written turn by turn, without a look at the questions.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

from echoic.memory.types import CALLER, About

CALL_GAP = timedelta(minutes=30)
"""A longer silence begins another call."""
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of a history."""

    number: int
    said_at: datetime
    text: str
    role: Literal["user", "assistant"] = "user"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked when, which words the block has to hold, and which not as if still true."""

    history: str
    asked_at: datetime
    text: str
    must: Words
    must_not: Words


@dataclass(frozen=True, slots=True)
class Data:
    """One file: histories in the order they were said, questions in the order they are asked."""

    histories: dict[str, tuple[Said, ...]]
    questions: tuple[Question, ...]

    def only(self, start: str) -> "Data":
        """What is told and asked of histories whose name starts so."""
        histories = {name: turns for name, turns in self.histories.items() if name.startswith(start)}
        return Data(histories, tuple(one for one in self.questions if one.history in histories))

    def of(self, history: str) -> list[Question]:
        """The questions about one history, earliest first."""
        return sorted((one for one in self.questions if one.history == history), key=lambda one: one.asked_at)


@dataclass(frozen=True, slots=True)
class ScriptedFact:
    """One fact of a perfect extraction."""

    text: str
    topic: str = ""
    importance: float = 0.5
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    about: About = CALLER
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """What one turn teaches, and which facts of earlier turns it ends, since when."""

    facts: tuple[ScriptedFact, ...] = ()
    ended: tuple[tuple[str, datetime], ...] = ()


Script = dict[str, dict[int, Learned]]
"""For each history what its turns teach, by their numbers."""


def read(path: Path) -> Data:
    """The histories and questions of a file.

    Raises:
        ValueError: it has another format, or asks about a history that it does not tell.
    """
    whole = _json(path)
    try:
        histories = {str(name): _history(turns) for name, turns in whole["histories"].items()}
        questions = tuple(_question(one) for one in whole["questions"])
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise ValueError(
            f"{path.name} is not a file of histories and questions: {type(exc).__name__} {exc}"
        ) from exc
    untold = sorted({one.history for one in questions} - histories.keys())
    if untold or not questions:
        raise ValueError(
            f"{path.name} asks about histories it does not tell: {', '.join(untold) or 'it asks nothing'}"
        )
    return Data(histories, questions)


def script_path(path: Path) -> Path:
    """Where the perfect extraction of a data file lies, if it has one."""
    return path.with_suffix(".learned.json")


def read_script(path: Path, data: Data) -> Script:
    """The perfect extraction that belongs to `data`.

    Raises:
        ValueError: it has another format, names turns that do not exist, or ends a fact not taught before.
    """
    whole = _json(path)
    try:
        script = {
            str(name): {int(entry["turn"]): _learned(entry) for entry in entries}
            for name, entries in whole["learned"].items()
        }
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise ValueError(f"{path.name} is not an extraction: {type(exc).__name__} {exc}") from exc
    for name, learned in script.items():
        _check(path, name, learned, data.histories.get(name, ()))
    return script


def calls_of(turns: Sequence[Said]) -> Iterator[list[Said]]:
    """The turns of each call, in order."""
    call: list[Said] = []
    for turn in turns:
        if call and turn.said_at - call[-1].said_at > CALL_GAP:
            yield call
            call = []
        call.append(turn)
    if call:
        yield call


def _check(path: Path, name: str, learned: dict[int, Learned], turns: Sequence[Said]) -> None:
    live: set[str] = set()
    for number in sorted(learned):
        if not 0 <= number < len(turns):
            raise ValueError(f"{path.name} learns from turn {number} of {name}, which does not exist")
        for text, _ in learned[number].ended:
            if text not in live:
                raise ValueError(
                    f"{path.name} ends in turn {number} of {name} what no turn before taught: {text}"
                )
            live.discard(text)
        live.update(fact.text for fact in learned[number].facts)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as exc:
        raise ValueError(f"{path.name} cannot be read as JSON: {exc}") from exc


def _history(turns: list[dict[str, Any]]) -> tuple[Said, ...]:
    said = sorted(((time_of(turn["said_at"]), turn) for turn in turns), key=lambda pair: pair[0])
    return tuple(
        Said(number, when, _text(turn["text"]), _role(turn)) for number, (when, turn) in enumerate(said)
    )


def _role(turn: dict[str, Any]) -> Literal["user", "assistant"]:
    role = turn.get("role", "user")
    if role not in ("user", "assistant"):
        raise ValueError(f"role {role!r}")
    return cast(Literal["user", "assistant"], role)


def _question(one: dict[str, Any]) -> Question:
    must, must_not = (_words(one.get(key, [])) for key in ("must", "must_not"))
    return Question(str(one["history"]), time_of(one["asked_at"]), _text(one["question"]), must, must_not)


def _learned(entry: dict[str, Any]) -> Learned:
    ended = tuple((_text(one["text"]), time_of(one["at"])) for one in entry.get("ended", ()))
    return Learned(tuple(_fact(fact) for fact in entry.get("facts", ())), ended)


def _fact(fact: dict[str, Any]) -> ScriptedFact:
    begins, ends = (time_of(fact[key]) if fact.get(key) else None for key in ("valid_from", "valid_until"))
    about, names = About(**fact.get("about", {})), tuple(fact.get("names", ()))
    topic, importance = str(fact.get("topic", "")), float(fact.get("importance", 0.5))
    return ScriptedFact(_text(fact["text"]), topic, importance, begins, ends, about, names)


def _words(words: object) -> Words:
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError("must and must_not are lists of words")
    return tuple(words)


def _text(text: object) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ValueError("a text is missing")
    return text


def time_of(text: str) -> datetime:
    """An ISO time; UTC where it names no zone."""
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)
