"""Words as the memory sees them: keys of a lookup, terms for BM25, and whether something was said at all."""

import re
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import snowballstemmer
import stopwordsiso
from anyascii import anyascii

from echoic.memory.text.language import languages, letters

MAX_TERM_CHARS = 40
"""Longer "words" (keys, links) are cut: a Postgres index entry has a limit, and nobody says them twice."""

MOST_TEXT_CHARS = 100_000
"""Of one turn: two hours of speech without a pause. A pasted text may have more."""

MOST_PIECES = 3
"""Words that one name may be heard as."""
ASKED_AT_ONCE = 16
"""Questions that are looked at in turns: what is worked out of one is kept so long."""
ONE = 1
"""One stop word of a language says little: Polish has "go"."""

_APOSTROPHES = "'’ʼ`"
_POSSESSIVE = re.compile(rf"[{_APOSTROPHES}]s\b")
_ACCENTS = re.compile("[\u0300-\u036f]")
_LATIN = re.compile("[\u00c0-\u02af\u1e00-\u1eff]")  # without accents: "ł" and "œ", as anyascii types them
_ELSE = re.compile(r"[^\x00-\x7f]+")
# Scripts without spaces, and Hangul, whose particles stick to the word: runs become pairs of characters.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003134f]+"
)

MOST_MARKS = 30
"""Accents in a row, as in Unicode's stream-safe format (UAX #15); behind them stands a mark that is not seen.
Python sorts them in quadratic time, and holds up every thread meanwhile: 100,000 took 22 s."""
_PAUSE = "\u034f"
_SELECTORS = range(0xFE00, 0xFE10)
"""Marks by which a sign is drawn in colour, or not; a mark would be a word where the sign is none: "❤️"."""
_MANY_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{MOST_MARKS + 1},}}")

_stemmer = snowballstemmer.stemmer("english")
_stemmer_lock = threading.Lock()  # a stemmer keeps the word it works on in itself


class _Spaced(dict[int, str | None]):
    """A table for `str.translate`, filled as it is asked: other characters than `kept` become a space."""

    def __init__(self, kept: str) -> None:
        super().__init__({ord(mark): None for mark in _APOSTROPHES})
        self._kept = kept

    def __missing__(self, code: int) -> str | None:
        category = unicodedata.category(chr(code))
        sign = unicodedata.decimal(chr(code), chr(code))  # "٣" is 3
        shown = str(sign) if category[0] in self._kept else " "
        self[code] = None if category == "Cf" or code in _SELECTORS else shown
        return self[code]


_WITHOUT_PUNCTUATION = _Spaced("LMNS")
_WORDS_ONLY = _Spaced("LMN")


def normalise(text: str) -> str:
    """The key of a lookup: the same words said again, however they are written, give the same string."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", parted(text)).casefold())
    return " ".join(folded.translate(_WITHOUT_PUNCTUATION).split())


def clean(text: str) -> str:
    """`holdable` text that is quick to compare, too: see MOST_MARKS."""
    return parted(holdable(text))


def holdable(text: str) -> str:
    """`text` as Postgres and JSON can hold it: no NUL, no lone surrogates, pairs as one character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return text.replace("\0", "")


def parted(text: str) -> str:
    """`text` with no more accents in a row than Python can sort quickly."""
    return text if text.isascii() else _MANY_MARKS.sub(_parted, text)


def _parted(found: re.Match[str]) -> str:
    kept, marks = list[str](), 0
    for sign in found[0]:
        marks = marks + 1 if unicodedata.combining(sign) else 0
        if marks > MOST_MARKS:
            kept.append(_PAUSE)
            marks = 1
        kept.append(sign)
    return "".join(kept)


def capped(text: str) -> str:
    """`text`, or as much of it as is kept, with a mark where it was cut."""
    if len(text) <= MOST_TEXT_CHARS:
        return text
    mark = f" [cut here: the text had {len(text):,} characters]"
    return text[: MOST_TEXT_CHARS - len(mark)] + mark


def spelled_end(text: str, most: int) -> str:
    """The last `most` characters, and no more when signs that stand for many are spelled out ("ﷺ" for 18)."""
    end = text[-most:]
    spelled = end if end.isascii() else unicodedata.normalize("NFKC", end)
    return end if len(spelled) <= most else spelled[-most:]


def terms(text: str) -> list[str]:
    """The stems of `text`, in order and as often as said, without stop words; for questions and stored words.

    Latin words lose their accents and English endings, numbers stay, other scripts keep whole words; where a
    script has no spaces, a term is a pair of neighbouring characters.
    """
    return _terms_of(plain_words(text))


def _terms_of(words: Iterable[str]) -> list[str]:
    found: list[str] = []
    unheld = stop_words()
    for word in words:
        if word.isascii():
            if word not in unheld:
                found.append(_stem(word[:MAX_TERM_CHARS]))
        else:
            found.extend(_foreign(word))
    return found


def asked_terms(text: str) -> list[str]:
    """As `terms`, of a question: without the stop words of its own language, too.

    They are stored with what is said, so only the question decides which words count. Its language is the one
    whose stop words are most of it: to load what tells languages apart would cost each process 85 MB.
    """
    end = text[-LONGEST_QUESTION_CHARS:]
    return _terms_without(other_stop_words(end), end)


