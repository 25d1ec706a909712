"""Whose a fact is: the caller's, or that of somebody whom the words name."""

from collections.abc import Collection, Sequence
from itertools import pairwise

from echoic.memory.text.canonical import clauses, has, is_unspaced, same, same_stem
from echoic.memory.text.content import function_words, tells
from echoic.memory.text.language import Language, fold
from echoic.memory.text.people import Mention, key_of, keys_in, mentions, names, shown
from echoic.memory.types import CALLER, About
from echoic.workers.evidence.operations import Operation
from echoic.workers.evidence.spoken import (
    NAME,
    Spoken,
    asked,
    best,
    places,
)

LONGEST_ARTICLE = 3
"""Letters of what may stand before somebody at a fact's head: "Il marito", "Der Sohn"; not "Likes dogs"."""
MOST_BETWEEN = 2
"""Words between two people who belong together: "the mother of my friend"."""


def is_anothers(fact: str, at: int, spoken: Spoken, quote: str = "") -> bool:
    """Whether the clause that the fact is made of is about somebody of whom the fact says nothing."""
    language, told = spoken.language, spoken.content(fact)
    found = spoken.once(clauses, quote or spoken.turns[at].text)
    if not found or not language.self:
        return False
    chosen = best(told, found, spoken)
    clause = found[chosen]
    covered = places(told, clause, spoken)
    if not covered:
        return False
    # where the verb comes last, it says there that the speaker is meant: "काम करती हूँ"
    reach = clause if language.negation_follows else clause[: covered[-1] + 1]
    if speaks_of_self(reach, language):
        return False
    before = clause[: covered[0] + 1]
    if has(language.naming, before):
        return False
    told_of = spoken.words(fact)
    if any(not names(key, told_of, language) for key in keys_in(before, language)):
        return True
    if not asked(spoken, at) and _begins_with_name(before, told_of, spoken.turns[at].text, language):
        return True
    # "my neighbour isn't well, she's had a stroke": a fact that names nobody is of the neighbour
    is_of_them = has(language.others, before[:-1]) and any(mentions(one, language) for one in found[:chosen])
    return is_of_them and not mentions(told_of, language)


def _begins_with_name(before: Sequence[str], told: Sequence[str], text: str, language: Language) -> bool:
    """ "Priya has a nut allergy", where a language needs a subject and writes names with a capital."""
    if language.drops_subject or language.capital_nouns or len(before) < 2:
        return False
    first = before[0]
    if first in function_words(language.code) or first in told:
        return False
    return any(
        fold(match.group()).startswith(first) and match.group()[:1].isupper() for match in NAME.finditer(text)
    )


def names_subject(operation: Operation, spoken: Spoken, turns: Sequence[int]) -> bool:
    """Whether the fact is told of somebody else whom the words name, and not of their teacher, mother, …"""
    told = spoken.words(operation.text)
    people = keys_in(told, spoken.language)
    if not (people or is_named(operation.about, told, spoken)):
        # its text says nothing of whom it is about: it is shown with them (`memory/text/people.py: shown`)
        return any(
            _is_told_of(operation, at, spoken) and not _belongs_to(operation, at, spoken) for at in turns
        )
    heard = spoken.heard()
    if operation.known is not None:
        heard += spoken.words(spoken.known[operation.known].text)
    heard += [word for at in turns for word in spoken.words(asked(spoken, at))]
    # "my sister's little one" is the sister's daughter: who is named with them counts too
    if people & keys_in(heard, spoken.language) or is_named(operation.about, heard, spoken):
        return not all(_belongs_to(operation, at, spoken) for at in turns)
    return any(_may_be_another(operation.text, at, spoken) for at in turns)


def _is_told_of(operation: Operation, at: int, spoken: Spoken) -> bool:
    """Whether the clause that holds the fact's words names whom it is about, or nobody, and who was named
    last before it is they.

    "I've come down with shingles, so when mum rang" is not of her, and "my brother's 40" not of a sister.
    """
    about, language = operation.about, spoken.language
    text, told = spoken.turns[at].text, spoken.content(operation.text)
    found = spoken.once(clauses, text)
    if not found:
        return False
    chosen = best(told, found, spoken)
    clause = found[chosen]
    if is_named(about, clause, spoken):
        return True
    covered = places(told, clause, spoken)
    begins = clause[: covered[0] + 1] if covered else clause
    if speaks_of_self(clause, language) or _begins_with_name(begins, told, text, language):
        return False
    earlier = [one for turn in spoken.turns[:at] for one in spoken.once(clauses, turn.text)]
    for one in reversed([*earlier, *found[:chosen], clause]):
        people = mentions(one, language)
        if people or is_named(about, one, spoken):
            return is_named(about, one[people[-1].begin :] if people else one, spoken)
    return True


