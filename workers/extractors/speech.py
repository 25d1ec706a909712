"""What a caller's words state as true: sentences and clauses without the questions, requests, guesses and
small talk.

A small model writes down whatever it reads; what it must not learn it should not see. The rules are for
English; in other languages only a question mark is understood, and the rest is left to the model.
"""

import re

from echoic.memory.text.words import is_small_talk

RELATIVES = """
    wife husband partner girlfriend boyfriend fiance fiancee spouse ex mother mum mom mummy father dad daddy parents sister sisters brother
    brothers son sons daughter daughters child children kid kids baby grandma grandmother granny grandpa grandfather grandson granddaughter
    grandchildren aunt uncle cousin nephew niece stepmother stepfather stepson stepdaughter twin twins family
""".split()
ACQUAINTANCES = """
    boss manager colleague colleagues coworker team friend friends roommate flatmate neighbour neighbours neighbor neighbors landlord
    landlady teacher doctor dentist therapist trainer coach student students client assistant
""".split()
PETS = "dog dogs cat cats puppy kitten horse pony rabbit hamster parrot bird fish tortoise pet pets".split()
PEOPLE = frozenset([*RELATIVES, *ACQUAINTANCES])
_OWN = "|".join(
    [
        *PEOPLE,
        *PETS,
        *"flat house apartment garden car bike job company school birthday allergy diabetes wedding".split(),
    ]
)

NEGATION = re.compile(
    r"\b(?:not|never|no|none|nobody|nothing|neither|nor|without|cannot|hardly)\b|n['’]t\b|\b(?:dont|doesnt|didnt|isnt|cant|wont)\b",
    re.IGNORECASE,
)
ENDING = re.compile(
    r"\b(?:any ?more|any longer|no longer|used to|not now|instead "
    r"of|instead|formerly|ex-\w+|switched|replaced|swapped|changed|moved"
    r"|quit|stopped|gave up|given "
    r"up|left|lost|sold|cancelled|canceled|ended|finished|retired|resigned|fired|divorced|separated|broke up"
    r"|split up|died|dead|passed away|put down|now|these "
    r"days|actually|wrong|correction|sorry|rather|turned|got rid)\b",
    re.IGNORECASE,
)
"""Said when something stopped being so. Alone it proves nothing: it must meet a known fact about the same
thing."""

_SENTENCE_END = re.compile(r"(?<=[.!?;…])\s+|\n+")
_CLAUSE_END = re.compile(
    r"(?<=,)\s+|(?<=[:–—])\s+|\s+(?=(?:but|because|although|though|however|while|so|as for)\s)"
    r"|\s+(?=and (?:i|i'm|i’m|we|he|she|they|my|our|it|it's)\b)",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"^(?:(?:and|but|so|well|oh|ok|okay|sorry|hey|please)[, ]+)*"
    r"(?:(?:what|what's|where|where's|when|when's|who|who's|whose|why|how|how's|which)(?! "
    r"(?:i|i'm|i’m|we|my|our|he|she|they|you)\b)"
    r"|(?:can|could|would|will|do|did|does|are|were|is|was|have|has|should|shall|may|might|am)(?:n't)? "
    r"(?:you|i|we|it|he|she|they|there|that|this|the|my|your|anyone|someone))\b",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"^(?:(?:and|but|so|then|well|oh|ok|okay|sorry|hey|now|please|just|also)[, ]+)*"
    r"(?:set|book|remind|tell|play|turn|stop|show|find|give|send|order|cancel|add|open|read|search|check|look|start|wait|repeat|say|schedule"
    r"|sing|help|let me|let's|forget|delete|erase|ignore|disregard|put|get "
    r"me|bring|explain|translate|count|wake|call(?! me)"
    r"|i'd like (?:to|you)|i want you to|i need you to)\b",
    re.IGNORECASE,
)
_NOTE_THIS = re.compile(
    r"^(?:please |and |so )*(?:remember|note|save|write down|keep in mind)(?: down)?,?(?: that)? (?=\S)",
    re.IGNORECASE,
)
_OBEY = re.compile(
    r"(?:^|[,.;:] |\bplease |\band |\bthen )(?:ignore|disregard|forget|override)\b.{0,20}"
    r"\b(?:your|all|any|previous|prior|the|these|my|about)\b",
    re.IGNORECASE,
)
_GUESS = re.compile(
    r"\b(?:maybe|perhaps|i wish|might|possibly|suppose|imagine|i guess|not sure|no idea|kidding|joking)\b",
    re.IGNORECASE,
)
_HYPOTHESIS = re.compile(
    r"^(?:and |but |so |well,? )*(?:if|suppose|imagine|say|unless|what if)\b"
    r"|\bif (?:i|we|he|she|they|it)\b.*\b(?:would|could|might|\w+'d)\b"
    r"|\b(?:would|could|\w+'d)\b.*\bif (?:i|we|he|she|they|it)\b",
    re.IGNORECASE,
)
_HEARSAY = re.compile(
    r"\bi(?:'ve| have)? (?:read|heard|saw|learned|learnt|watched)\b.{0,30}\b(?:that|about|how)\b",
    re.IGNORECASE,
)
_INCIDENTAL = re.compile(rf"\b(?:my|our)(?: \w+)? (?:{_OWN})\b", re.IGNORECASE)
_STATES = re.compile(
    r"^(?:(?:and|but|so|because|well|yes|no)[, ]+)*(?:i|i'm|i’m|i've|i’ve|i'll|we|we're|we've|my|our)\b(?! "
    r"(?:want|need) you)",
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    """The sentences of a turn."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def clauses(sentence: str) -> list[str]:
    """A sentence in parts that can be affirmed or denied apart: "he's called Brisket", "not Biscuit"."""
    return [part.strip() for part in _CLAUSE_END.split(sentence) if part.strip()]


def stated(text: str) -> str:
    """The part of a caller's turn that says how things are; empty when it only asks, orders, guesses or
    greets."""
    kept = [_stated_part(sentence) for sentence in sentences(text)]
    return " ".join(part for part in kept if part and not is_small_talk(part))


def _stated_part(sentence: str) -> str:
    hearsay = _HEARSAY.search(sentence) and not _INCIDENTAL.search(sentence)
    if hearsay or _OBEY.search(sentence) or _HYPOTHESIS.search(sentence):
        return ""
    noted = _NOTE_THIS.sub("", sentence)
    asks = sentence.endswith("?") or _QUESTION.match(noted) is not None
    if asks or _REQUEST.match(noted):
        return " ".join(part for part in clauses(noted) if _states_by_the_way(part))
    return " ".join(part for part in clauses(noted) if not _GUESS.search(part))


def _states_by_the_way(clause: str) -> bool:
    """ "My flat in Hackney …, can you find a plumber?": a request that tells something too."""
    return _INCIDENTAL.search(clause) is not None or (
        _STATES.match(clause) is not None and not clause.endswith("?")
    )
