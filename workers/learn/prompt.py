"""What the learning model reads and must answer: byte-stable instructions with examples, then one portion.

Instructions and examples are the same in every call, so that a server's prefix cache holds them. The examples
are in several languages, a weak model's in the caller's: a fact is written in the language it was said in.
"""

import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from echoic.memory.model_verdict import Grade
from echoic.memory.text.language import Language, languages
from echoic.memory.types import Fact
from echoic.workers.learn.conversation import Portion, render
from echoic.workers.learn.slots import instructions
from echoic.workers.model.chat import Message

SYSTEM = """\
You keep the memory of a voice assistant. You read what is known about a caller, then a conversation, and \
write down what the caller tells about their life. Answer in JSON: "operations", in the order of the turns. \
Each has:
- "turns": numbers of the turns it rests on.
- "quote": the caller's own words that say it, copied exactly.
- "about": "caller", or whom it is about in the caller's words, as "sister" or "sister, Ana".
- "said": "stated", "answered" (to a question), "denied" (not so), "reported" (somebody else says so), \
"hypothetical" (if, wish), "playful" (joke, game, song, irony).
- "fact": one short sentence in the caller's language that is clear on its own, without "I" or "my", with \
every "not".
- "op": "add" a new fact; "replace 2" if known fact 2 is no longer so and this is instead; "end 2" if it is \
over; "confirm 2" if it is said again.
- "topic"; "weight": 1 (trivial) to 9 (must never be forgotten).
- "when": "", or dates and words as "2026-05-02 day: on Saturday", "2026-06 month: in June", "habit: every \
day".
Questions, requests, thanks and the assistant's words hold no fact: then "operations" is []. Never write \
down again what is only known. A known fact stays unless the caller says that this very fact has changed. A \
promise of the caller or the agent ("I'll call on Monday") has "topic" "promises" and is about "caller" or \
"agent"."""


def _op(
    turns: list[int],
    quote: str,
    fact: str,
    topic: str,
    weight: int,
    *,
    about: str = "caller",
    said: str = "stated",
    op: str = "add",
    when: str = "",
) -> dict[str, Any]:
    return {
        "turns": turns,
        "quote": quote,
        "about": about,
        "said": said,
        "fact": fact,
        "op": op,
        "topic": topic,
        "weight": weight,
        "when": when,
    }


_MONDAY = (
    "Call on Monday 2026-05-04, 18:20. Days: Fri 2026-05-01, Sat 2026-05-02, Sun 2026-05-03, Mon 2026-05-04, "
    "Tue 2026-05-05, Wed 2026-05-06, Thu 2026-05-07, Fri 2026-05-08, Sat 2026-05-09, Sun 2026-05-10, "
    "Mon 2026-05-11."
)
_EXAMPLES: tuple[tuple[str, list[dict[str, Any]]], ...] = (
    (
        "Known:\n1. Likes skiing\n\n"
        f"{_MONDAY}\n1 agent: Hello, how can I help you?\n2 caller: my name is ellen and my brother oscar "
        "says i'm a workaholic\n3 agent: Do you have any allergies?\n4 caller: No. But Oscar can't have "
        "cats near him.",
        [
            _op([2], "my name is ellen", "Is called Ellen", "person", 9),
            _op(
                [2], "my brother oscar says i'm a workaholic", "Is a workaholic", "person", 3, said="reported"
            ),
            _op([4], "No.", "Has no allergies", "health", 7, said="answered"),
            _op(
                [4],
                "Oscar can't have cats near him",
                "Brother Oscar can't have cats near him",
                "family",
                6,
                about="brother, Oscar",
            ),
        ],
    ),
    (
        "Known:\n1. Wohnt in Bremen\n2. Trinkt viel Kaffee\n3. [sister] Schwester wohnt in Bremen\n\n"
        f"{_MONDAY}\n1 caller: Wir sind am Samstag nach Kiel gezogen, das Wetter in Bremen war immer "
        "schlecht.\n"
        "2 agent: Schön! Ich schicke Ihnen morgen den Plan.\n3 caller: Danke. Kaffee trinke ich keinen mehr.",
        [
            _op(
                [1],
                "Wir sind am Samstag nach Kiel gezogen",
                "Wohnt in Kiel",
                "home",
                8,
                op="replace 1",
                when="2026-05-02 day: am Samstag",
            ),
            _op(
                [2],
                "Ich schicke Ihnen morgen den Plan",
                "Der Agent schickt am 5. Mai 2026 den Plan",
                "promises",
                6,
                about="agent",
                when="2026-05-05 day: morgen",
            ),
            _op(
                [3],
                "Kaffee trinke ich keinen mehr",
                "Trinkt keinen Kaffee mehr",
                "food",
                5,
                said="denied",
                op="replace 2",
            ),
        ],
    ),
    (
        "Known:\n1. Vit à Lyon\n2. A un chat\n\n"
        f"{_MONDAY}\n1 agent: Que puis-je faire pour vous ?\n2 caller: Quel temps fera-t-il demain à Lyon ?\n"
        "3 agent: Il fera beau.\n4 caller: Si je gagnais au loto j'achèterais un bateau, merci !",
        [],
    ),
)


def _example_in(language: Language) -> tuple[str, list[dict[str, Any]]]:
    """An example in the caller's own language."""
    told = language.example
    turns = [f"agent: {told['agent']}", f"caller: {told['caller']}"]
    turns += [f"agent: {told['asked']}", f"caller: {told['said'][0]}"]
    spoken = "\n".join(f"{number} {turn}" for number, turn in enumerate(turns, 1))
    answer, other, own, said = (told[key] for key in ("answer", "other", "own", "said"))
    return (
        f"Known:\nnone\n\n{_MONDAY}\n{spoken}\n\n{_in_language(language)}",
        [
            _op([2], answer[0], answer[1], "home", 4, said="answered"),
            _op([2], other[0], other[1], "family", 5, about=other[2]),
            _op([2], own[0], own[1], "work", 7),
            _op([4], said[0], said[1], "habits", 3, said="answered"),
        ],
    )


def _in_language(language: Language) -> str:
    return f'Each "fact" in {language.name}.'


def messages(
    portion: Portion, known: Sequence[Fact], zone: ZoneInfo, *, names: bool = False, grade: Grade = "full"
) -> list[Message]:
    """The whole conversation with the model.

    It ends with the language that the caller speaks, and a model that only adds is shown that language alone:
    small ones else write facts in English, which share no word with what was said, and are refused.

    Args:
        names: whether the schema asks for them.
        grade: how far the model is trusted.
    """
    language = portion.language
    examples = [_example_in(language)] if grade == "adds" and language.example else _EXAMPLES
    wishes = [_in_language(language)] if language.name else []
    wishes += ['"names": other people, places and organisations in the fact.'] if names else []
    told = "\n\n".join(filter(None, (SYSTEM, instructions(portion.profile))))
    asked: list[Message] = [{"role": "system", "content": told}]
    for question, operations in examples:
        answer = json.dumps({"operations": operations}, ensure_ascii=False, separators=(",", ":"))
        asked += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [*asked, {"role": "user", "content": "\n\n".join([render(portion, known, zone), *wishes])}]


def fingerprint() -> str:
    """All that is the same in every question; a grade of a model holds for these words."""
    own = [_example_in(language) for language in languages().values()]
    return json.dumps([SYSTEM, _EXAMPLES, own])
