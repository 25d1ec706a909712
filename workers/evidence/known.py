"""Whether an operation may touch a known fact: replace, end or confirm it."""

from collections.abc import Sequence

from echoic.memory.text.canonical import is_unspaced
from echoic.memory.text.dates.words import time_words_of
from echoic.memory.types import CALLER, Fact
from echoic.workers.evidence.operations import Operation
from echoic.workers.evidence.spoken import Spoken, asked, calendar_words
from echoic.workers.evidence.whose import about_in, is_anothers, is_named, is_same, speaks_of_self


def is_like(operation: Operation, spoken: Spoken, turns: Sequence[int]) -> bool:
    """Whether the known fact may be touched: it exists, and is about the same person."""
    if operation.known is None or operation.known >= len(spoken.known):
        return False
    known = spoken.known[operation.known]
    if operation.kind == "replace" and not _is_of_one_matter(operation, known, spoken, turns):
        return False
    if operation.kind == "end" and not _touches(operation, known, spoken):
        return False
    # of a fact that another system left, nobody knows the kind
    is_promise = known.kind == "promise" or (not known.topic and operation.topic == "promises")
    if not is_promise and _is_one_occasion(operation.quote, known.text, spoken):
        return False
    if is_promise and operation.kind == "replace" and (known.about is None or operation.about != CALLER):
        # who takes it over may be another, and "Ruft am Montag zurück" does not say who
        return is_named_in(spoken.words(operation.text), known.text, spoken)
    if known.about is not None:
        return is_same(operation.about, known.about)
    whose = about_in(known.text, spoken)
    if operation.about == CALLER:
        return not all(is_anothers(known.text, at, spoken, operation.quote) for at in turns)
    return (
        is_same(operation.about, whose)
        if whose != CALLER
        else is_named(operation.about, spoken.words(known.text), spoken)
    )


def _is_one_occasion(quote: str, known: str, spoken: Spoken) -> bool:
    """ "No yoga this week", or "yesterday", ends no "Goes to yoga on Wednesdays"."""
    time = time_words_of(spoken.language.code)
    days = [one for one in spoken.language.calendar if not any(time.find("month", one))]
    words = spoken.words(known)
    if not any(one in known if is_unspaced(one) else spoken.among(one, words) for one in days):
        return False
    said = time.words(quote)
    units = [time.value(one, "unit") for one in time.find("this", said)]
    near = any(time.find("near", said))
    return near or bool({"week", "day"} & {*units}) or any(time.find("this_weekday", said))


def _is_of_one_matter(operation: Operation, known: Fact, spoken: Spoken, turns: Sequence[int]) -> bool:
    """Whether a fact may give way to another: they are of one topic, share words, or what gives way is named.

    "I'm in Hamburg for the fair" replaces no "Lives in Kassel". Facts of other systems have no topic.
    """
    if known.topic in ("", operation.topic):
        return True
    evidence = [operation.quote] if operation.quote else [spoken.turns[at].text for at in turns]
    words = spoken.said([*evidence, operation.text, *(asked(spoken, at) for at in turns)])
    return is_named_in(words, known.text, spoken)


def _touches(operation: Operation, known: Fact, spoken: Spoken) -> bool:
    """Whether words may end a fact: they name something of it, or the caller speaks of themselves; a promise
    must be named, or meant as one.

    "My cleaner's divorced now" does not end "Is married", and "I've a cough" no promise to bring a key.
    """
    language, words = spoken.language, spoken.words(operation.quote)
    if not words or not language.self or is_named_in(words, known.text, spoken):
        return True
    is_meant = known.kind != "promise" or operation.topic == "promises"
    return is_meant and speaks_of_self(words, language)


def is_named_in(words: Sequence[str], known: str, spoken: Spoken) -> bool:
    """Whether words name something of a known fact; a day of the week is none: two things are on Mondays."""
    calendar = calendar_words(spoken.language.code)
    named = (word for word in spoken.content(known) if spoken.among(word, words))
    return any(not spoken.among(word, calendar) for word in named)
