"""Words as the memory sees them: keys of a lookup, terms for BM25, and whether something was said at all."""

import re
import threading
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

import snowballstemmer
import stopwordsiso

from echoic.memory.text.language import languages

MAX_TERM_CHARS = 40
"""Longer "words" (keys, links) are cut: a Postgres index entry has a limit, and nobody says them twice."""

MOST_TEXT_CHARS = 100_000
"""Of one turn: two hours of speech without a pause. A pasted text may have more."""

# English only: in other languages the rarity of a term does the same work.
STOP_WORDS = frozenset(
    """
    a about above after again all also am an and any are arent as at be because been before being below
    between both but by can cant could couldnt did didnt do does doesnt doing dont down during each few for
    from further get got had hadnt has hasnt have havent having he hed her here heres hers herself hes hey him
    himself his how hows i id if ill im in into is isnt it its itself ive just let lets me more most my myself
    no nor not now of off oh on once only or other our ours ourselves out over own really same she shed shes
    should so some such than that thats the their theirs them themselves then there theres these they theyd
    theyll theyre theyve this those through to too under until up us very was wasnt we wed well were werent
    weve what whats when whens where wheres which while who whom whos why with wont would wouldnt yeah yes you
    youd youll your youre yours yourself youve
    """.split()
)

MOST_PIECES = 3
"""Words that one name may be heard as."""
ASKED_AT_ONCE = 16
"""Questions that are looked at in turns: what is worked out of one is kept so long."""
ONE = 1
"""One stop word of a language says little: Polish has "go"."""

_APOSTROPHES = "'’ʼ`"
_POSSESSIVE = re.compile(rf"[{_APOSTROPHES}]s\b")
_ACCENTS = re.compile("[\u0300-\u036f]")
# Scripts without spaces, and Hangul, whose particles stick to the word: runs become pairs of characters.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003134f]+"
)

MOST_MARKS = 30
"""Accents in a row, as in Unicode's stream-safe format (UAX #15); behind them stands a mark that is not seen.

Python sorts them in quadratic time, and holds up every thread meanwhile: 100,000 took 22 s."""
_PAUSE = "\u034f"
_MANY_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{MOST_MARKS + 1},}}")

_stemmer = snowballstemmer.stemmer("english")
_stemmer_lock = threading.Lock()  # a stemmer keeps the word it works on in itself


class _Spaced(dict[int, int | str | None]):
    """A table for `str.translate`, filled as it is asked: other characters than `kept` become a space."""

    def __init__(self, kept: str) -> None:
        super().__init__({ord(mark): None for mark in _APOSTROPHES})
        self._kept = kept

    def __missing__(self, code: int) -> int | str | None:
        category = unicodedata.category(chr(code))
        self[code] = None if category == "Cf" else code if category[0] in self._kept else " "
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


def terms(text: str) -> list[str]:
    """The stems of `text`, in order and as often as said, without stop words; for questions and stored words.

    Latin words lose their accents and English endings, numbers stay, other scripts keep whole words; where a
    script has no spaces, a term is a pair of neighbouring characters.
    """
    return _terms_of(plain_words(text))


def _terms_of(words: Iterable[str]) -> list[str]:
    found: list[str] = []
    for word in words:
        if word.isascii():
            if word not in STOP_WORDS:
                found.append(_stem(word[:MAX_TERM_CHARS]))
        else:
            found.extend(_foreign(word))
    return found


def asked_terms(text: str) -> list[str]:
    """As `terms`, of a question: without the stop words of its own language, too.

    They are stored with what is said, so only the question decides which words count. Its language is the one
    whose stop words are most of it: to load what tells languages apart would cost each process 85 MB.
    """
    without = other_stop_words(text)
    words = (word for word in plain_words(text) if word not in without)
    return [term for term in _terms_of(words) if term not in without]


def other_stop_words(text: str) -> frozenset[str]:
    """The stop words of the language that a question is in, unless it is English."""
    code = next(iter(languages_of(text)), "en")
    return frozenset() if code == "en" else _stop_words()[code]


@lru_cache(ASKED_AT_ONCE)  # seven readers look at one question
def languages_of(text: str) -> tuple[str, ...]:
    """The languages whose stop words are most of a question; none where that tells nothing."""
    heard = {form for word in plain_words(text) for form in _forms(word)}
    english = len(heard & STOP_WORDS)
    shared = {code: len(heard & stops) for code, stops in _stop_words().items()}
    most = max(shared.values())
    if most > max(english, ONE):
        return tuple(code for code, count in shared.items() if count == most)
    return ("en",) if english else ()


def language_by_stop_words(text: str) -> str:
    """The language whose stop words are most of a text, as its ISO 639-1 code; empty where they tell none."""
    code = next(iter(languages_of(text)), "")
    return "" if code == "en" and len(STOP_WORDS.intersection(plain_words(text))) <= ONE else code


def runs(text: str, holding: frozenset[str]) -> list[str]:
    """Up to three neighbouring words of `text` written as one, wherever one of them is among the terms
    `holding`: a name that was heard in pieces, "lake adia"."""
    words = plain_words(text)
    held = [not holding.isdisjoint(_terms_of([word])) for word in words]
    ends = [(at, at + count) for at in range(len(words)) for count in range(1, MOST_PIECES + 1)]
    return ["".join(words[at:end]) for at, end in ends if end <= len(words) and any(held[at:end])]


