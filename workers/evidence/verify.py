"""Whether an operation is borne out by the words it quotes. It stands or falls; nothing is changed.

A capable model passes whole; what is refused is what a weak one does: it invents, copies the agent, loses a
"not", or gives one person what is another's. Each check compares what the operation claims with its own
evidence, in canonical form (`memory/text/canonical.py`). Words of a language come from its file; without one,
the checks that need them say nothing.

1. `unsaid`: the quote stands in the turns it names, which are the caller's; an answer also rests on its
   question, and what the agent undertook on the agent's own words.
2. `not meant`: the model itself says so ("hypothetical", "playful"), or the words stand behind "pretend" or
   "if".
3. `invented`: every number, date and name was said; the rest may be in other words, not in the agent's.
4. `denied`: the fact repeats words that stand under a negation, without it.
5. `another's`: it is told of the caller, in a clause about somebody whom it leaves out; or of somebody, in a
   clause about somebody else. That nobody is named by a word that is known says nothing.
6. `unlike`: the known fact it touches does not exist, or is not what the words are about (`known.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from echoic.memory.text.canonical import (
    clauses_of_sentence,
    first_of,
    has,
    is_unspaced,
    parts,
    place,
    sentences,
)
from echoic.memory.text.content import function_words, tells
from echoic.memory.text.language import Language
from echoic.memory.text.people import keys_in, names
from echoic.memory.text.secrets import MASK
from echoic.memory.types import CALLER
from echoic.workers.evidence.denial import OPENING, is_denied, says_no
from echoic.workers.evidence.known import is_like, is_named_in
from echoic.workers.evidence.operations import NOT_MEANT, Operation, When
from echoic.workers.evidence.said import (
    exact_words,
    has_days_said,
    has_digit,
    is_heard_as,
    is_of_its_words,
    spelled_numbers,
    was_said,
)
from echoic.workers.evidence.spoken import (
    Spoken,
    asked,
    best,
    canonical,
    holds,
    is_question,
    is_respaced,
    places,
)
from echoic.workers.evidence.whose import (
    is_anothers,
    names_subject,
    speaks_of_self,
)

Reason = Literal["", "unsaid", "not meant", "invented", "denied", "another's", "unlike"]
MOST_FACT_CHARS = 500

MOST_TAG = 4
"""Words of a question that only asks for assent."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an operation."""

    reason: Reason = ""
    """Why it is not carried out; empty if it is."""
    turns: tuple[int, ...] = ()
    """Where its words stand."""
    keeps: bool = False
    """The known fact that it would replace stays beside the new one: it is another person's."""


def judged(operation: Operation, spoken: Spoken) -> Verdict:
    """Whether an operation is borne out, and by which turns."""
    if len(operation.text) > MOST_FACT_CHARS or MASK in operation.text:  # "The password is •••" tells nothing
        return Verdict("invented")
    turns = _evidence_turns(operation, spoken)
    spoken = spoken.in_language_of(operation.text or operation.quote, turns)
    reason = _refused(operation, spoken, turns)
    if reason == "unlike" and operation.kind == "replace":
        return Verdict(_fact_refused(operation, spoken, turns), turns, keeps=True)
    return Verdict(reason, turns)


def is_dated(operation: Operation, spoken: Spoken, turns: Sequence[int]) -> bool:
    """Whether the words that say when were said, and are of that day; else the fact stands without a date."""
    words = spoken.words(operation.when.words)
    near = [spoken.turns[at].text for at in turns] + [asked(spoken, at) for at in turns]
    is_said = bool(words) and any(holds(text, words, spoken) for text in near)
    return is_said and is_of_its_words(operation.when, spoken)


def _refused(operation: Operation, spoken: Spoken, turns: Sequence[int]) -> Reason:
    if operation.said in NOT_MEANT:
        return "not meant"
    if not turns:
        return "unsaid"
    if operation.kind != "add" and not is_like(operation, spoken, turns):
        return "unlike"
    return _fact_refused(operation, spoken, turns) if operation.kind in ("add", "replace") else ""


def _fact_refused(operation: Operation, spoken: Spoken, turns: Sequence[int]) -> Reason:
    if all(_is_unreal(operation.text, at, spoken) for at in turns):
        return "not meant"
    if all(is_denied(operation.text, operation.about, at, spoken) for at in turns):
        return "denied"
    if not _is_said(operation, spoken, turns):
        return "invented"
    if operation.topic == "assistant":  # how the caller wants it, whoever is spoken of
        return ""
    if operation.about == CALLER:
        return "another's" if all(is_anothers(operation.text, at, spoken) for at in turns) else ""
    if operation.is_agents:
        return "" if any(_is_undertaken(operation, at, spoken) for at in turns) else "unsaid"
    return "" if names_subject(operation, spoken, turns) else "another's"


