"""What is known of a language: its closed-class words, as data, and which language some words are in.

Nothing here decides what is true. The words of memory/text/languages/*.toml only say where a speaker means
themselves, and where something is denied; a language without a file has none, and nothing is told apart by
it.
"""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import Any

Words = tuple[tuple[str, ...], ...]
"""Phrases, each as its canonical words; "-ría" is the ending of one, "없-" its beginning."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language's data; all empty for a language that has none."""

    code: str = ""
    name: str = ""
    stemmer: str = ""
    """Its name in the snowballstemmer package; empty: forms of a word are told by how they begin."""
    ordinals: tuple[str, ...] = ()
    """Endings of digits: "5th"."""
    spoken_numbers: str = ""
    """Its name in the text2num package, which turns "thirty four" into 34; empty: it does not know it."""
    joint: str = ""
    """What joins the words of a number, or is written together with the next one: "and", "و"."""
    elided: str = ""
    """Vowels that a number loses before another one: "vent'anni"."""
    digraphs: tuple[str, ...] = ()
    """What is typed for a letter with an accent that is not at hand, which is its first: "ue"."""
    elisions: tuple[str, ...] = ()
    """What loses its vowel before another word, and is no part of that: the "l" of "l'école"."""
    drops_subject: bool = False
    """Whether "I" may be left out ("Soy alérgico")."""
    self: Words = ()
    """How a speaker names themselves."""
    others: Words = ()
    """How somebody named before is meant: he, she, they."""
    amounts: Mapping[str, Words] = field(default_factory=dict)
    """Numbers that are said without a number word: "a dozen", "half an hour", the ending of a dual."""
    negation: Words = ()
    yes: Words = ()
    no: Words = ()
    """What an answer begins with."""
    asks: tuple[str, ...] = ()
    """What a question ends with, where no sign needs to say so."""
    negation_follows: bool = False
    """Whether what denies stands behind what is denied: verb-final languages."""
    unreal: Words = ()
    """What introduces something that is not so: "pretend", "the song goes"."""
    condition: Words = ()
    would: Words = ()
    """What makes a condition and its consequence unreal: "if I were", "I'd"."""
    breaks: Words = ()
    """What begins another clause."""
    cause: Words = ()
    """What begins the clause that gives a reason; it is so, whatever is wished because of it."""
    ends: Words = ()
    """What ends one, where the verb comes last: speech recognition writes no commas."""
    that: Words = ()
    """What begins the clause that says what was said: "I never told you that …"."""
    naming: Words = ()
    """What a speaker says their name with."""
    titles: Mapping[str, str] = field(default_factory=dict)
    repeats: Mapping[str, int] = field(default_factory=dict)
    """ "Double seven"."""
    zero: tuple[str, ...] = ()
    letters: Mapping[str, str] = field(default_factory=dict)
    """Letters that are written for one another; empty: one that may be left out."""
    proclitics: tuple[str, ...] = ()
    """What is written together with the word after it, longest first: "the", "and the"."""
    capital_nouns: bool = False
    """Whether a capital letter inside a sentence is no sign of a name."""
    calendar: frozenset[str] = frozenset()
    """Names of months and weekdays, as they stand in dates."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """Number words as patterns, where `spoken_numbers` is empty (memory/text/numbers/composed.py)."""
    digits: Mapping[str, int] = field(default_factory=dict)
    """Number words of scripts whose numbers are read sign by sign, and what digits are called but numbers are
    not: "meia"."""
    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What names a secret: `numbers` (PIN), `words` (password) with the `is` that states it, or `both`;
    `spared` (post code); what a code is `sent` in."""
    wishes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Whole sentences in which a caller asks something of their memory (agent/commands/templates.py)."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """What is said to those."""
    example: Mapping[str, Any] = field(default_factory=dict)
    """What facts are learned of: the `agent` asked, the `caller` said, which holds the quote and fact of an
    `answer`, of somebody `other` and of their `own`; then was `asked`, and `said`."""
    stop_words: frozenset[str] = frozenset()
    """Words that no index holds, tuned with BM25; empty: stopwordsiso's, which only questions leave out."""
    talk: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """How it keeps a talk going, and leans on what was said before (memory/text/words.py): `small_talk`, and
    `fillers` that say nothing beside it; patterns of `sounds`, of what a follow-up begins with (`openers`),
    of all its words (`alone`), and of the `pronouns` that make it one, but in `no_pronouns` ("is there")."""
    time: Mapping[str, Any] = field(default_factory=dict)
    """How it speaks of time (memory/text/dates/words.py)."""
    frame: Mapping[str, str] = field(default_factory=dict)
    """What stands around a context for a prompt: `memory` is its title, `note` what it is for, `profile` and
    `events` head its sections."""
    people: Mapping[str, Words] = field(default_factory=dict)
    """What people are called by what they are to the speaker: kin, neighbours, doctors, pets. One key in all
    languages."""
    noun_forms: Mapping[str, str] = field(default_factory=dict)
    """Which endings (patterns) other forms of such a word have in place of its own: a = "ie|ę". "^" is what
    may be written before it."""

    @property
    def reads_numbers(self) -> bool:
        """Whether its number words are turned into digits."""
        return bool(self.spoken_numbers or self.numbers)


