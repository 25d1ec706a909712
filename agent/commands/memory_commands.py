"""Recognises what a caller asks of their memory by whole sentences of every language that has a file:
all that is said, or the last of several.

No language is identified first: a short sentence has none. If two languages read a sentence as two wishes, it
is none.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from echoic.agent.commands.templates import (
    FORGETTING,
    KEEPING,
    LONGEST_WORDS,
    acts_in,
    answers_of,
    canonical,
    is_had,
    may_wish,
    one_of,
    stands_in,
    wish_in,
    words_of,
)
from echoic.memory.privacy.named import names_something
from echoic.memory.text.canonical import has, sentences
from echoic.memory.text.language import UNKNOWN, Language, languages
from echoic.memory.text.words import is_small_talk

CommandName = Literal[
    "nothing",
    "what_do_you_know",
    "forget_that",
    "dont_remember_this",
    "stop_remembering",
    "remember_again",
    "forget_everything",
    "confirm_forgetting",
]
Asked = Literal["", "may_remember", "may_forget"]
"""What the agent asked just before."""


_ASKS = re.compile(r"[?？؟]")
LONGEST_CHARS = 2_000
"""Of words that may be a wish; whoever pastes more wishes something at the end of it, if at all."""


@dataclass(frozen=True, slots=True)
class MemoryCommand:
    """One wish about memory. Its name is the name of the tool that carries it out; `nothing` is an idiom."""

    wish: CommandName
    about: str = ""
    """What is named: "my dog" in "forget about my dog"."""
    perhaps: bool = False
    """What is named may be no matter of memory: "delete my order"."""
    likely: bool = False
    """Told by meaning alone; what is named stands somewhere in `about`, and nothing goes without a yes."""
    this_alone: bool = False
    """The wish and the words it is about stand in one turn: "don't remember this, my PIN is 4321"."""
    rest: str = ""
    """Words after the wish that still want an answer."""
    language: Language = UNKNOWN
    """In which it was recognised."""


def parse_memory_command(words: str, *, asked: Asked = "") -> MemoryCommand | None:
    """What the caller wants of memory with these words; None when they speak of something else, or it takes a
    model to tell.

    Strict: words that only may mean a wish are none, and reach the model as they are.
    """
    if len(words) > LONGEST_CHARS:
        return None
    sentence = canonical(words)
    if asked and (answer := _answer(words, asked)) is not None:
        return answer
    if sentence.count(" ") > LONGEST_WORDS:
        return None
    found = _wishes(sentence) or _wishes(_last_sentence(words))
    return found[0] if len({(one.wish, one.this_alone) for one in found}) == 1 else None


def _last_sentence(words: str) -> str:
    """Of "I made a mistake. Forget that, please." the wish; a question before it wants its answer."""
    *before, last = sentences(words) or [""]
    return canonical(last) if before and not any(map(_ASKS.search, before)) else ""


def _wishes(sentence: str) -> list[MemoryCommand]:
    return [one for code in may_wish(sentence) if (one := _wish(sentence, code)) is not None]


def speaks_of_forgetting(words: str) -> bool:
    """Whether a word for deleting or for memory stands there, or one for keeping with a "not", in any
    language: the model might say that it did."""
    sentence = canonical(words[-LONGEST_CHARS:])
    if stands_in(sentence, (*FORGETTING, "memory")):
        return True
    keeping = stands_in(sentence, KEEPING)
    said = words_of(sentence) if keeping else []
    return any(has(languages()[code].negation, said) for code in keeping)


def _wish(sentence: str, code: str) -> MemoryCommand | None:
    match = wish_in(sentence, code)
    if match is None or match.lastgroup is None:
        return None
    wish, language = match.lastgroup, languages()[code]
    slot = next((text.strip() for text in _slots(match) if text), "")
    if wish in ("forget_named", "delete_named"):
        perhaps = wish == "delete_named"
        named = is_had(slot, code) or names_something(slot, language)
        return MemoryCommand("forget_that", slot, perhaps, language=language) if named else None
    return MemoryCommand(wish, this_alone=bool(slot), language=language)  # type: ignore[arg-type]


def _slots(match: re.Match[str]) -> list[str | None]:
    named = set(match.re.groupindex.values())
    return [text for number, text in enumerate(match.groups(), 1) if number not in named]


def _answer(words: str, asked: Asked) -> MemoryCommand | None:
    """A plain yes or no to a question. Anything in between is neither, and nor is what asks back."""
    sentence, asks = canonical(words), _ASKS.search(words)
    found = [one for code in languages() for one in _answers(sentence, code, asked)]
    if len({kind for kind, _, _ in found}) != 1 or found[0][0] == "doubt":
        return None
    kind, rest, language = min(found, key=lambda one: len(one[1]))
    wish = _MEANT[asked, kind]
    if asks and (
        wish == "confirm_forgetting" or len(canonical(words[: asks.start()])) <= len(sentence) - len(rest)
    ):
        return None
    rest = "" if is_small_talk(rest) else " ".join(words_of(rest))
    return MemoryCommand(wish, rest=rest, language=language)


_MEANT: dict[tuple[Asked, str], CommandName] = {
    ("may_remember", "agree"): "remember_again",
    ("may_remember", "refuse"): "stop_remembering",
    ("may_forget", "agree"): "confirm_forgetting",
    ("may_forget", "refuse"): "nothing",
}


def _answers(sentence: str, code: str, asked: Asked) -> list[tuple[str, str, Language]]:
    """What it is in one language, and what is said after it."""
    found = []
    for kind in ("refuse", "agree"):
        if match := answers_of(code, kind).match(sentence):
            rest = sentence[match.end() :]
            found.append((_meant(kind, match[0], rest, code, asked), rest, languages()[code]))
    return found


def _meant(kind: str, said: str, rest: str, code: str, asked: Asked) -> str:
    """The act that a phrase names decides: "remember it" is no yes to "shall I forget it?", and "keep it" one
    to "may I remember it?". A yes is a doubt with a condition, a no or the other act after it; nothing that
    refuses deletes."""
    if kind == "refuse":
        may_be_kept = asked == "may_remember" and not _doubts(code).search(f"{said}{rest} ")
        return "agree" if may_be_kept and acts_in(said, code) == {asked} else "refuse"
    named = acts_in(said, code)
    refused = any(each == "refuse" for each, _, _ in _answers(rest, code, asked))
    if _doubts(code).search(f"{rest} ") or refused or acts_in(rest, code) - {asked} or len(named) > 1:
        return "doubt"
    return "agree" if named <= {asked} else "refuse"


@cache
def _doubts(code: str) -> re.Pattern[str]:
    language = languages()[code]
    phrases = [*map(" ".join, (*language.no, *language.negation, *language.condition))]
    phrases = [phrase for phrase in phrases if "-" not in phrase]
    doubt = one_of("doubt", {**language.wishes, "doubt": [*phrases, *language.wishes.get("doubt", ())]})
    return re.compile(f"(?:{doubt})(?= )")