def _is_undertaken(operation: Operation, at: int, spoken: Spoken) -> bool:
    """Whether the agent said so, or spoke of itself in other words; not in an offer that was turned down."""
    text, language = spoken.turns[at].text, spoken.language
    may_be = language.drops_subject or speaks_of_self(spoken.words(text), language)
    if not (_shares(operation.text, spoken.said([text]), spoken) or (spoken.takes_paraphrases and may_be)):
        return False
    told = spoken.content(operation.text)
    offer = max(sentences(text), key=lambda one: len(places(told, spoken.words(one), spoken)), default="")
    if not is_question(offer) or at + 1 >= len(spoken.turns):
        return True
    return not says_no(spoken.words(spoken.turns[at + 1].text)[:OPENING], language)


# 1. the quote


def _evidence_turns(operation: Operation, spoken: Spoken) -> tuple[int, ...]:
    """The turns that hold the quote, of whoever may say so."""
    quote = spoken.words(operation.quote)
    own = [at for at in range(len(spoken.turns)) if _may_say(operation, spoken, at)]
    named = [at for at in operation.turns if at in own]
    if not quote:
        return tuple(named) if named else _by_words(operation, spoken, own)
    holding = [at for at in named or own if holds(spoken.turns[at].text, quote, spoken)]
    if not holding and named:
        # named together: the quote may run over two of them, or be the agent's question that a turn answers
        text = " ".join(spoken.turns[at].text for at in named)
        answered = [at for at in named if holds(asked(spoken, at), quote, spoken)]
        holding = named if holds(text, quote, spoken) else answered
    return tuple(holding or [at for at in own if holds(spoken.turns[at].text, quote, spoken)][:1])


def _may_say(operation: Operation, spoken: Spoken, at: int) -> bool:
    """The caller may; the agent may what it undertook, and that it has done so."""
    if operation.topic != "promises":
        return spoken.is_callers(at)
    return spoken.is_callers(at) != operation.is_agents or operation.kind in ("end", "confirm")


def _by_words(operation: Operation, spoken: Spoken, own: Sequence[int]) -> tuple[int, ...]:
    """Where a model gave neither quote nor turn: the turn that shares most words with the fact."""
    told = spoken.content(operation.text)
    said = {at: spoken.words(spoken.turns[at].text) for at in own}
    shared = {at: sum(spoken.among(word, words) for word in told) for at, words in said.items()}
    most = max(shared, key=lambda at: shared[at], default=None)
    return (most,) if most is not None and shared[most] else ()


# 2. meant


def _is_unreal(fact: str, at: int, spoken: Spoken) -> bool:
    """Whether the fact's words stand behind "pretend", in an "if" that is not so, or in what would follow."""
    language, told = spoken.language, spoken.content(fact)
    for sentence in sentences(spoken.turns[at].text):
        found = spoken.once(clauses_of_sentence, sentence)
        chosen = best(told, found, spoken) if found else 0
        covered = places(told, found[chosen], spoken) if found else []
        if not covered:
            continue
        before = [word for clause in found[:chosen] for word in clause] + found[chosen][: covered[-1]]
        marks = [phrase for phrase in language.unreal if place(canonical(phrase, language), before) >= 0]
        if any(not _is_told(phrase, fact, spoken) for phrase in marks):
            return True
        at = _own_condition(found[: chosen + 1], language)
        # of "if I won, I'd move" neither is so; "because I use a wheelchair" behind it is
        reasons = [one for one in range(at + 1, chosen + 1) if first_of(language.cause, found[one]) == 0]
        wished = found[reasons[-1] : chosen + 1] if reasons else found[at:]
        if at >= 0 and has(language.would, [word for clause in wished for word in clause]):
            return True
    return False


def _own_condition(found: Sequence[Sequence[str]], language: Language) -> int:
    """Which clause says "if I won", and not "if you could"; -1: none."""
    for at, clause in enumerate(found):
        if has(language.condition, clause):
            its = [word for part in found[at : at + 2] for word in part]
            return at if language.drops_subject or has(language.self, its) else -1
    return -1


def _is_told(phrase: Sequence[str], fact: str, spoken: Spoken) -> bool:
    """The fact itself is about the song."""
    return any(
        spoken.among(word, spoken.words(fact)) for word in canonical(phrase, spoken.language) if tells(word)
    )


# 3. said