UNKNOWN = Language()
SURE = 0.5
"""Of 3,970 English texts three ("Bye!", ";)") were taken for another language, with 0.18 at most."""
WITHIN_WORDS = "\u0900-\u0963\u0970-\u0dff\u0e00-\u0e7f"
"""Vowel signs of Indic and Thai scripts: no letters to `re`, and part of their words all the same; not the
danda, which ends a sentence."""
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_loading = Lock()
"""The embedder's threads ask at once."""


def fold(text: str) -> str:
    """Without case, accents and compatibility forms."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("ı", "i")
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    kept = "".join(mark for mark in decomposed if unicodedata.category(mark) != "Mn" or _is_indic(mark))
    return unicodedata.normalize("NFC", kept)


def written(word: str, language: Language) -> str:
    """A word as it is told from others: without case, and with one of the letters written for one another."""
    cased = unicodedata.normalize("NFKC", word).casefold().replace("\u0307", "")  # of "İ"
    return cased.translate(_letters_of(language.code))


@cache
def _letters_of(code: str) -> dict[int, str]:
    known = languages().get(code, UNKNOWN)
    return {ord(one): other for one, other in known.letters.items()}


def fold_pattern(pattern: str, fold_piece: Callable[[str], str]) -> str:
    """A regular expression over folded words; what is ASCII may be syntax."""
    return _FOREIGN.sub(lambda found: fold_piece(found[0]), pattern)


def _is_indic(mark: str) -> bool:
    """Vowel signs of Devanagari and its kin are letters of their words, not accents."""
    return "\u0900" <= mark <= "\u0dff" or "\u0e00" <= mark <= "\u0eff"


_WORDS = (
    *("self", "others", "negation", "yes", "no", "unreal", "condition", "would", "breaks", "ends"),
    *("that", "naming", "cause"),
)


@cache
def languages() -> dict[str, Language]:
    """Every language that has a file, by its ISO 639-1 code."""
    folder = files(__package__) / "languages"
    found = [path for path in folder.iterdir() if path.name.endswith(".toml")]
    read = {
        path.name.removesuffix(".toml"): tomllib.loads(path.read_text(encoding="utf-8")) for path in found
    }
    return {code: _language(code, data) for code, data in read.items()}


@cache
def letters() -> dict[int, str]:
    """Letters that are written for one another, as one; no two languages with a file share such letters."""
    return {ord(one): other for known in languages().values() for one, other in known.letters.items()}


def language_of(texts: Sequence[str], known: str = "") -> Language:
    """The language of what one person said, from all of it together: a short text alone tells little.

    Args:
        known: an ISO 639-1 code that is known to hold, from speech recognition for instance.
    """
    if known in languages():
        return languages()[known]
    said = " ".join(texts).strip()
    if not any(map(str.isalpha, said)):
        return UNKNOWN
    return languages().get(_classified(said)[0], UNKNOWN)


def other_language(text: str) -> str:
    """The code of the language that these words are surely of, empty if it is English; of very short ones
    nothing is sure."""
    code = sure_language(text)
    return code if code != "en" else ""


def sure_language(text: str) -> str:
    """The code of the language that these words are surely of; empty where that is not sure."""
    code, share = _classified(text)
    return code if share > SURE else ""


def likelier(text: str, *languages: Language) -> Language:
    """The one of these languages that a text is in, however short it is."""
    load_identifier()
    shares = dict(_identifier().rank(text))
    return max(languages, key=lambda language: float(shares.get(language.code, 0)))


def load_identifier() -> None:
    """Load what tells languages apart: half a second, and 85 MB, which no call process pays."""
    with _loading:
        _identifier()


def _classified(text: str) -> tuple[str, float]:
    load_identifier()
    code, share = _identifier().classify(text)
    return str(code), float(share)


@cache
def _identifier() -> Any:
    """Chooses among the languages that have a file: others would draw short texts away.

    One of our own: the package's is anybody's, and changes while a thread asks it.
    """
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(sorted(languages()))
    return identifier


def _language(code: str, data: dict[str, Any]) -> Language:
    words = {key: tuple(tuple(phrase.split()) for phrase in data.get(key, ())) for key in _WORDS}
    rest = {key: value for key, value in data.items() if key not in _WORDS}
    tables = {
        name: {key: tuple(tuple(one.split()) for one in words) for key, words in data.get(name, {}).items()}
        for name in ("people", "amounts")
    }
    secrets = dict(data.get("secrets", {}))
    digits = {fold(word): value for word, value in secrets.pop("digits", {}).items()}
    rest |= {**tables, "secrets": secrets, "digits": digits}
    listed = ("zero", "ordinals", "proclitics", "digraphs", "elisions", "asks")
    rest |= {key: tuple(data.get(key, ())) for key in listed}
    rest |= {key: frozenset(data.get(key, "").split()) for key in ("calendar", "stop_words")}
    return Language(code, **{**rest, **words})
