"""Where a text names a PIN, a password or a code: by the words of `[secrets]` in every language file, in
their forms. No language has to be known."""

from functools import cache, lru_cache
from typing import NamedTuple

from echoic.memory.text.canonical import is_unspaced, same_stem
from echoic.memory.text.content import function_words
from echoic.memory.text.language import fold, languages
from echoic.memory.text.numbers.runs import Word, words_of

LEAST_STEM = 4
"""Letters to which endings may stick, in Turkish."""
LEAST_SPOKEN, TELLS = 0.3, 3
"""Of the function words of the language that a text has most of, which has to have as many to tell."""
LONGEST_WORD = 60
"""Letters; what is longer is no word of a language, and stemmers take a millisecond for each thousand."""
STEM_START = 3
"""Letters that a word and its stem begin with alike."""


class Place(NamedTuple):
    """Where a secret is named: its first and last word, and the language that names it so."""

    first: int
    last: int
    code: str


def places(words: list[Word], kind: str) -> list[Place]:
    """Where a secret is named; not in "post code".

    Args:
        kind: a list of `[secrets]`; what it calls `both` is in `numbers`, too.
    """
    texts = [word.text for word in words]
    if not (found := _found(texts, kind)):
        return []
    spared = {at for place in _found(texts, "spared") for at in range(place.first, place.last + 1)}
    found = [place for place in found if spared.isdisjoint(range(place.first, place.last + 1))]
    spoken = _spoken(texts)
    return [place for place in found if place.code in spoken]


def _spoken(texts: list[str]) -> set[str]:
    """Languages that a text may be in, by the words that hang others together: "parola" is Turkish for a
    password, and Italian for a word."""
    words = [word for word in texts if len(word) > 1 or is_unspaced(word)]
    counts = {code: sum(map(functions(code).__contains__, words)) for code in languages()}
    most = max(counts.values())
    return {code for code, count in counts.items() if most < TELLS or count >= LEAST_SPOKEN * most}


def asks_for(question: str, kind: str) -> bool:
    """Whether a question names one, or has all telling words of such a name in whatever order: "the three
    digits that are on the back of your card"."""
    words = words_of(question)
    if places(words, kind):
        return True
    named = {(form, code) for word in words for form, code in _tellingly(word.text, kind)}
    return any(
        len(telling) > 1 and all((word, code) in named for word in telling)
        for telling, code in _telling_phrases(kind)
    )


@cache
def functions(code: str) -> frozenset[str]:
    """Words of a language that hang others together, folded."""
    return frozenset(map(fold, function_words(code)))


def _found(texts: list[str], kind: str) -> list[Place]:
    found, phrases = list[Place](), _phrases(kind)
    for at, word in enumerate(texts):
        for form in _forms(word, kind):
            for phrase, code in phrases[form]:
                said = texts[at : at + len(phrase)]
                if len(said) == len(phrase) and all(map(is_form, phrase, said, [code] * len(said))):
                    found.append(Place(at, at + len(phrase) - 1, code))
    return found


@lru_cache(maxsize=8_192)
def _forms(word: str, kind: str) -> tuple[str, ...]:
    """The first words of phrases that this is a form of."""
    if len(word) > LONGEST_WORD:
        return ()
    starts, found = _by_start(kind), set[str]()
    for bare in _bare(word):
        alike = (starts.get(bare[:size], {}) for size in range(1, STEM_START + 1))
        known = ((form, codes) for forms in alike for form, codes in forms.items())
        found |= {form for form, codes in known if any(is_form(form, word, code) for code in codes)}
    return tuple(sorted(found))


@cache
def _by_start(kind: str) -> dict[str, dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for form, phrases in _phrases(kind).items():
        for bare in _bare(form):
            found.setdefault(bare[:STEM_START], {})[form] = {code for _, code in phrases}
    return found


@cache
def _phrases(kind: str) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """With their language, by their first word."""
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for code, language in languages().items():
        both = language.secrets.get("both", ()) if kind == "numbers" else ()
        for phrase in (*language.secrets.get(kind, ()), *both):
            pieces = tuple(word.text for word in words_of(phrase))
            found.setdefault(pieces[0], []).append((pieces, code))
    return found


@cache
def _telling_phrases(kind: str) -> list[tuple[tuple[str, ...], str]]:
    phrases = (one for same_start in _phrases(kind).values() for one in same_start)
    return [(tuple(word for word in phrase if word not in functions(code)), code) for phrase, code in phrases]


@lru_cache(maxsize=8_192)
def _tellingly(word: str, kind: str) -> tuple[tuple[str, str], ...]:
    """Words of names that this is a form of, with their language."""
    if len(word) > LONGEST_WORD:
        return ()
    starts = _telling_by_start(kind)
    likely = {
        one
        for bare in _bare(word)
        for size in range(1, STEM_START + 1)
        for one in starts.get(bare[:size], ())
    }
    return tuple(one for one in likely if is_form(one[0], word, one[1]))


@cache
def _telling_by_start(kind: str) -> dict[str, set[tuple[str, str]]]:
    """Each is looked for among few: of all, two milliseconds a word."""
    found: dict[str, set[tuple[str, str]]] = {}
    for telling, code in _telling_phrases(kind):
        for one in telling if len(telling) > 1 else ():
            for bare in _bare(one):
                found.setdefault(bare[:STEM_START], set()).add((one, code))
    return found


@lru_cache(maxsize=8_192)
def is_form(form: str, word: str, code: str) -> bool:
    """Whether a word is this one, with another ending, or with an article."""
    language = languages()[code]
    sticks = language.time.get("edges") == "left" and (len(form) >= LEAST_STEM or not form.isascii())
    return any(
        bare == name or same_stem(name, bare, language) or (sticks and bare.startswith(name))
        for bare in _bare(word, code)
        for name in _bare(form, code)
    )


def _bare(word: str, code: str = "") -> list[str]:
    """The word, also without what is written together with it: "and the"."""
    return [word, *(word[len(one) :] for one in _written_before(code) if word.startswith(one))]


@cache
def _written_before(code: str) -> tuple[str, ...]:
    known = [languages()[code]] if code else languages().values()
    sticking = (one for one in known if one.proclitics)
    return tuple({fold(word) for one in sticking for word in (*one.proclitics, one.joint)})