def _is_said(operation: Operation, spoken: Spoken, turns: Sequence[int]) -> bool:
    """One of the fact's words was said there, or it answers what was asked, or is a paraphrase; every number,
    date and name was said somewhere."""
    near = [spoken.turns[at].text for at in turns]
    answered = [
        question for at in turns if (question := asked(spoken, at)) and _answers(operation.text, at, spoken)
    ]
    said = spoken.said([*near, *answered])
    everywhere = [*said, *spoken.heard(), *spoken.said(asked(spoken, at) for at in turns)]
    if answered:  # "Dr Meyer's surgery", the agent said at first
        everywhere += spoken.said(turn.text for turn in spoken.turns if turn.role == "assistant")
    if operation.about != CALLER:
        said = [*said, *spoken.heard()]
    # how the agent should talk is asked for in the second person, and written down in other words
    is_wish = operation.topic == "assistant" and bool(operation.quote)
    if not (
        is_wish
        or answered
        or _shares(operation.text, said, spoken)
        or _names_what_ends(operation, spoken)
        or (spoken.takes_paraphrases and not _is_the_agents(operation.text, turns, spoken))
    ):
        return False
    if _asks(operation, spoken) and not answered and _has_agents_word(operation.text, everywhere, spoken):
        return False
    if not is_dated(operation, spoken, turns):
        operation = replace(operation, when=When())  # what it explains must be said itself
    spelled = spelled_numbers(operation.text, spoken)
    if not all(was_said(word, operation, everywhere, spoken) for word in spelled):
        return False
    if is_unspaced(operation.text) and not has_days_said(operation, everywhere, spoken):
        return False
    # "85만" is said as 85, or as 850000
    exact, read = exact_words(operation.text, spoken), filter(has_digit, spoken.words(operation.text))
    unsaid = [word for word in exact if not was_said(word, operation, everywhere, spoken)]
    return not unsaid or (
        all(map(has_digit, unsaid)) and all(was_said(word, operation, everywhere, spoken) for word in read)
    )


def _asks(operation: Operation, spoken: Spoken) -> bool:
    """Whether the quote asks about the fact: "I'll come on Tuesday, is that all right?" tells it."""
    *before, last = parts(operation.quote)
    words = spoken.words(last)
    tells_it = any(spoken.among(one, words) for one in spoken.content(operation.text))
    return is_question(operation.quote) and not (before and len(words) <= MOST_TAG and not tells_it)


def _has_agents_word(fact: str, said: Sequence[str], spoken: Spoken) -> bool:
    """ "What am I allergic to?" bears out no "Is allergic to peanuts", though the agent answers so."""
    agents = spoken.said(turn.text for turn in spoken.turns if turn.role == "assistant")
    return any(spoken.among(word, agents) and not spoken.among(word, said) for word in spoken.content(fact))


def _answers(fact: str, at: int, spoken: Spoken) -> bool:
    """Whether a turn may say this by answering: it denies what the fact denies, says yes, or little else.

    "Just coffee" answers "Tea or coffee?", and not for tea.
    """
    language, own, told = spoken.language, spoken.words(spoken.turns[at].text), spoken.words(fact)
    chosen = [word for word in spoken.content(asked(spoken, at)) if spoken.among(word, own)]
    if chosen and not any(spoken.among(word, told) for word in chosen):
        return False
    denies = has(language.negation, own) or has(language.no, own[:OPENING])
    agrees = has(language.yes, own[:OPENING])
    if has(language.negation, told) and (denies or agrees):
        return denies
    if is_question(spoken.turns[at].text) and not agrees:
        return False
    functions = function_words(language.code)
    says_little = sum(tells(word) and word not in functions for word in own) <= 1 + (len(own) <= OPENING)
    return agrees or (says_little and not denies)


def _names_what_ends(operation: Operation, spoken: Spoken) -> bool:
    """ "They let me go from the bakery": what replaces a known fact may be said in other words, where that is
    named."""
    if operation.kind != "replace" or operation.known is None or operation.known >= len(spoken.known):
        return False
    return is_named_in(spoken.words(operation.quote), spoken.known[operation.known].text, spoken)


def _is_the_agents(fact: str, turns: Sequence[int], spoken: Spoken) -> bool:
    """Whether a fact of which the caller said no word has one of the agent's, or the caller's turn tells
    nothing.

    "I don't eat anything with a face" is "Is vegetarian"; "Ah, and what is that?" is no "Has the Plus plan".
    """
    own = [word for at in turns for word in spoken.words(spoken.turns[at].text)]
    functions = function_words(spoken.language.code)
    if not any(tells(word) and word not in functions for word in own):
        return True
    agents = [turn.text for turn in spoken.turns[: max(turns)] if turn.role == "assistant"]
    return _shares(fact, spoken.said(agents), spoken)


def _shares(fact: str, said: Sequence[str], spoken: Spoken) -> bool:
    """A word of its own, two common ones, a number that was spelled out, or a person by another word."""
    told, functions = spoken.words(fact), function_words(spoken.language.code)
    telling = [word for word in said if word not in functions]
    if any(spoken.among(word, telling) or is_respaced(word, told, said) for word in spoken.content(fact)):
        return True
    if any(is_heard_as(word, said) for word in told):
        return True
    if not spoken.language.reads_numbers and any(map(str.isdecimal, told)):
        return True  # number words of this language are not read as digits
    if sum(tells(word) and spoken.among(word, said) for word in set(told)) > 1:
        return True
    return any(names(key, said, spoken.language) for key in keys_in(told, spoken.language))