def _terms_without(without: frozenset[str], text: str) -> list[str]:
    words = (word for word in plain_words(text) if word not in without)
    return [term for term in _terms_of(words) if term not in without]


def stop_words() -> frozenset[str]:
    """The English ones, which no index holds; in other languages the rarity of a term does the same work."""
    return languages()["en"].stop_words


def other_stop_words(text: str) -> frozenset[str]:
    """The stop words of the language that a question is in, unless it is English."""
    return _stops_of(next(iter(languages_of(text)), "en"))


def _stops_of(code: str) -> frozenset[str]:
    return foreign_stop_words().get(code, frozenset())


@lru_cache(ASKED_AT_ONCE)  # seven readers look at one question
def languages_of(text: str) -> tuple[str, ...]:
    """The languages whose stop words are most of a question; none where that tells nothing."""
    heard = {form for word in plain_words(text) for form in _forms(word)}
    english = len(heard & stop_words())
    shared = {code: len(heard & stops) for code, stops in foreign_stop_words().items()}
    most = max(shared.values())
    if most > max(english, ONE):
        return tuple(code for code, count in shared.items() if count == most)
    return ("en",) if english else ()


def language_by_stop_words(text: str) -> str:
    """The language whose stop words are most of a text, as its ISO 639-1 code; empty where they tell none."""
    code = next(iter(languages_of(text)), "")
    return "" if code == "en" and len(stop_words().intersection(plain_words(text))) <= ONE else code


def runs(text: str, holding: frozenset[str]) -> list[str]:
    """Up to three neighbouring words of `text` written as one, wherever one of them is among the terms
    `holding`: a name that was heard in pieces, "lake adia"."""
    words = plain_words(text)
    held = [not holding.isdisjoint(_terms_of([word])) for word in words]
    ends = [(at, at + count) for at in range(len(words)) for count in range(1, MOST_PIECES + 1)]
    return ["".join(words[at:end]) for at, end in ends if end <= len(words) and any(held[at:end])]


@cache
def foreign_stop_words() -> dict[str, frozenset[str]]:
    """Those of each language that has a file, but English ones, which are no terms anyway."""
    return {
        code: frozenset(
            form
            for said in stopwordsiso.stopwords(code)
            for word in plain_words(said)
            for form in _forms(word)
            if not form.isdecimal()  # some lists have numbers, which are of no language
        )
        for code in sorted(languages().keys() - {"en"})
    }


def _forms(word: str) -> list[str]:
    """A word, and the terms of one whose script has no spaces."""
    return [word] if word.isascii() else [word, *_foreign(word)]


def words_only(text: str) -> str:
    """Letters, their marks and numbers, with one space between two words."""
    return " ".join(text.translate(_WORDS_ONLY).split())


def plain_words(text: str) -> list[str]:
    """The words of a text without case and accents, as they stand; "l'école" is "ecole"."""
    text = _elisions().sub("", _POSSESSIVE.sub("", text.casefold()))
    if not text.isascii():
        spelled = unicodedata.normalize("NFKD", parted(text))[: MOST_SPELLED * len(text)].casefold()
        text = unicodedata.normalize("NFC", _ACCENTS.sub("", spelled))
        text = _LATIN.sub(lambda found: anyascii(found[0]).lower(), text)
    return text.translate(_WORDS_ONLY).split()


@cache
def _elisions() -> re.Pattern[str]:
    elided = "|".join(sorted({word for language in languages().values() for word in language.elisions}))
    return re.compile(rf"(?<!\w)(?:{elided})[{_APOSTROPHES}](?=\w)")


@lru_cache(maxsize=65_536)  # 70 us a word without it
def _stem(word: str) -> str:
    with _stemmer_lock:
        return str(_stemmer.stemWord(word))


def _foreign(word: str) -> list[str]:
    found: list[str] = []
    end = 0
    for run in UNSPACED.finditer(word):
        if run.start() > end:
            found.append(word[end : run.start()][:MAX_TERM_CHARS])
        found.extend(_pairs(run.group()))
        end = run.end()
    if end < len(word):
        found.append(word[end:][:MAX_TERM_CHARS])
    return found


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


LONGEST_QUESTION_CHARS = 8_000
"""Of a longer one the end is asked."""
MOST_SPELLED = 4
"""Letters for which a sign stands, on the average: a syllable of Hangul for three, "ﷺ" for eighteen."""
LONGEST_SMALL_TALK_CHARS, LONGEST_FOLLOW_UP_CHARS = 100, 120
FOLLOW_UP_WORDS, FOLLOW_UP_TERMS = 7, 2
"""A question of more words, or of a pronoun and more content than this, names what it is about.

"Did Ana sell her car?" is one.
"""
FOLLOW_UP_SIGNS = 14
"""Characters of such a question in a script without spaces: seven words of two."""


