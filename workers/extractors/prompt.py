"""What the extracting model reads and must answer: byte-stable instructions with examples, then the lines of
one batch.

Written for models of 1.5 billion parameters: few rules, more examples, short keys. Instructions and examples
are the same in every call, so that a server's prefix cache holds them: 860 tokens, 15 s on two cores the
first time and 0.1 s from then on.
"""

import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from echoic.memory.types import Fact, Turn
from echoic.workers.chat_model import Message
from echoic.workers.extractors.dates import resolve, spoken
from echoic.workers.extractors.lines import Line

TOPICS = (
    "person",
    "family",
    "friends",
    "pets",
    "home",
    "work",
    "health",
    "food",
    "hobbies",
    "travel",
    "plans",
    "things",
    "opinions",
    "assistant",
)
"""`assistant`: how this agent should talk or behave; such a fact is kept for this agent alone."""

SYSTEM = """\
You keep the memory of a voice assistant. You read lines of a call and note what the caller tells about their life, for later \
calls. Answer in JSON.

- "ended": numbers of the known facts that are no longer true after what the caller says.
- "facts": what is new. "text" is one short sentence in the caller's own words and language, understood on its own, \
without "I" or "my", with all names and dates. Keep every "not".
- A line can hold several facts, or none. Never copy a known fact.
- Say who it is about: what is true of the sister is not true of the caller.
- Lines of the agent only help to understand the caller. What only the agent says is never a fact.
- "topic" and "sub_topic"; "weight": 1 (trivial) to 9 (must never be forgotten)."""


def _fact(line: int, text: str, topic: str, sub_topic: str, weight: int) -> dict[str, Any]:
    return {"line": line, "text": text, "topic": topic, "sub_topic": sub_topic, "weight": weight}


_EXAMPLES: tuple[tuple[str, list[int], list[dict[str, Any]]], ...] = (
    (
        "Call on Monday 4 May 2026:\nagent: Hello, how can I help you?\n1 caller: My name is Ellen and I'm a "
        "dentist.\n\n"
        "Known facts:\nnone",
        [],
        [_fact(1, "Is called Ellen", "person", "name", 9), _fact(1, "Is a dentist", "work", "job", 7)],
    ),
    (
        "Call on Tuesday 9 June 2026:\n1 caller: We moved to Cardiff on 2 May 2026, it's lovely here.\n"
        "agent: I can book you a table at the Grand Hotel.\n2 caller: Max won't come, he hates hotels.\n\n"
        "Known facts:\n1. Has a son called Max\n2. Lives in Bristol",
        [2],
        [
            _fact(1, "Moved to Cardiff on 2 May 2026", "home", "city", 8),
            _fact(2, "Son Max hates hotels", "family", "son", 3),
        ],
    ),
    (
        "Call on Friday 6 March 2026:\nagent: What is your brother called?\n1 caller: Oscar. He's allergic "
        "to cats, I'm not.\n"
        "agent: Would you like me to look for\n2 caller: And I don't drink coffee any more, it keeps me "
        "awake.\n\n"
        "Known facts:\n1. Drinks a lot of coffee\n2. Works at a school",
        [1],
        [
            _fact(1, "Brother is called Oscar", "family", "brother", 7),
            _fact(1, "Brother Oscar is allergic to cats", "family", "brother", 6),
            _fact(2, "Does not drink coffee any more", "food", "coffee", 5),
        ],
    ),
    (
        "Call on Sunday 2 August 2026:\nagent: You love the opera, don't you?\n"
        "1 caller: I can't stand it. I'm off to Vienna on 9 August 2026 with my wife.\n\nKnown facts:\n1. "
        "Dog is called Bruno",
        [],
        [
            _fact(1, "Can't stand the opera", "opinions", "opera", 4),
            _fact(1, "Goes to Vienna on 9 August 2026 with wife", "plans", "travel", 6),
        ],
    ),
    (
        "Call on Thursday 3 September 2026:\n1 caller: The cat is called Nala, not Luna, and she's a "
        "Siamese.\n"
        "agent: Nala, noted.\n2 caller: I was promoted, I'm the head of sales now.\n\n"
        "Known facts:\n1. Works as a salesman\n2. Cat is called Luna\n3. Likes skiing",
        [1, 2],
        [
            _fact(1, "Cat is called Nala", "pets", "cat", 7),
            _fact(1, "Cat Nala is a Siamese", "pets", "cat", 3),
            _fact(2, "Is the head of sales now", "work", "job", 7),
        ],
    ),
)


def messages(lines: Sequence[Line], known: Sequence[Fact], zone: ZoneInfo) -> list[Message]:
    """The whole conversation with the model."""
    asked: list[Message] = [{"role": "system", "content": SYSTEM}]
    for question, ended, facts in _EXAMPLES:
        answer = json.dumps({"ended": ended, "facts": facts}, ensure_ascii=False, separators=(",", ":"))
        asked += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [*asked, {"role": "user", "content": render(lines, known, zone)}]


def render(lines: Sequence[Line], known: Sequence[Fact], zone: ZoneInfo) -> str:
    """The caller's lines by number, with a heading for each day, then the known facts by number."""
    shown: list[str] = []
    day = None
    for number, line in enumerate(lines, 1):
        said = line.turn.said_at.astimezone(zone).date()
        if said != day:
            day = said
            shown.append(f"{chr(10) if shown else ''}Call on {day:%A} {spoken(day)}:")
        if line.before:
            shown.append(f"agent: {line.before}")
        shown.append(f"{number} caller: {line.text}")
    facts = [f"{number}. {fact.text}" for number, fact in enumerate(known, 1)] or ["none"]
    return "\n".join([*shown, "", "Known facts:", *facts])


def said_text(turn: Turn, zone: ZoneInfo) -> str:
    """A whole turn on one line; of the caller's, relative dates are resolved, and a reply that was cut off
    says so."""
    text = " ".join(turn.text.split())
    if turn.role == "user":
        return resolve(text, turn.said_at.astimezone(zone).date())
    return f"{text} [interrupted]" if turn.interrupted else text


def schema(lines: int, known: int) -> dict[str, Any]:
    """JSON schema of the answer: lines and known facts that do not exist cannot be named."""
    fact = {
        "line": {"type": "integer", "enum": list(range(1, lines + 1))},
        "text": {"type": "string", "maxLength": 200},
        "topic": {"type": "string", "enum": list(TOPICS)},
        "sub_topic": {"type": "string", "maxLength": 24},
        "weight": {"type": "integer", "enum": list(range(1, 10))},
    }
    number = {"type": "integer", "enum": list(range(1, known + 1)) or [0]}
    return _object(
        {"ended": {"type": "array", "items": number}, "facts": {"type": "array", "items": _object(fact)}}
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
