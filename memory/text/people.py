"""People by what they are to the speaker, in any language: "mum", "Mutter" and "母" are one key.

Only closed groups are known (kin, neighbours, doctors, pets; `[people]` in the language files). Everybody
else is told apart by the words themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from echoic.memory.text.canonical import is_unspaced, place, same, same_stem, split, tokens
from echoic.memory.text.content import tells
from echoic.memory.text.language import Language, fold, languages
from echoic.memory.types import CALLER, About


@dataclass(frozen=True, slots=True)
class Mention:
    """Where somebody is named by what they are."""

    begin: int
    end: int
    key: str


def mentions(words: Sequence[str], language: Language) -> list[Mention]:
    """Who is named among canonical words, in order; "mother in law" is no mother."""
    found: list[Mention] = []
    at = 0
    while at < len(words):
        here = [one for one in _phrases(language.code) if _stands(one[0], words, at, language)]
        # "novio" and "novia" have one stem: the very word comes first
        exact = (one for one in here if one[0] == tuple(words[at : at + len(one[0])]))
        phrase = next(exact, here[0] if here else None)
        if phrase is None:
            at += 1
        else:
            found.append(Mention(at, at + len(phrase[0]), phrase[1]))
            at += len(phrase[0])
    return found


BROADER = {
    "son": "child",
    "daughter": "child",
    "grandson": "grandchild",
    "granddaughter": "grandchild",
    "sister": "sibling",
    "brother": "sibling",
    "wife": "partner",
    "husband": "partner",
    "girlfriend": "partner",
    "boyfriend": "partner",
    "spouse": "partner",
    "mother": "parents",
    "father": "parents",
    "niece": "nephew",
}
"""Who may be named by a wider word: a son is a child."""


def keys_in(words: Sequence[str], language: Language) -> set[str]:
    """The people that these words name."""
    return {one.key for one in mentions(words, language)}


def names(key: str, words: Sequence[str], language: Language) -> bool:
    """Whether the words name this person, in the speaker's language or another: people mix them."""
    wanted = {key, BROADER.get(key, key)}
    wanted |= {narrow for narrow, broad in BROADER.items() if broad == key}
    return any(wanted & keys_in(words, one) for one in (language, *languages().values()))


@lru_cache(maxsize=2_048)
def key_of(role: str) -> str:
    """The key of a role in whatever language; empty for one that is of no closed group."""
    words = tuple(piece for word in role.split() for piece in split(fold(word)))
    found = set(_keys().get(words, ()))
    if not found:  # a form of it
        forms = [one for language in languages().values() for one in mentions(words, language)]
        found = {one.key for one in forms if (one.begin, one.end) == (0, len(words))}
    return min(found) if len(found) == 1 else ""


def shown(text: str, about: About | None) -> str:
    """A fact as who reads it alone must see it: "[mother] 73, in good health" where the text does not name
    whom it is about."""
    return whose(text, about) + text


def whose(text: str, about: About | None) -> str:
    """What `shown` puts before the text: empty for the caller, and where the text names whom it is about."""
    return "" if about in (None, CALLER) else _whose(text, about.role, about.name)


def may_be_one(one: About | None, other: About | None) -> bool:
    """Whether two may be the same person: one of whom nothing is known may be anybody, and "mother" may be
    "mother Ute"."""
    if one is None or other is None:
        return True
    if CALLER in (one, other):
        return one == other
    words, others = set(tokens(str(one))), set(tokens(str(other)))
    if words <= others or others <= words:
        return True
    return bool(_keys_of(one.role) & _keys_of(other.role)) and not (one.name and other.name)


def forget_texts() -> None:
    """Someone was erased: the cache here holds sentences."""
    _whose.cache_clear()


@lru_cache(maxsize=4_096)  # the same facts come up question after question
def _whose(text: str, role: str, name: str) -> str:
    words = tokens(text)
    called = [word for part in (role, name) if part for word in _words_of(part)]
    if any(_is_there(word, words) for word in called):
        return ""
    # no stems here, which take 15 ms for new words, and a reply waits: "[Mutter] Mutters Haus" does no harm
    if any(_is_there(phrase, words) for key in _keys_of(role) for phrase in _called(key)):
        return ""
    return f"[{About(role, name)}] "


def _keys_of(role: str) -> set[str]:
    """As `key_of`, but of a role as it is listed, not of forms of it."""
    return _keys().get(tuple(tokens(role)), set())


@cache
def _keys() -> dict[tuple[str, ...], set[str]]:
    """Keys by what people are called in any language."""
    found: dict[tuple[str, ...], set[str]] = {}
    for code in languages():
        for phrase, key in _phrases(code):
            found.setdefault(phrase, set()).add(key)
    return found


@cache
def _called(key: str) -> list[list[str]]:
    """What they are called in any language."""
    return [list(phrase) for code in languages() for phrase, one in _phrases(code) if one == key]


def _words_of(called: str) -> list[list[str]]:
    """Each word that says something; what is written without spaces stays whole: 母 stands in 父母 too."""
    words = tokens(called)
    if any(map(is_unspaced, words)):
        return [words]
    return [[word] for word in words if tells(word)] or [words]


def _is_there(called: Sequence[str], words: Sequence[str]) -> bool:
    if place(called, words) >= 0:
        return True
    return len(called) == 1 and any(same(called[0], word) for word in words)


def _stands(phrase: tuple[str, ...], words: Sequence[str], at: int, language: Language) -> bool:
    return len(phrase) <= len(words) - at and all(
        _is_form(piece, words[at + step], language) or _with_particle(piece, words[at + step])
        for step, piece in enumerate(phrase)
    )


def _is_form(piece: str, word: str, language: Language) -> bool:
    """Whether a word is a form of this one, not of a verb with its stem: "namora" is no "namorado".

    Stems of Indic words leave too little: "year" would be a sister-in-law.
    """
    if piece == word:
        return True
    return (
        len(word) >= len(piece) - 1
        and not "\u0900" <= piece[:1] <= "\u0dff"
        and same_stem(piece, word, language)
    )


def _with_particle(piece: str, word: str) -> bool:
    """Hangul writes particles together with their word."""
    return len(piece) > 1 and "\uac00" <= piece[:1] <= "\ud7a3" and word.startswith(piece)


@cache
def _phrases(code: str) -> list[tuple[tuple[str, ...], str]]:
    """Longest first."""
    people = languages()[code].people if code in languages() else {}
    pairs = [
        (tuple(piece for word in phrase for piece in split(fold(word))), key)
        for key, phrases in people.items()
        for phrase in phrases
    ]
    return sorted(pairs, key=lambda pair: -len(pair[0]))
