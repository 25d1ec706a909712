"""What must never be kept is taken out of words before they are stored: card numbers, PINs, passwords, codes.

A card number is 13 to 19 digits that pass Luhn's check (ISO/IEC 7812). The others are said as such: a word of
`[secrets]` in a language file, then a number or, for a password, the rest of the sentence; or the answer to a
question with such a word. All languages at once: no language has to be known. Spelled digits count too.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from echoic.memory.text.canonical import is_unspaced
from echoic.memory.text.language import Language, fold, languages
from echoic.memory.text.numbers.composed import signs
from echoic.memory.text.numbers.spoken import number_of, with_digits
from echoic.memory.types import Role

MASK = "•••"
LEAST_DIGITS = 3
"""Of a number behind a word such as "PIN"."""
CARD = range(13, 20)
MOST_SPOKEN = 3 * CARD.stop
"""Words that a card number takes, in any language; in more there is none."""
NEAR = 6
"""Words from "password" to its "is"."""
BEFORE, AFTER = 3, 15
"""Words around such a word in which its number stands."""
_NONE: Mapping[str, str] = {}
_WORD = re.compile("\\d+|[^\\W\\d_](?:[^\\W\\d_]|[\u0900-\u0dff\u0e00-\u0e7f])*")
_SENTENCE_END = re.compile(r"[.!?;。！？؟।\n]")


@dataclass(frozen=True, slots=True)
class _Word:
    begin: int
    end: int
    text: str
    """Folded."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Number words next to each other, as places of words."""

    first: int
    last: int
    digits: str


def hide_in_turn(role: Role, text: str, last_said: dict[Role, str]) -> str:
    """The turn without its secrets; what the other one said last may have asked for one."""
    asked, last_said[role] = last_said.get("assistant" if role == "user" else "user", ""), text
    return hide_secrets(text, asked)


def hide_secrets(text: str, asked: str = "") -> str:
    """The text with each secret as "•••"; as it is where there is none.

    Args:
        asked: what was said before it: "Could you read me the code?"
    """
    words = _words_of(text)
    named = _places(words, "numbers")
    if not named and sum(_at_most(text[word.begin : word.end]) for word in words) < LEAST_DIGITS:
        return _hidden(text, _passwords(text, words, asked))
    runs = _runs(text, words)
    spans = [_span(words, run) for run in runs if _is_card(run.digits)]
    near = _near(named, words)
    everywhere = bool(asked) and bool(_places(_words_of(asked), "numbers"))
    for run in runs:
        is_secret = everywhere or any(at in near for at in range(run.first, run.last + 1))
        if len(run.digits) >= LEAST_DIGITS and is_secret:
            spans.append(_span(words, run))
    return _hidden(text, [*spans, *_passwords(text, words, asked)])


def _at_most(word: str) -> int:
    """How many digits a word may stand for."""
    return len(word) if word.isdigit() else max(map(len, _read(word).values()), default=0)


def _near(named: list[tuple[int, int]], words: list[_Word]) -> set[int]:
    return {
        at for first, last in named for at in range(max(0, first - BEFORE), min(len(words), last + AFTER))
    }


def _passwords(text: str, words: list[_Word], asked: str) -> list[tuple[int, int]]:
    """From behind "password is" to the end of its sentence; all of an answer to a question for it.

    "I forgot my password and my dog is ill" holds none; where a language has no such "is", all behind the
    word counts.
    """
    spans = []
    named = _places(words, "words")
    stating = [last for _, last in _places(words, "is")] if named else []
    ends = [*(end.start() for end in _SENTENCE_END.finditer(text)), len(text)] if named else []
    for first, last in named:
        close = ends[bisect_left(ends, words[last].end)]
        begin: int | None = last
        if (
            _needs_is(tuple(word.text for word in words[first : last + 1]))
            and text[words[last].end :][:1] != ":"
        ):
            after = bisect_right(stating, last)
            near = (
                at for at in stating[after : after + NEAR] if at <= last + NEAR and words[at].begin < close
            )
            begin = next(near, None)
        if begin is not None and begin + 1 < len(words):
            spans.append((words[begin + 1].begin, close))
    if asked and words and _places(_words_of(asked), "words"):
        spans.append((words[0].begin, words[-1].end))
    return [span for span in spans if span[0] < span[1]]


def _hidden(text: str, spans: list[tuple[int, int]]) -> str:
    kept, at = list[str](), 0
    for begin, end in _joined(spans):
        kept += [text[at:begin], MASK]
        at = end
    return "".join([*kept, text[at:]])


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found


def _words_of(text: str) -> list[_Word]:
    """Words with their places; where no spaces are written, each character."""
    found = []
    for match in _WORD.finditer(text):
        if is_unspaced(match.group()):
            found += [_Word(at, at + 1, fold(text[at])) for at in range(match.start(), match.end())]
        else:
            found.append(_Word(match.start(), match.end(), fold(match.group())))
    return found


