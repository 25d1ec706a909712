"""What a model wrote down, held against what the caller said: a fact without support in the caller's own
words is not learned.

A weak model invents, copies what was known, drops a "not", and gives the sister's allergy to the caller. A
strong one seldom does; for it these checks are a net, so they let paraphrases pass: names and numbers must
have been said, of other words most.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from echoic.memory.text.words import normalise, terms
from echoic.memory.types import Fact
from echoic.workers.extractors.dates import stated_dates
from echoic.workers.extractors.lines import Line
from echoic.workers.extractors.speech import NEGATION, PEOPLE, PETS, clauses, sentences

MOST_CHARS = 200
SUPPORTED = 0.6
"""Share of a fact's words that must come from the caller; the rest is paraphrase."""

WHOLE_CLAUSE = 0.6
"""Share of a clause's words that a fact holds to be about all of it."""
_SAME_START = 4
# Words that say how things hang together, not what they are: any speaker's "I'm a nurse" may become "Works as
# a nurse".
_GENERIC_WORDS = """
    is called named name live lives living reside resides work works working job as own owns have has had like likes love loves enjoy enjoys
    prefer prefers want wants go goes going play plays use uses take takes make makes person people caller user speaker get gets currently
    old year years age aged born move moved moving home house place call started start plan plans planning will favourite favorite dislike
    dislikes hate hates one two three new lot much many time usually often always never anymore longer still also there thing things year
    day days
"""
_GENERIC = frozenset(term for word in _GENERIC_WORDS.split() for term in terms(word))
_RELATIONS = frozenset(
    terms("live work like love enjoy prefer want go play use take move start plan dislike hate own")
)
"""Of these the ones that make another fact of the same thing: "loves Rome" is not said by "flies to Rome"."""
_FIRST_PERSON = (
    (re.compile(r"^(?:the )?(?:caller|user|speaker|customer)(?:'s)?\b[ ,:]*", re.IGNORECASE), ""),
    (re.compile(r"^(?:i am|i['’]m|im)\b", re.IGNORECASE), "Is"),
    (
        re.compile(r"^(?:i have|i['’]ve)(?= (?:got )?(?:an?|the|two|three|four|no|\d)\b)", re.IGNORECASE),
        "Has",
    ),
    (re.compile(r"^(?:we are|we['’]re)\b", re.IGNORECASE), "Is"),
    (re.compile(r"^(?:i|we)(?: have|['’]ve)? (?=\w)", re.IGNORECASE), ""),
    (re.compile(r"^(?:my|our) ", re.IGNORECASE), ""),
    (re.compile(r"\b(when|while|if|because) i['’]?m\b", re.IGNORECASE), r"\1"),
    (re.compile(r"\b(?:my|our) (?=\w)", re.IGNORECASE), ""),
    (re.compile(r"(?:,)? (?:for|to|with) me\b", re.IGNORECASE), ""),
)
_NEGATIVE = re.compile(
    r"\b(?:dislikes?|hates?|refuses?|avoids?|quits?|stopped|gave up|given "
    r"up|ended|died|dead|divorced|separated|former|formerly|ex|used to"
    r"|left|lost|sold|cancell?ed|allergic|without|free|abstains?|teetotal|unable|misses|missed|fails?|failed|rarely)\b",
    re.IGNORECASE,
)
_NAMING = frozenset(terms("called name"))
_PAST_ONLY = re.compile(r"\b(?:used to|formerly|no longer|any ?more|any longer)\b", re.IGNORECASE)
_SAYS_PAST = re.compile(
    r"\b(?:used|formerly|former|ex|no longer|any ?more|any "
    r"longer|stopped|quit|until|was|were|past|d)\b|not\b|n't",
    re.IGNORECASE,
)
_CORRECTION = re.compile(r"\b(?:sorry|no|actually|i mean|correction|rather|wait|not)\b", re.IGNORECASE)
_WHO = "|".join(sorted({*PEOPLE, *PETS}, key=len, reverse=True))
_SUBJECT = re.compile(
    rf"(?:\b(?:my|our|the)\s+(?:\w+\s+)?|^)(?P<who>{_WHO})\b(?P<name>(?:\s+(?!I\b)(?-i:[A-Z])[\w'’-]+)*)",
    re.IGNORECASE,
)
_CALLER_SUBJECT = re.compile(r"\b(?:i|i['’]m|i['’]ve|we|we['’]re|we['’]ve)\b", re.IGNORECASE)
_ENGLISH = re.compile(
    r"\b(?:the|my|you|your|and|i|i'm|i’m|it's|have|was|of|to|don't|is|he|she|we|our)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact as the model wrote it."""

    text: str
    line: int
    """Index of the line it is said to come from."""
    topic: str = ""
    sub_topic: str = ""
    importance: float = 0.5


def checked(drafts: Iterable[Draft], lines: Sequence[Line], known: Sequence[Fact]) -> list[Draft]:
    """The drafts that the caller's words support, tidied, each once, none of them known already."""
    kept: list[Draft] = []
    for draft in drafts:
        draft = replace(draft, text=tidy(draft.text))
        draft = replace(draft, line=best_line(draft, lines))
        draft = replace(draft, text=with_date(with_subject(draft.text, lines[draft.line]), lines[draft.line]))
        if is_supported(draft.text, lines[draft.line], lines, known) and not is_known(draft.text, known):
            kept = _add(kept, draft, lines)
    return kept


def tidy(text: str) -> str:
    """One line of at most 200 characters, without the first person and the word "caller"."""
    text = " ".join(text.split())
    if is_english(text):
        for pattern, instead in _FIRST_PERSON:
            text = pattern.sub(instead, text, count=1)
    text = text.strip(" .,;:-")
    if len(text) > MOST_CHARS:
        text = text[:MOST_CHARS].rsplit(" ", 1)[0]
    return text[:1].upper() + text[1:]


def best_line(draft: Draft, lines: Sequence[Line]) -> int:
    """The line the fact shares most words with; the one the model named when that is as good as any."""
    words = content(draft.text)
    shared = [len(words & set(terms(line.text))) for line in lines]
    named = min(max(draft.line, 0), len(lines) - 1)
    return named if shared[named] == max(shared) else shared.index(max(shared))


def with_subject(text: str, line: Line) -> str:
    """ "Died in May" of "our dog Rufus died in May" -> "Dog Rufus died in May": what is true of another must
    say so."""
    clause = best_clause(text, line.text)
    match = _SUBJECT.search(clause)
    if match is None or _CALLER_SUBJECT.search(clause[: match.start()]):
        return text
    named = set(terms(match["who"] + match["name"]))
    if not named or named & set(terms(text)) or not is_english(clause):
        return text
    after = set(terms(clause[match.end() :]))
    if not content(text) & after:
        return text
    return f"{match['who'].capitalize()}{match['name']} {text[:1].lower()}{text[1:]}"[:MOST_CHARS]


def with_date(text: str, line: Line) -> str:
    """ "Ran a marathon" of "in 2025 I ran a marathon" -> "Ran a marathon in 2025": what happened once says
    when."""
    clause = best_clause(text, line.text)
    dates = stated_dates(clause)
    if len(dates) != 1 or stated_dates(text) or any(map(str.isdigit, text)):
        return text
    rest = set(terms(clause.replace(dates[0], "")))
    if len(rest & set(terms(text))) < WHOLE_CLAUSE * len(rest):
        return text  # the date may belong to the other half of the clause
    return f"{text} {dates[0][0].lower()}{dates[0][1:]}"[:MOST_CHARS]


def is_supported(text: str, line: Line, lines: Sequence[Line], known: Sequence[Fact]) -> bool:
    """Whether the caller said it: own words in it, most of the rest too, every name and number, and the same
    yes or no."""
    words = content(text)
    informative_turns = {word for one in lines for word in terms(one.text)}
    own = words & informative_turns
    if not own and not (set(terms(text)) & set(terms(line.text))):
        return False
    asked = set(terms(line.before))
    linked = {word for fact in known if content(fact.text) & informative_turns for word in terms(fact.text)}
    said = informative_turns | asked | linked
    if (words - said) & {word for fact in known for word in content(fact.text)} or _found(
        words, said
    ) < SUPPORTED * len(words):
        return False  # words of an unrelated known fact are copied, however many others fit
    sources = [one.text for one in lines] + [
        fact.text for fact in known if content(fact.text) & informative_turns
    ]
    if line.before.rstrip().endswith("?"):  # a name in a question is answered, a name in an offer is not
        sources.append(line.before)
    names = {normalise(name) for name in _names(text)}
    return names <= {word for source in sources for word in normalise(source).split()} and _agrees(text, line)


def is_known(text: str, known: Iterable[Fact]) -> bool:
    """Whether a live fact says as much already."""
    return any(_repeats(text, fact.text) for fact in known)


def best_clause(text: str, said: str) -> str:
    """The clause that a fact is about: most words in common, the affirmed one among equals."""
    words = set(terms(text))
    parts = [clause for sentence in sentences(said) for clause in clauses(sentence)] or [said]
    return max(parts, key=lambda part: (len(words & set(terms(part))), NEGATION.search(part) is None))


def content(text: str) -> set[str]:
    """Stems of the words that say what a fact is about."""
    return {term for term in terms(text) if term not in _GENERIC}


def denies(text: str) -> bool:
    """Whether a fact says that something is not so."""
    return NEGATION.search(text) is not None


def is_english(text: str) -> bool:
    """A guess good enough to keep English rules away from other languages."""
    return _ENGLISH.search(text) is not None or (text.isascii() and text.count(" ") < 3)


def _agrees(text: str, line: Line) -> bool:
    """A denied clause never becomes an affirmed fact, a former state never a present one."""
    clause = best_clause(text, line.text)
    if NEGATION.search(clause) and not (denies(text) or _NEGATIVE.search(text)):
        return False
    return not (_PAST_ONLY.search(clause) and not (_SAYS_PAST.search(text) or _NEGATIVE.search(text)))


def _found(words: set[str], said: set[str]) -> int:
    """How many words were said, in this form or another: "wohnt" for "wohne", "allergy" for "allergic"."""
    starts = {word[:_SAME_START] for word in said if len(word) >= _SAME_START}
    return sum(word in said or word[:_SAME_START] in starts for word in words)


def _names(text: str) -> list[str]:
    """Words with digits, and capitalised words past the first."""
    tokens = re.findall(r"[^\s,.;:!?()\"“”]+", text)
    return [
        re.sub(r"['’]s$", "", token)
        for place, token in enumerate(tokens)
        if any(map(str.isdigit, token)) or (place and token[:1].isupper())
    ]


def _repeats(text: str, other: str) -> bool:
    if denies(text) != denies(other):
        return False
    if normalise(text) == normalise(other):
        return True
    if _NAMING & set(terms(text)) and not _NAMING & set(terms(other)):
        return False  # "Dog is called Rex" is not said by "Dog Rex is a beagle"
    words, others = set(terms(text)), set(terms(other))
    if not content(text):
        return words <= others
    return content(text) <= others and words & _RELATIONS <= others


def _add(kept: list[Draft], draft: Draft, lines: Sequence[Line]) -> list[Draft]:
    """Add a draft unless one says it already; a poorer or corrected one makes room."""
    if any(_repeats(draft.text, one.text) for one in kept):
        return kept
    kept = [one for one in kept if not _repeats(one.text, draft.text) and not _corrects(draft, one, lines)]
    return [*kept, draft]


def _corrects(draft: Draft, earlier: Draft, lines: Sequence[Line]) -> bool:
    """ "On Tuesday the 17th.

    Sorry, no, Wednesday the 18th.": same words but for names and numbers, and a word of correction.
    """
    if denies(draft.text) or denies(earlier.text) or not _CORRECTION.search(lines[draft.line].text):
        return False
    mine, its = (
        {term for name in _names(text) for term in terms(name)} for text in (draft.text, earlier.text)
    )
    left, right = set(terms(draft.text)) - mine, set(terms(earlier.text)) - its
    return bool(left) and left == right and mine != its
