"""Words in the form in which two ways of writing the same are equal.

"thirty four" and 34, "Müller" and "muller", "Dr. Patel" and "doctor patel", "O'Brien" and "o brien": what a
speech recogniser writes down differs from what a model does.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import groupby, pairwise
from threading import Lock

import snowballstemmer

from echoic.memory.text.language import UNKNOWN, WITHIN_WORDS, Language, Words, fold, languages
from echoic.memory.text.numbers.spoken import with_digits

_TOKEN = re.compile(f"[^\\W_](?:[^\\W_]|[{WITHIN_WORDS}\u200c\u200d])*(?:(?:[+]{{2}}|#)(?!\\w))?")
_JOINT = re.compile(r"[-‐&+/](?=[^\W_])")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f]"
)
"""Scripts that write no spaces: each character is a word."""
_UNSPACED_WORD = re.compile(f"([\u30a1-\u30ff]+|{_UNSPACED.pattern})")
"""... but for katakana, which write a foreign word at a time."""
_PLAIN = re.compile("^[a-z]*")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_COUNTER = re.compile("(?<=\\d)(?=[\uac00-\ud7a3])")
"""Where what is counted in Hangul sticks to its number: "34살"."""
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？؟।])\s*|\n+")
MYRIAD = 10_000
_DOTTED = re.compile(r"(?<!\w)(\w+)\.(?=\s+(\w+))")
_CLAUSE = re.compile(rf"[,，、;:：؛،]|\s[–—-]\s|(?<={_UNSPACED.pattern})\s+(?={_UNSPACED.pattern})")
"""A space is a pause, too, in scripts that write none between words."""
SAME_START = 4
"""Letters in which two forms of a word must agree: "wohne" and "wohnt", "allergy" and "allergic"."""
SYLLABLES = 2
"""... and syllables of Hangul, whose particles stick to the word."""
ENDING = 2
"""Letters that the shorter one may have after that: "Erdnüsse" and "Erdnussallergie"."""


_stemming = Lock()
"""A stemmer keeps the word it works on in itself."""


class Joined(str):
    """A word written together with the next one: the "e" of "e-mail" is no "and"."""

    __slots__ = ()


def tokens(text: str, language: Language = UNKNOWN) -> list[str]:
    """The canonical words of a text, in order."""
    folded = fold(with_digits(text, language))  # "zwölf" is a number, and "zwolf" none
    found: list[str] = []
    for match in _TOKEN.finditer(folded):
        found += split(match.group())
        if _JOINT.match(folded, match.end()):
            found[-1] = Joined(found[-1])
    plain = [type(token)(language.titles.get(token, _plain_number(token))) for token in found]
    return _spelled_digits(plain, language)


def together(found: Iterable[str]) -> list[str]:
    """The words with those that are written together as one: "e-mail" is "email"."""
    out: list[str] = []
    joins = False
    for word in found:
        out[-1:] = [out[-1] + word] if joins else [*out[-1:], word]
        joins = isinstance(word, Joined)
    return out


def squash(found: Iterable[str]) -> str:
    """The words without the spaces between them: "o brien" is "obrien"."""
    return "".join(found)


def same(one: str, other: str, language: Language = UNKNOWN) -> bool:
    """Whether two canonical words are forms of one."""
    if same_stem(one, other, language):
        return True
    if one.isdecimal() or other.isdecimal():
        return False
    least = SYLLABLES if _HANGUL.match(one) else SAME_START
    start = max(least, min(len(one), len(other)) - ENDING)
    return one[:start] == other[:start] and min(len(one), len(other)) >= least


def same_stem(one: str, other: str, language: Language = UNKNOWN) -> bool:
    """Whether two canonical words are equal, or have the same stem in a language whose stems are known."""
    return one == other or stem(one, language) == stem(other, language)


def stem(word: str, language: Language = UNKNOWN) -> str:
    """What the forms of a canonical word share, in a language whose stems are known; else the word."""
    return _stem(language.stemmer, word) if language.stemmer and not word.isdecimal() else word


def beginning(word: str, language: Language = UNKNOWN) -> str:
    """The plain letters with which every form of a canonical word begins; empty: which, is not sure.

    Between two of these may stand three more: "anrufen" and "angerufen". What is double counts once: the stem
    of "open" is "oopp" in Dutch.
    """
    sure = word
    if language.stemmer:
        stem = _stem(language.stemmer, word)
        sure = stem[: max(ENDING, len(stem) - ENDING)] if len(stem) > ENDING else ""
    once = "".join(letter for letter, _ in groupby(sure))
    return _PLAIN.findall(once[:SAME_START])[0]


def place(phrase: Sequence[str], among: Sequence[str], start: int = 0) -> int:
    """Where a phrase stands among words, from `start` on; -1: nowhere.

    Of a word that says so only the ending ("-ría") or the beginning ("없-") counts: what other languages say
    with a word of its own, some say inside a verb.
    """
    size = len(phrase)
    for at in range(start, len(among) - size + 1):
        if all(_is_form(word, among[at + step]) for step, word in enumerate(phrase)):
            return at
    return -1


def _is_form(phrase: str, word: str) -> bool:
    if phrase == word or "-" not in phrase:
        return phrase == word
    part = phrase.strip("-")
    return len(word) > len(part) and (word.endswith(part) if phrase[0] == "-" else word.startswith(part))


def has(words: Words, among: Sequence[str], language: Language = UNKNOWN) -> bool:
    """Whether one of these phrases stands among the words."""
    return first_of(words, among, language) >= 0


def first_of(words: Words, among: Sequence[str], language: Language = UNKNOWN) -> int:
    """Where the first of these phrases begins among the words; -1: none is there."""
    found = [place(_spelled(phrase), among) for phrase in words]
    return min((at for at in found if at >= 0), default=-1)


def sentences(text: str) -> list[str]:
    """The sentences of a text, by their punctuation."""
    return [part.strip() for part in _SENTENCE.split(undotted(text)) if part.strip()]


def undotted(text: str) -> str:
    """Without dots that end no sentence: "Dr. Patel", "am 3. Mai"."""
    return _DOTTED.sub(lambda match: match[1] if _goes_on(match[1], match[2]) else match[0], text)


def _goes_on(word: str, following: str) -> bool:
    known = languages().values()
    if word.isdecimal():
        return any(fold(following) in one.calendar for one in known)
    return len(word) > 1 and any(fold(word) in one.titles.values() for one in known)


def clauses(text: str, language: Language = UNKNOWN) -> list[list[str]]:
    """The clauses of a text, each as canonical words: cut at punctuation, at a conjunction, and at a pronoun.

    What speech recognition writes has no commas: "mum's moving she's always wanted the sea".
    """
    return [clause for sentence in sentences(text) for clause in clauses_of_sentence(sentence, language)]


def clauses_of_sentence(sentence: str, language: Language = UNKNOWN) -> list[list[str]]:
    """The clauses of one sentence."""
    return [clause for part in parts(sentence) for clause in cut(tokens(part, language), language)]


def parts(sentence: str) -> list[str]:
    """What stands between the commas of a sentence."""
    return _CLAUSE.split(sentence)


def cut(words: list[str], language: Language) -> list[list[str]]:
    """Words in clauses, at conjunctions and pronouns, and behind a verb that comes last."""
    heads = (*language.breaks, *language.cause, *language.self, *language.others)
    begins = [one for one in heads if one not in language.ends]
    starts = {
        at
        for phrase in map(_spelled, begins)
        for at in range(1, len(words))
        if words[at : at + len(phrase)] == phrase and not isinstance(words[at], Joined)
    }
    edges = [0, *sorted(starts | _behind_verbs(words, language)), len(words)]
    return [words[begin:end] for begin, end in pairwise(edges) if begin < end]


def _behind_verbs(words: Sequence[str], language: Language) -> set[int]:
    """Places behind what ends a clause; what denies it belongs to it: "है नहीं"."""
    found = set()
    for phrase in language.ends:
        spelled, at = _spelled(phrase), 0
        while (at := place(spelled, words, at)) >= 0:
            at += len(spelled)
            if first_of(language.negation, words[at:]) != 0:
                found.add(at)
    return found


def is_unspaced(word: str) -> bool:
    """Whether it is written in a script without spaces."""
    return _UNSPACED.search(word) is not None


def split(word: str) -> list[str]:
    """A run without spaces as its characters, and words in katakana; what is counted in Hangul apart from its
    number; any other word as it is."""
    if not _UNSPACED.search(word):
        return _COUNTER.split(word)
    return [part for part in _UNSPACED_WORD.split(word) if part]


@lru_cache(maxsize=4_096)
def _spell(phrase: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(piece for word in phrase for piece in split(fold(word)))


def _spelled(phrase: tuple[str, ...]) -> list[str]:
    return list(_spell(phrase))


def _plain_number(token: str) -> str:
    """ "5th" as 5, "٥" as 5."""
    if token.isdecimal():
        return str(int(token)) if len(token) < 4 and not token.startswith("0") else _digits(token)
    match = _ordinal().fullmatch(token)
    return match[1] if match else token


@cache
def _ordinal() -> re.Pattern[str]:
    """Digits with an ending of some language: which it is need not be known."""
    endings = {fold(ending) for language in languages().values() for ending in language.ordinals}
    return re.compile(rf"(\d+)(?:{'|'.join(sorted(endings))})")


def _digits(token: str) -> str:
    return "".join(str(unicodedata.digit(mark, 0)) for mark in token)


def numerals(text: str, language: Language) -> list[str]:
    """The words of a text, and numbers in signs of their own as digits: "三十六岁" is 36, "1万5千" 15000."""
    groups = groupby(tokens(text), lambda word: _sign(word, language) is not None)
    runs = ((number, list(run)) for number, run in groups)
    return [
        word
        for number, run in runs
        for word in ([_reckoned(run, language)] if number and any(map(is_unspaced, run)) else run)
    ]


def _sign(word: str, language: Language) -> float | None:
    if word.isascii() and word.isdecimal():
        return float(word)
    if len(word) > 1 or not (is_unspaced(word) or unicodedata.category(word) == "Nl"):
        return None
    return language.digits.get(word, unicodedata.numeric(word, None))


def _reckoned(run: Iterable[str], language: Language) -> str:
    total = section = digit = 0.0
    for word in run:
        value = _sign(word, language) or 0.0
        if value < 10 or word.isascii():
            digit = digit * 10 + value
        elif value < MYRIAD:
            section, digit = section + (digit or 1) * value, 0
        else:
            total, section, digit = total + (section + digit or 1) * value, 0, 0
    return str(round(total + section + digit))


def _spelled_digits(found: list[str], language: Language) -> list[str]:
    """Digits as they are spelled: "oh" between digits is 0, "double one" is 1 1."""
    out: list[str] = []
    times = 1
    for at, token in enumerate(found):
        beside = [*out[-1:], *found[at + 1 : at + 2]]
        if token in language.repeats and any(map(str.isdecimal, found[at + 1 : at + 2])):
            times = language.repeats[token]
            continue
        digit = "0" if token in language.zero and any(map(str.isdecimal, beside)) else token
        out += [digit] * times
        times = 1
    return out


@lru_cache(maxsize=16_384)
def _stem(stemmer: str, word: str) -> str:
    with _stemming:
        return str(_stemmer(stemmer).stemWord(word))


@lru_cache(maxsize=32)
def _stemmer(name: str) -> snowballstemmer.stemmer:
    return snowballstemmer.stemmer(name)
