"""People by what they are to the speaker, in any language: "mum", "Mutter" and "母" are one key.

Only closed groups are known (kin, neighbours, doctors, pets; `[people]` in the language files). Everybody
else is told apart by the words themselves.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from echoic.memory.text.canonical import is_unspaced, place, same, split, tokens
from echoic.memory.text.content import function_words, tells
from echoic.memory.text.language import Language, fold, fold_pattern, languages
from echoic.memory.types import CALLER, About

LEAST_INFLECTED = 3
"""Letters of a word that has other forms: "pas" is no form of Dutch "pa"."""


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
        begun = _begun_by(words[at], language.code)
        here = [one for one in begun if _stands(one[0], words[at : at + len(one[0])], language.code)]
        # "wnuczka" is also a form of "wnuczek": the very word comes first
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
    _begun_by.cache_clear()


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


@lru_cache(maxsize=8_192)
def _begun_by(word: str, code: str) -> list[tuple[tuple[str, ...], str]]:
    """The phrases that this word may begin: of a hundred, none for most words."""
    return [one for one in _phrases(code) if _is_form(one[0][0], word, code)]


def _stands(phrase: tuple[str, ...], words: Sequence[str], code: str) -> bool:
    return len(phrase) == len(words) and all(
        _is_form(piece, word, code) for piece, word in zip(phrase[1:], words[1:], strict=True)
    )


def _is_form(piece: str, word: str, code: str) -> bool:
    """Whether a word is another form of this one, by the endings that the language's file names.

    Stems conflate too much: German "nicht" would be a niece, Polish "mam" (I have) a mother.
    """
    if piece == word:
        return True
    if word in function_words(code):
        return False
    if "\uac00" <= piece[:1] <= "\ud7a3":  # Hangul writes particles together with their word
        return len(piece) > 1 and word.startswith(piece)
    is_near = len(piece) >= LEAST_INFLECTED and piece[:2] in word
    return is_near and _forms(piece, code).fullmatch(word) is not None


@cache
def _forms(piece: str, code: str) -> re.Pattern[str]:
    forms_of = languages()[code].noun_forms
    endings = {fold(ending): fold_pattern(forms, fold) for ending, forms in forms_of.items()}
    before = endings.pop("^", "")
    stems = [
        f"{re.escape(piece.removesuffix(ending))}(?:{forms})"
        for ending, forms in endings.items()
        if piece.endswith(ending)
    ]
    return re.compile(f"(?:{before})(?:{'|'.join([re.escape(piece), *stems])})")


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
