"""What must never be kept is taken out of words before they are stored: card numbers, PINs, passwords, codes.

A card number is 13 to 19 digits that pass Luhn's check. The others are said as such: a word of `[secrets]` in
a language file beside a number or, for a password, the words that are said to be it; or the answer to a
question with such a word. All languages at once: no language has to be known. Spelled digits count too.
"""

from collections.abc import Iterable

from echoic.memory.text.numbers.runs import Run, Word, digits_of_word, runs_in, words_of
from echoic.memory.text.secrets.cuts import PART_END, Cuts, Span
from echoic.memory.text.secrets.names import asks_for, places
from echoic.memory.text.secrets.numbers import LEAST_DIGITS, LEAST_SENT, answered, called, cards
from echoic.memory.text.secrets.passwords import password_answered, passwords_in
from echoic.memory.types import Role

MASK = "•••"
LONGEST_QUESTION = 400
"""Characters at the end of what was said that may ask for a secret; of a pasted page the rest asks for none,
and took a second of whoever answered it."""


def hide_in_turn(role: Role, text: str, last_said: dict[Role, str]) -> str:
    """The turn without its secrets; what the other one said last may have asked for one."""
    asked = last_said.get("assistant" if role == "user" else "user", "")
    last_said[role] = text[-LONGEST_QUESTION:]
    return hide_secrets(text, asked)


def hide_secrets(text: str, asked: str = "") -> str:
    """The text with each secret as "•••"; as it is where there is none.

    Args:
        asked: what was said before it: "Could you read me the code?"
    """
    words = words_of(text)
    numbers, passwords = places(words, "numbers"), places(words, "words")
    few_digits = sum(_at_most(text[word.begin : word.end]) for word in words) < LEAST_DIGITS
    runs = [] if few_digits and not numbers and not passwords else runs_in(text, words)
    spans = [card for run in runs for card in cards(text, words, run)]
    if numbers:
        spans += called(words, runs, numbers, Cuts(PART_END, text))
    if numbers or passwords:
        spans += passwords_in(text, words, runs, numbers, passwords)
    return _hidden(text, [*spans, *_answered(text, words, runs, asked)] if asked else spans)


def _answered(text: str, words: list[Word], runs: list[Run], asked: str) -> list[Span]:
    """What was asked for; what is both a PIN and a password in a language is a password without digits."""
    least = LEAST_DIGITS if asks_for(asked, "numbers") else LEAST_SENT if asks_for(asked, "sent") else 0
    spans = [*answered(words, runs, least)] if least else []
    if asks_for(asked, "words") or (asks_for(asked, "both") and not spans):
        spans += password_answered(text, words)
    return spans


def _at_most(word: str) -> int:
    """How many digits a word may stand for."""
    return len(word) if word.isdigit() else max(map(len, digits_of_word(word).values()), default=0)


def _hidden(text: str, spans: Iterable[Span]) -> str:
    kept, at = list[str](), 0
    for begin, end in _joined(spans):
        kept += [text[at:begin], MASK]
        at = end
    return "".join([*kept, text[at:]])


def _joined(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found