@dataclass(frozen=True, slots=True, eq=False)
class _Talk:
    """How one language keeps a talk going, and how its questions lean on what was said before."""

    code: str
    unspaced: bool
    small: re.Pattern[str]
    fillers: re.Pattern[str]
    follows: re.Pattern[str]
    pronouns: re.Pattern[str]
    no_pronouns: re.Pattern[str]

    def is_small(self, said: str) -> bool:
        """Whether all of these words, as its patterns have them, keep a talk going, and not only fill it."""
        return "" in self._rests(said) and not self.fillers.fullmatch(said)

    def leans(self, said: str, *, by_pronouns: bool) -> bool:
        """Whether they are a question about what was said before, be it behind small talk: "okay, and hers?".

        Args:
            by_pronouns: its pronouns tell that. "Son" and "one" are some, in another language.
        """
        return any(self._leans(rest, by_pronouns) for rest in self._rests(said))

    def _rests(self, said: str) -> Iterator[str]:
        """The words, and what is left behind each phrase of small talk with which they begin."""
        yield said
        while found := self.small.match(said):
            yield (said := said[found.end() :])

    def _leans(self, said: str, by_pronouns: bool) -> bool:
        if len(said) > FOLLOW_UP_SIGNS if self.unspaced else said.count(" ") >= FOLLOW_UP_WORDS:
            return False
        if self.follows.match(said):
            return True
        if not (by_pronouns and self.pronouns.search(said)):
            return False
        if not self.pronouns.search(self.no_pronouns.sub(" ", said)):
            return False
        return self.unspaced or len(_terms_without(_stops_of(self.code), said)) <= FOLLOW_UP_TERMS


@lru_cache(ASKED_AT_ONCE)
def is_small_talk(text: str) -> bool:
    """Whether `text` alone says nothing worth a lookup: "mm hm", "tschüss", a bare "yes", silence.

    All of it is what one language says to keep a talk going; in a language without a file nothing is.
    """
    if not any(map(str.isalnum, text)):
        return True
    if len(text) > LONGEST_SMALL_TALK_CHARS:
        return False
    return any(talk.is_small(said) for talk, said in _read_in_each(text))


@lru_cache(ASKED_AT_ONCE)
def is_follow_up(text: str) -> bool:
    """Whether `text` is short and leans on what was asked before: "and hers?", "warum?", "那她呢？".

    Its language is the one of its stop words; where these tell none, it may be any. In a language without a
    file the embedding has to do with the words as they are.
    """
    if len(text) > LONGEST_FOLLOW_UP_CHARS or is_small_talk(text):
        return False
    codes = languages_of(text)
    return any(
        talk.leans(said, by_pronouns=bool(codes) or talk.code == "en" or not said.isascii())
        for talk, said in _read_in_each(text)
        if not codes or talk.code in codes or talk.code == "en"  # "a red one" has more Polish stop words
    )


def _read_in_each(text: str) -> Iterator[tuple[_Talk, str]]:
    """Each language that may have written `text`, and the words as its patterns have them."""
    said = _alike(text)
    joined = said.replace(" ", "") if UNSPACED.search(said) else ""
    for talk in _talks():
        if joined or not talk.unspaced:
            yield talk, joined if talk.unspaced else said


def _alike(text: str) -> str:
    """The words without signs, and with one letter for those written for one another, as the Turkish I."""
    said = words_only(normalise(text))
    return said if said.isascii() else said.translate(_letters())


@cache
def _letters() -> dict[int, str]:
    return letters() | {ord("ı"): "i", 0x307: ""}


@cache
def _talks() -> tuple[_Talk, ...]:
    return tuple(_talk(code, known.talk) for code, known in languages().items() if known.talk)


def _talk(code: str, data: Mapping[str, Sequence[str]]) -> _Talk:
    unspaced = UNSPACED.search("".join(data["small_talk"])) is not None
    space, begin, end = ("", "", "") if unspaced else (" ", r"(?<!\S)", r"(?!\S)")

    def phrases(*keys: str) -> str:
        said = {_alike(phrase).replace(" ", space) for key in keys for phrase in data.get(key, ())}
        first = defaultdict[str, list[str]](list)  # letter by letter: a third of the time
        for phrase in sorted(said, key=len, reverse=True):
            first[phrase[0]].append(re.escape(phrase[1:]))
        return "|".join(f"{letter}(?:{'|'.join(rest)})" for letter, rest in first.items()) or "(?!)"

    def patterns(key: str) -> str:
        said = "|".join(data.get(key, ())) or "(?!)"
        return _ELSE.sub(lambda found: _alike(found[0]), said.replace("'", "").replace(" ", space))

    fillers = phrases("fillers")
    # what could be cut in several ways is cut in one, phrase by phrase
    return _Talk(
        code,
        unspaced,
        re.compile(rf"(?:{phrases('small_talk', 'fillers')}|{patterns('sounds')}){end} ?"),
        re.compile(rf"(?>(?:{fillers}){end} ?)+"),
        re.compile(rf"(?:{patterns('openers')}){end}|(?:{patterns('alone')})\Z"),
        re.compile(rf"{begin}(?:{patterns('pronouns')}){end}"),
        re.compile(rf"{begin}(?:{patterns('no_pronouns')}){end}"),
    )
