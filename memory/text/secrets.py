"""What must never be kept is taken out of words before they are stored: card numbers, PINs, passwords, codes.

A card number is 13 to 19 digits that pass Luhn's check (ISO/IEC 7812). The others are said as such: a word of
`[secrets]` in a language file, then a number or, for a password, the rest of the sentence; or the answer to a
question with such a word. All languages at once: no language has to be known. Spelled digits count too.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

from echoic.memory.text.canonical import is_unspaced, same_stem
from echoic.memory.text.content import function_words
from echoic.memory.text.language import fold, languages
from echoic.memory.text.numbers.runs import Run, Word, digits_of_word, run_of, runs_in, words_of
from echoic.memory.types import Role

MASK = "•••"
LEAST_DIGITS = 3
"""Of a number behind a word such as "PIN"."""
CARD = range(13, 20)
NEAR = 6
"""Words from "password" to its "is"."""
LEAST_MIXED = 4
MOST_WORDS = 4
"""Before a number that ends a password: "Marmalade ninety one"."""
LEAST_STEM = 4
"""Letters to which endings may stick, in Turkish."""
STEM_START = 3
"""Letters that a word and its stem begin with alike."""
BEFORE, AFTER = 3, 15
"""Words around such a word in which its number stands."""
_SENTENCE_END = re.compile(r"[.!?;。！？؟।\n]")
_PART_END = re.compile(r"[.!?;。！？؟।\n,，、،؛]")
_JOINED = re.compile(r"[@_#]?")


Span = tuple[int, int]
"""Characters, from the first to behind the last."""


class Place(NamedTuple):
    """Where a secret is named: its first and last word, and the language that names it so."""

    first: int
    last: int
    code: str


def hide_in_turn(role: Role, text: str, last_said: dict[Role, str]) -> str:
    """The turn without its secrets; what the other one said last may have asked for one."""
    asked, last_said[role] = last_said.get("assistant" if role == "user" else "user", ""), text
    return hide_secrets(text, asked)


def hide_secrets(text: str, asked: str = "") -> str:
    """The text with each secret as "•••"; as it is where there is none.

    Args:
        asked: what was said before it: "Could you read me the code?"
    """
    words = words_of(text)
    numbers, passwords = _places(words, "numbers"), _places(words, "words")
    few_digits = sum(_at_most(text[word.begin : word.end]) for word in words) < LEAST_DIGITS
    runs = [] if few_digits and not numbers and not passwords else runs_in(text, words)
    spans = [_span(words, card) for run in runs for card in _cards(text, words, run)]
    near = _near(numbers, words)
    everywhere = bool(asked) and bool(_places(words_of(asked), "numbers"))
    for run in runs:
        is_secret = everywhere or any(at in near for at in range(run.first, run.last + 1))
        if len(run.readings[0]) >= LEAST_DIGITS and is_secret:
            spans.append(_span(words, run))
    if asked and words and _places(words_of(asked), "words"):
        spans.append((words[0].begin, words[-1].end))
    if numbers or passwords:
        spans += _said_as_passwords(text, words, runs, numbers, passwords)
    return _hidden(text, spans)


def _at_most(word: str) -> int:
    """How many digits a word may stand for."""
    return len(word) if word.isdigit() else max(map(len, digits_of_word(word).values()), default=0)


def _near(named: list[Place], words: list[Word]) -> set[int]:
    return {
        at
        for place in named
        for at in range(max(0, place.first - BEFORE), min(len(words), place.last + AFTER))
    }


def _said_as_passwords(
    text: str, words: list[Word], runs: list[Run], numbers: list[Place], passwords: list[Place]
) -> list[Span]:
    """From behind "password is" to the end of its sentence.

    "I forgot my password and my dog is ill" holds none. Where a language has no such "is", all behind the
    word counts, up to a comma. In any order, letters with digits among them count ("I use Bluebell77 as my
    password"), and a number with the words that it ends.
    """
    sentences, parts = _Cuts(_SENTENCE_END, text), _Cuts(_PART_END, text)
    spans = [span for place in passwords if (span := _stated(text, words, place, sentences, parts))]
    named = {sentences.around(_place_of(words, place)) for place in (*numbers, *passwords)}
    spans += (one for one in _mixed(text, words) if sentences.around(one) in named)
    codes = defaultdict[Span, set[str]](set)
    for place in passwords:
        codes[parts.around(_place_of(words, place))].add(place.code)
    names = {at for place in passwords for at in range(place.first, place.last + 1)}
    for run in runs:
        part = parts.around(_span(words, run))
        if known := run.codes & codes.get(part, set()):
            spans += _with_words(words, run, names, part[0], min(known))
    return spans


class _Cuts:
    """Where sentences, or their parts, begin and end."""

    def __init__(self, ends: re.Pattern[str], text: str) -> None:
        found = [*ends.finditer(text)]
        self._begins = [0, *(end.end() for end in found)]
        self._ends = [*(end.start() for end in found), len(text)]

    def around(self, span: Span) -> Span:
        """The one in which this stands, or several."""
        first, last = bisect_right(self._begins, span[0]) - 1, bisect_left(self._ends, span[1])
        return self._begins[first], self._ends[last]


def _stated(text: str, words: list[Word], place: Place, sentences: _Cuts, parts: _Cuts) -> Span | None:
    """What is said of a password behind its name."""
    begin, is_said = place.last + 1, text[words[place.last].end :][:1] == ":"
    if languages()[place.code].secrets.get("is") and not is_said:
        stating = _places(words[begin : begin + 2 * NEAR], "is")
        behind = next((one.last for one in stating if one.code == place.code), NEAR)
        if behind >= NEAR:
            return None
        begin, is_said = begin + behind + 1, True
    close = (sentences if is_said else parts).around(_place_of(words, place))[1]
    return (words[begin].begin, close) if begin < len(words) and words[begin].begin < close else None


def _with_words(words: list[Word], run: Run, names: set[int], begin: int, code: str) -> list[Span]:
    """A number with the telling words before it, if there are any."""
    functions, first = _functions(code), run.first
    while (
        run.first - first < MOST_WORDS
        and first
        and words[first - 1].begin >= begin
        and first - 1 not in names
        and words[first - 1].text not in functions
    ):
        first -= 1
    return [(words[first].begin, words[run.last].end)] if first < run.first else []


@cache
def _functions(code: str) -> frozenset[str]:
    return frozenset(map(fold, function_words(code)))


def _mixed(text: str, words: list[Word]) -> list[Span]:
    """Words that begin with a letter and hold two digits or more: "Bluebell77", "chaiwala@90"."""
    found, first = list[Span](), 0
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else None
        if following and not is_unspaced(word.text) and _JOINED.fullmatch(text, word.end, following.begin):
            continue
        one = text[words[first].begin : word.end]
        is_mixed = sum(map(str.isdigit, one)) > 1 and one[0].isalpha() and not is_unspaced(one[0])
        if is_mixed and len(one) >= LEAST_MIXED:
            found.append((words[first].begin, word.end))
        first = at + 1
    return found


def _hidden(text: str, spans: list[Span]) -> str:
    kept, at = list[str](), 0
    for begin, end in _joined(spans):
        kept += [text[at:begin], MASK]
        at = end
    return "".join([*kept, text[at:]])


def _joined(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found


def _places(words: list[Word], kind: str) -> list[Place]:
    """Where a secret is named; not in "post code"."""
    texts = [word.text for word in words]
    spared = {at for place in _found(texts, "spared") for at in range(place.first, place.last + 1)}
    return [place for place in _found(texts, kind) if spared.isdisjoint(range(place.first, place.last + 1))]


def _found(texts: list[str], kind: str) -> list[Place]:
    places, phrases = [], _phrases(kind)
    for at, word in enumerate(texts):
        for form in _forms(word, kind):
            for phrase, code in phrases[form]:
                said = texts[at : at + len(phrase)]
                if len(said) == len(phrase) and all(
                    _is_form(*pair, code) for pair in zip(phrase, said, strict=True)
                ):
                    places.append(Place(at, at + len(phrase) - 1, code))
    return places


@lru_cache(maxsize=8_192)
def _forms(word: str, kind: str) -> tuple[str, ...]:
    """The first words of phrases that this is a form of."""
    starts, found = _by_start(kind), set[str]()
    for bare in _bare(word):
        alike = (starts.get(bare[:size], {}) for size in range(1, STEM_START + 1))
        found |= {
            form
            for forms in alike
            for form, codes in forms.items()
            if any(_is_form(form, word, code) for code in codes)
        }
    return tuple(sorted(found))


@cache
def _by_start(kind: str) -> dict[str, dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for form, phrases in _phrases(kind).items():
        found.setdefault(form[:STEM_START], {})[form] = {code for _, code in phrases}
    return found


def _bare(word: str, code: str = "") -> list[str]:
    """The word, also without what is written together with it: "and the"."""
    return [word, *(word[len(one) :] for one in _written_before(code) if word.startswith(one))]


@cache
def _written_before(code: str) -> tuple[str, ...]:
    known = [languages()[code]] if code else languages().values()
    sticking = (one for one in known if one.proclitics)
    return tuple({fold(word) for one in sticking for word in (*one.proclitics, one.joint)})


@lru_cache(maxsize=8_192)
def _is_form(form: str, word: str, code: str) -> bool:
    """Whether a word is this one, with another ending, or with an article."""
    language = languages()[code]
    sticks = language.time.get("edges") == "left" and (len(form) >= LEAST_STEM or not form.isascii())
    return any(
        bare == form or same_stem(form, bare, language) or (sticks and bare.startswith(form))
        for bare in _bare(word, code)
    )


@cache
def _phrases(kind: str) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """With their language, by their first word."""
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for code, language in languages().items():
        for phrase in map(_pieces, language.secrets.get(kind, ())):
            found.setdefault(phrase[0], []).append((phrase, code))
    return found


def _pieces(phrase: str) -> tuple[str, ...]:
    return tuple(word.text for word in words_of(phrase))


def _cards(text: str, words: list[Word], run: Run) -> list[Run]:
    """The run, or a part of it between commas, if it is a card's number."""
    places = range(run.first + 1, run.last + 1)
    cuts = [at for at in places if _PART_END.search(text, words[at - 1].end, words[at].begin)]
    pairs = pairwise([run.first, *cuts, run.last + 1]) if cuts else ()
    parts = (run_of(text, words, first, behind - 1, run.codes) for first, behind in pairs)
    return [one for one in (run, *parts) if any(map(_is_card, one.readings))]


def _place_of(words: list[Word], place: Place) -> Span:
    return words[place.first].begin, words[place.last].end


def _span(words: list[Word], run: Run) -> Span:
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