def _places(words: list[_Word], kind: str) -> list[tuple[int, int]]:
    """Where a secret is named, as first and last word; not in "post code"."""
    texts = [word.text for word in words]
    spared = {at for first, last in _found(texts, _phrases("spared")) for at in range(first, last + 1)}
    return [span for span in _found(texts, _phrases(kind)) if span[0] not in spared and span[1] not in spared]


def _found(texts: list[str], phrases: dict[str, list[tuple[str, ...]]]) -> list[tuple[int, int]]:
    spans = []
    for at, word in enumerate(texts):
        for phrase in phrases.get(word, ()):
            if tuple(texts[at : at + len(phrase)]) == phrase:
                spans.append((at, at + len(phrase) - 1))
    return spans


@lru_cache(maxsize=256)
def _needs_is(phrase: tuple[str, ...]) -> bool:
    """Whether a language that knows this word for a password has words that state it."""
    named = [one for one in languages().values() if phrase in map(_pieces, one.secrets.get("words", ()))]
    return any(one.secrets.get("is") for one in named)


@cache
def _phrases(kind: str) -> dict[str, list[tuple[str, ...]]]:
    """By their first word."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for language in languages().values():
        for phrase in language.secrets.get(kind, ()):
            found.setdefault(_pieces(phrase)[0], []).append(_pieces(phrase))
    return found


def _pieces(phrase: str) -> tuple[str, ...]:
    return tuple(word.text for word in _words_of(phrase))


def _runs(text: str, words: list[_Word]) -> list[_Run]:
    """Numbers of one language each: "ich bin dreißig" is no Turkish thousand before a German thirty."""
    found: list[_Run] = []
    first, codes, at = 0, frozenset[str](), 0
    while at < len(words):
        known = _languages_of(words[at].text, text[words[at].begin : words[at].end])
        bridged = codes and not known and _bridged(text, words, at, codes)
        shared = bridged or (codes & known)
        if codes and not shared:
            found.append(_run(text, words, first, at - 1, codes))
        if not shared:
            first = at
        codes = shared or known
        at += 2 if bridged else 1
    return [*found, _run(text, words, first, len(words) - 1, codes)] if codes else found


def _languages_of(folded: str, word: str) -> frozenset[str]:
    return frozenset(languages()) if folded.isdigit() else frozenset(_read(word))


def _bridged(text: str, words: list[_Word], at: int, codes: frozenset[str]) -> frozenset[str]:
    """The languages in which this word is the "and" of one number: "vingt et un"."""
    if not 0 < at < len(words) - 1:
        return frozenset()
    around = text[words[at - 1].begin : words[at + 1].end].casefold()
    joining = (languages()[code] for code in codes if fold(languages()[code].joint) == words[at].text)
    return frozenset(one.code for one in joining if with_digits(around, one).isdigit())


def _run(text: str, words: list[_Word], first: int, last: int, codes: frozenset[str]) -> _Run:
    """All digits of a run, in order: "forty one eleven" is 4111 in a language whose numbers are known."""
    run = words[first : last + 1]
    spelled = text[run[0].begin : run[-1].end]
    ways = []
    for code in sorted(codes):
        pieces = (text[word.begin : word.end] for word in run)
        ways.append("".join(one if one.isdigit() else _read(one).get(code, "") for one in pieces))
        if 1 < len(run) <= MOST_SPOKEN:
            ways.append(re.sub(r"\D", "", with_digits(spelled.casefold(), languages()[code])))
    card = next((digits for digits in ways if _is_card(digits)), "")
    return _Run(first, last, card or max(ways, key=len))


def _span(words: list[_Word], run: _Run) -> tuple[int, int]:
    return words[run.first].begin, words[run.last].end


def _is_card(digits: str) -> bool:
    """By its check digit; no card begins as telephone numbers do, of which every tenth has a fitting one."""
    if len(digits) not in CARD or digits[0] in "017":
        return False
    total = 0
    for place, mark in enumerate(reversed(digits)):
        value = int(mark) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


@lru_cache(maxsize=8_192)
def _read(word: str) -> Mapping[str, str]:
    """The digits that a word stands for, by language; of a hundred and more without the zeros at its end."""
    folded = fold(word)
    found = {code: _digits(word, folded, language) for code, language in languages().items()}
    return {code: digits for code, digits in found.items() if digits} or _NONE


def _digits(word: str, folded: str, language: Language) -> str:
    if folded in language.zero or folded in language.repeats:
        return "0"  # "double": a part of the number, whatever it doubles
    if row := signs(folded, language):
        return row
    digits = str(language.digits.get(folded, "")) or number_of(word, folded, language)
    return digits.rstrip("0") if len(digits) > 2 else digits
