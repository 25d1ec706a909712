"""Whether a fact says plainly what the caller's words say is not so.

A negation reaches as far as its clause, in the order that the language puts it: before what it denies, or
behind it. What is denied of one person is not denied of another.
"""

from collections.abc import Sequence

from echoic.memory.text.canonical import (
    clauses,
    cut,
    first_of,
    has,
    parts,
    place,
    sentences,
    tokens,
)
from echoic.memory.text.content import function_words, tells
from echoic.memory.text.language import Language, Words
from echoic.memory.text.people import key_of, mentions
from echoic.memory.types import About
from echoic.workers.evidence.spoken import Spoken, asked, calendar_words, canonical, places
from echoic.workers.evidence.whose import LONGEST_ARTICLE, MOST_BETWEEN

TELLING = 3
"""Words from a negation to the end of a clause that only says who told something: "never said"."""
OPENING = 4
"""Words of an answer among which its yes or no stands."""


def is_denied(fact: str, about: About, at: int, spoken: Spoken) -> bool:
    """Whether the fact says plainly what this turn says is not so."""
    language, turn, told = spoken.language, spoken.turns[at], spoken.words(fact)
    if has(language.negation, told):
        return False
    own, content = spoken.words(turn.text), spoken.content(fact)
    if question := asked(spoken, at):
        # "not tomorrow, on Friday week" denies no date that the model worked out
        dated = calendar_words(language.code)
        rest = [
            word for word in content if not (spoken.among(word, own) or word.isdecimal() or word in dated)
        ]
        opening = own[:OPENING]
        if rest and says_no(opening, language):
            is_asked = any(spoken.among(word, spoken.words(question)) for word in rest)
            if len(rest) * 2 > len(content):
                return is_asked
            if is_asked and _denies_beside(content, turn.text, spoken):
                return True
    found = spoken.once(_with_denial, turn.text)
    found = [_from(about, content, clause, spoken) for clause in found]
    shared = [places(content, clause, spoken) for clause in found]
    most = max(map(len, shared), default=0)
    # "I'm not divorced, who says I'm divorced": of clauses that say as much of the fact, one denial is enough
    return most > 0 and any(
        _denies(clause, told, content, spoken)
        for clause, its in zip(found, shared, strict=True)
        if len(its) == most
    )


def _denies_beside(content: Sequence[str], answer: str, spoken: Spoken) -> bool:
    """Whether an answer goes on to deny words of the fact: "no, look, tomorrow I can't call"."""
    first, *others = spoken.once(clauses, answer)
    found = [first[1:], *others]
    clause = max(found, key=lambda one: len(places(content, one, spoken)))
    covered, denied_at = places(content, clause, spoken), first_of(spoken.language.negation, clause)
    if spoken.language.negation_follows or denied_at < 0:
        return denied_at >= 0 and bool(covered)
    behind = [at for at in covered if at > denied_at]
    return bool(behind) and _others(clause[denied_at + 1 : behind[0]], content, spoken) <= 1


def _with_denial(text: str, language: Language) -> list[list[str]]:
    """The clauses of a text, each with the negation that a pronoun or "that" cut off.

    "I never said that I …", "non | ho".
    """
    found: list[list[str]] = []
    for sentence in sentences(text):
        begins = len(found)
        for part in parts(sentence):
            for number, clause in enumerate(cut(tokens(part, language), language)):
                last = found[-1] if len(found) > begins else []
                tells_that = first_of(language.that, clause) == 0 or first_of(language.that, last[-1:]) == 0
                # in "not before seven, that's my yoga" the "not" is what the "that" stands behind
                ends_so = first_of(language.negation, last[-1:]) == 0 and not language.negation_follows
                if (tells_that and not ends_so and _ends_denied(last, TELLING, language)) or (
                    language.drops_subject and number and _ends_denied(last, MOST_BETWEEN, language)
                ):
                    last.extend(clause)
                else:
                    found.append(clause)
    return found


def _ends_denied(clause: Sequence[str], within: int, language: Language) -> bool:
    """Whether a clause ends so soon behind a negation that the next one may be what it denies."""
    denied_at, told_at = first_of(language.negation, clause), first_of(language.that, clause[-1:])
    return denied_at >= 0 and len(clause) - denied_at - (told_at >= 0) <= within


def _denies(clause: Sequence[str], told: Sequence[str], content: Sequence[str], spoken: Spoken) -> bool:
    """Whether a clause holds all that a fact says, under a negation."""
    language = spoken.language
    telling = [word for word in told if word in content or len(word) > LONGEST_ARTICLE]
    covered = places(telling, clause, spoken)
    # all of them: "Lives alone" denies nothing of "I don't live with anyone"
    if not covered or not all(spoken.among(word, clause) for word in content):
        return False
    denied_at = first_of(language.negation, clause)
    if language.negation_follows:
        # it denies the verb beside it: "has an allergy, so cannot eat cake" has two
        denied_at = first_of(language.negation, clause[covered[0] :]) + covered[0]
        before = [at for at in covered if at < denied_at]
        is_last = not any(at > denied_at + 1 for at in covered)
        return bool(before) and is_last and _others(clause[before[-1] + 1 : denied_at], telling, spoken) <= 1
    behind = [at for at in covered if at > denied_at]
    if denied_at >= 0 and behind:
        # "not my back, it's my knee": what stands behind something else is not denied
        return not _others(clause[behind[0] : behind[-1]], telling, spoken)
    # "Ich rauche nicht": one that ends its clause denies the word before it
    return covered[-1] == denied_at - 1 and function_words(language.code) >= {*clause[denied_at:]}


def _others(words: Sequence[str], telling: Sequence[str], spoken: Spoken) -> int:
    """How many of these say something of which the fact says nothing."""
    functions = function_words(spoken.language.code)
    return sum(tells(one) and one not in functions and not spoken.among(one, telling) for one in words)


def _from(about: About, content: Sequence[str], clause: list[str], spoken: Spoken) -> list[str]:
    """From where somebody else is named: "not me, I don't smoke, my husband does" denies nothing of him."""
    denied_at = first_of(spoken.language.negation, clause)
    if denied_at < 0:  # most clauses: to look for people in each took a second a fact in a monologue
        return clause
    key = key_of(about.role)
    begins = [one.begin for one in mentions(clause, spoken.language) if one.key == key]
    if not begins or not places(content, clause[denied_at : begins[-1]], spoken):
        return clause
    return clause[begins[-1] :]


def says_no(opening: Sequence[str], language: Language) -> bool:
    """Whether an answer begins with a no, and with no yes."""
    return _opens_with(language.no, opening, language) and not _opens_with(language.yes, opening, language)


def _opens_with(phrases: Words, opening: Sequence[str], language: Language) -> bool:
    return any(place(canonical(phrase, language), opening) == 0 for phrase in phrases)