def _may_be_another(fact: str, at: int, spoken: Spoken) -> bool:
    """Whether the clause that holds the fact's words may mean them by other words than the fact's.

    "My daughter's husband" is the son-in-law, and "the big one starts school", "ma wee lassie" name nobody by
    a word that is known: only who is named as somebody else is another.
    """
    found = spoken.once(clauses, spoken.turns[at].text)
    clause = found[best(spoken.content(fact), found, spoken)] if found else []
    people = mentions(clause, spoken.language)
    if any(_is_beside(one, other.begin, clause, (), spoken.language) for one, other in pairwise(people)):
        return True
    return not people and (not speaks_of_self(clause, spoken.language) or has(spoken.language.others, clause))


def is_named(about: About, words: Sequence[str], spoken: Spoken) -> bool:
    """By role, in any words for it, or by name."""
    key = key_of(about.role)
    if key and names(key, words, spoken.language):
        return True
    if about.name and all(spoken.among(word, words) for word in spoken.words(about.name)):
        return True
    return not key and any(spoken.among(word, words) for word in spoken.words(about.role) if tells(word))


def _belongs_to(operation: Operation, at: int, spoken: Spoken) -> bool:
    """ "My son's teacher moved", "小军的老师": of two people who stand side by side, the fact leaves one out.

    How a language says whose somebody is (an ending, a word, the order) need not be known.
    """
    language = spoken.language
    told = spoken.words(shown(operation.text, operation.about))
    found = spoken.once(clauses, spoken.turns[at].text)
    if not found:
        return False
    clause = found[best(spoken.content(operation.text), found, spoken)]
    about = _with_name(operation, spoken)
    named = [place for place, word in enumerate(clause) if _names_them(about, word, spoken)]
    others = [
        one
        for one in mentions(clause, language)
        if one.key != key_of(operation.about.role) and not {*range(one.begin, one.end)} & {*named}
    ]
    return any(
        not names(one.key, told, language)
        and _is_beside(one, place, clause, spoken.words(about.name), language)
        for one in others
        for place in named
    )


def _is_beside(
    one: Mention, place: int, clause: Sequence[str], exact: Collection[str], language: Language
) -> bool:
    """With no more than an article or two between them; "Şükrü abi" and "Dr Ferrante" are one person, "Utes
    Mann" are two."""
    between = clause[one.end : place] if one.begin < place else clause[place + 1 : one.begin]
    if place in (one.begin - 1, one.end) and clause[place] in exact and not is_unspaced(clause[place]):
        return False
    return len(between) <= MOST_BETWEEN and all(
        len(word) <= LONGEST_ARTICLE or _is_function_word(word, language) for word in between
    )


def _is_function_word(word: str, language: Language) -> bool:
    """Also in a form that is not listed: "моей" is one of "мой"."""
    form = same_stem if language.stemmer else same
    return any(form(word, one, language) for one in function_words(language.code))


def speaks_of_self(words: Sequence[str], language: Language) -> bool:
    """Whether the speaker is named; "我哥哥" names their brother alone."""
    of_others = {one.begin for one in mentions(words, language)}
    rest = [word for at, word in enumerate(words) if at + 1 not in of_others]
    return has(language.self, rest)


def _with_name(operation: Operation, spoken: Spoken) -> About:
    """Whom it is about, with the words that the fact calls them behind their role."""
    about, told = operation.about, spoken.words(operation.text)
    if about.name or not about.role:
        return about
    first = next((one for one in mentions(told, spoken.language) if one.key == key_of(about.role)), None)
    after = told[first.end :] if first else []
    name = [word for word in after if word not in function_words(spoken.language.code)][:MOST_BETWEEN]
    return About(about.role, " ".join(name))


def _names_them(about: About, word: str, spoken: Spoken) -> bool:
    key = key_of(about.role)
    if key and names(key, [word], spoken.language):
        return True
    return any(spoken.among(word, [one]) or _has_ending(word, one) for one in spoken.words(about.name)) or (
        not key and tells(word) and spoken.among(word, spoken.words(about.role))
    )


def _has_ending(word: str, name: str) -> bool:
    """ "Utes Mann" names Ute."""
    return word.startswith(name) and len(word) - len(name) == 1 and not is_unspaced(name)


def is_same(one: About, other: About) -> bool:
    """Whether two are one person, as far as role and name say: sister Ana is not sister Marta."""
    if (one == CALLER) != (other == CALLER):
        return False
    names = {fold(one.name), fold(other.name)} - {""}
    roles = {key_of(about.role) or fold(about.role) for about in (one, other)} - {""}
    if len(names) > 1:
        return False
    return len(roles) <= 1 or bool(names and one.name and other.name)


def about_in(fact: str, spoken: Spoken) -> About:
    """Whose a fact is that does not say so itself, by how it begins: "Sister Ana works at Nokia"."""
    words = spoken.words(fact)
    first = next(iter(mentions(words, spoken.language)), None)
    if first is None or any(len(word) > LONGEST_ARTICLE for word in words[: first.begin]) or first.begin > 1:
        return CALLER
    functions = function_words(spoken.language.code)
    if not any(tells(word) and word not in functions for word in words[first.end :]):
        return CALLER  # "Hat Kinder", "Ist Lehrer": nothing is said of them
    after = [match.group() for match in NAME.finditer(fact)][first.end : first.end + 1]
    name = next((word for word in after if word[:1].isupper()), "")
    return About(" ".join(words[first.begin : first.end]), name)