@cache
def _stop_words() -> dict[str, frozenset[str]]:
    """Those of each language that has a file, but English ones, which are no terms anyway."""
    return {
        code: frozenset(
            form
            for said in stopwordsiso.stopwords(code)
            for word in plain_words(said)
            for form in _forms(word)
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
    """The words of a text without case and accents, as they stand."""
    text = _POSSESSIVE.sub("", text.casefold())
    if not text.isascii():
        text = unicodedata.normalize("NFKD", parted(text)).casefold()
        text = unicodedata.normalize("NFC", _ACCENTS.sub("", text))
    return text.translate(_WORDS_ONLY).split()


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


# Said to keep the talk going. A text made of these alone holds nothing to look up and nothing to learn.
# A line ends after a comma: a phrase broken over two lines would match nothing.
_FILLERS = """
    yes, yeah, yea, yep, yup, ya, no, nope, nah, ok, okay, k, alright, all right, right, sure, fine, good,
    great, cool, nice, perfect, lovely, wonderful, awesome, amazing, excellent, exactly, indeed, absolutely,
    definitely, of course, got it, i see, i know, i understand, understood, makes sense, sounds good,
    sounds great, thats it, that is it, thats all, that is all, thats good, thats great, thats nice,
    thats right, that is right, thats fine, thanks, thank you, thank you for that, thx, cheers, very much,
    so much, a lot, please, sorry, pardon, excuse me, no problem, no worries, never mind, nevermind,
    youre welcome, you are welcome, welcome, hi, hello, hey, hiya, hi there, hello there, hey there, hi again,
    hello again, good morning, good afternoon, good evening, good night, good day, morning, how are you,
    how are you doing, how are you today, hows it going, whats up, im good, im fine, im ok, im okay, im well,
    i am good, i am fine, i am well, nice to meet you, nice to see you, bye, goodbye, see you, see you later,
    see you soon, see you then, see you around, see you tomorrow, see ya, talk to you later, talk to you soon,
    take care, have a good one, have a good day, have a nice day, have a great day, have a good evening,
    have a good night, have a good weekend, you too, and you, are you there, can you hear me, one moment,
    one second, hold on, wait, so, well, very, really, lets see, let me see, let me think, huh, ha, haha,
    hahaha, lol, wow, whoa, oops
"""
_SOUNDS = "m+|m+ ?h+m+|h+m+|u+h+|u+m+|e+r+m*|a+h+|o+h+"
_PHRASES = "|".join(re.split(r",\s+", _FILLERS.strip()))
_SMALL_TALK = re.compile(rf"(?:(?:{_SOUNDS}|{_PHRASES})(?: |$))+")
_LONGEST_SMALL_TALK_CHARS = 100
_LONGEST_FOLLOW_UP_CHARS = 120


def is_small_talk(text: str) -> bool:
    """Whether `text` alone says nothing worth a lookup: "mm hm", "ok thanks", "bye", a bare "yes", silence.

    English only; words of any other language are never taken for small talk.
    """
    if not any(map(str.isalnum, text)):
        return True
    return len(text) <= _LONGEST_SMALL_TALK_CHARS and _SMALL_TALK.fullmatch(normalise(text)) is not None


FOLLOW_UP_WORDS, FOLLOW_UP_TERMS = 7, 2
"""A question of more words, or of a pronoun and more content than this, names what it is about.

"Did Ana sell her car?" is one.
"""

_OPENERS = re.compile(
    r"(?:and|or|but|also|(?:what|how) about|(?:what|who|where|anything|anyone|someone) else|which ones?)\b"
)
_ALONE = re.compile(
    r"(?:why|how|when|where|who|whose|what|which|really)"
    r"(?: not| come| so| much| many| long| old| far| often| for| to| from| with| time| day| year)?"
    r"|(?:since|until) when|with whom?|for example|(?:like|such as)(?: what| who)?|go on"
    r"|tell me more|more|are you sure"
)
_ANAPHORS = frozenset(
    """
    he she it they him her hers his its them their theirs that this those these one ones hes shes theyre thats
    himself herself themselves there then same other others
    """.split()
)
_NOT_ANAPHORIC = re.compile(
    r"\b(?:(?:is|are|was|were) there|there (?:is|are|was|were)|(?:is )?(?:this|that) is my)\b"
)


def is_follow_up(text: str) -> bool:
    """Whether `text` is short and leans on what was asked before: "and hers?", "why?", "when was that?".

    English only; in other languages the embedding has to do with the words as they are.
    """
    if len(text) > _LONGEST_FOLLOW_UP_CHARS or is_small_talk(text):
        return False
    words = normalise(text)
    if words.count(" ") >= FOLLOW_UP_WORDS:
        return False
    if _ALONE.fullmatch(words) or _OPENERS.match(words):
        return True
    return len(terms(text)) <= FOLLOW_UP_TERMS and not _ANAPHORS.isdisjoint(
        _NOT_ANAPHORIC.sub(" ", words).split()
    )
