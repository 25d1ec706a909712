"""Who and what a fact names: "Sister Ana works at Nokia" names Ana, who is a sister, and Nokia.

Plain rules on capital letters and words for people and pets: no model, and the same answer each time. English
for the words; names are found in every language that writes them with a capital.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from echoic.memory.text.words import normalise
from echoic.workers.extractors.speech import PEOPLE, PETS

MOST_NAMES = 4
"""A fact that names more is a list; the rest of it is found by its words."""
MOST_CHARS = 60
_TOKEN = re.compile(r"[^\W_](?:[\w&]|['’.-](?=\w))*")
_POSSESSIVE = re.compile(r"['’]s$|(?<=s)['’]$")
_WITHIN = frozenset("of de da do dos del della di du la le van von der den bin al".split())
"""Small words inside a name: "University of Leeds"."""
_TITLES = frozenset(
    "dr mr mrs ms miss sir st prof professor doctor aunt uncle grandma grandpa granny".split()
)
_CALENDAR = frozenset(
    "january february march april may june july august september october november december "
    "monday tuesday wednesday thursday friday saturday sunday i i'm i’m i've i’ve ok".split()
)
_VERBS = frozenset(
    """
    is are was were be been has have had does did do can can't cannot could will won't would should may might
    must isn't aren't wasn't doesn't don't didn't hasn't haven't went goes got gets came comes met saw bought
    sold lost left took gave told said found fell won ran grew knew kept made paid put read sent spent taught
    thought wore wrote began broke built chose drove ate flew forgot hurt drinks
    """.split()
)
_STARTS = frozenset(
    "the a an and but no not never once every each all some "
    "since in on at for with from to by as if when while also".split()
)
_NAMING = re.compile(r"\b(?:is|was|are)? ?(?:called|named)\b|\bname is\b", re.IGNORECASE)
_OWN_ROLE = re.compile(r"\b(?:is|was|be|being|became|become|as)\s+(?:an?|the)\s+$", re.IGNORECASE)
"""Before what somebody is, and not whom they have: "Is a dentist"."""
_PLACE = re.compile(
    r"\b(?:in|near|visit(?:s|ed)?"
    r"|(?:move[sd]?|go(?:es)?|went|fl(?:y|ies|ew)|travel(?:s|led)?|drives?|drove|back|trip) to)\W+(?:the )?$",
    re.IGNORECASE,
)
_EMPLOYER = re.compile(
    r"\b(?:work(?:s|ed)?|job|career|employed|engineer|manager) (?:at|for)\W+(?:the )?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Named:
    """One person or thing that a fact names."""

    name: str
    """As it is written; for somebody without one, what they are: "sister"."""
    role: str = ""
    """What they are, if the fact says so: "sister"."""
    label: str = ""
    """`Person`, `Pet`, `Place` or `Organisation`, where the words say so."""
    first: bool = False
    """The fact begins with it: it is what the fact is about."""

    @property
    def key(self) -> str:
        return normalise(self.name)

    @property
    def is_role(self) -> bool:
        """Somebody whose name this fact does not say."""
        return bool(self.role) and self.key == normalise(self.role)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int

    @property
    def bare(self) -> str:
        return _POSSESSIVE.sub("", self.text)

    @property
    def low(self) -> str:
        return self.bare.lower()

    @property
    def owns(self) -> bool:
        return self.bare != self.text


def named_in(text: str, known: frozenset[str] = frozenset()) -> list[Named]:
    """What a fact names, in order, each once; at most four.

    Args:
        known: names that other facts write in the middle, in lower case: they tell the name "Max" at the
            start from a verb.
    """
    tokens = [_Token(match[0], match.start(), match.end()) for match in _TOKEN.finditer(text)]
    found: dict[str, Named] = {}
    role, owner, at = "", "", 0
    while at < len(tokens):
        token = tokens[at]
        if (token.low in PEOPLE or token.low in PETS) and not _OWN_ROLE.search(text[: token.start]):
            role = f"{owner}'s {token.low}" if owner else token.low
            naming = _name_after(text, tokens, at)
            if naming is not None:
                begin, end = naming
                _add(found, Named(_text(text, tokens, begin, end), role, _label_of(token.low), at == 0))
                at = end
            else:
                _add(found, Named(role, role, _label_of(token.low), at == 0))
                at += 1
            owner = role if token.owns else ""
            continue
        if _is_name(tokens, at, known):
            end = _name_end(text, tokens, at)
            name = _text(text, tokens, at, end)
            _add(found, Named(name, "", _place_or_employer(text[: token.start]), at == 0))
            owner = name if tokens[end - 1].owns else ""
            at = end
            continue
        owner = ""
        at += 1
    return list(found.values())[:MOST_NAMES]


def middle_names(texts: Iterable[str]) -> frozenset[str]:
    """Names that stand in the middle of some fact, in lower case."""
    found: set[str] = set()
    for text in texts:
        found.update(
            token.bare.lower() for token in map(_of, list(_TOKEN.finditer(text))[1:]) if _capital(token.bare)
        )
    return frozenset(found - _CALENDAR)


def names_of_roles(facts: Iterable[Sequence[Named]]) -> Mapping[str, str]:
    """Which name a role has, where all facts agree: "sister" is Ana unless there are two sisters."""
    names: dict[str, set[str]] = {}
    for named in facts:
        for one in named:
            if one.role and not one.is_role:
                names.setdefault(normalise(one.role), set()).add(one.name)
    return {
        role: min(found) for role, found in names.items() if len({normalise(name) for name in found}) == 1
    }


def full_names(facts: Iterable[Sequence[Named]]) -> Mapping[str, str]:
    """Which whole name a first name belongs to, where only one begins so: "Ana" is Ana Silva."""
    begins: dict[str, set[str]] = {}
    for one in (one for named in facts for one in named if not one.is_role):
        words = one.key.split()
        if len(words) > 1:
            begins.setdefault(words[0], set()).add(one.name)
    return {
        first: min(names) for first, names in begins.items() if len({normalise(name) for name in names}) == 1
    }


def _of(match: re.Match[str]) -> _Token:
    return _Token(match[0], match.start(), match.end())


def _add(found: dict[str, Named], one: Named) -> None:
    if one.key and len(one.name) <= MOST_CHARS:
        found.setdefault(one.key, one)


def _name_after(text: str, tokens: Sequence[_Token], at: int) -> tuple[int, int] | None:
    """The name right behind a role ("sister Ana"), or behind "is called", as places of tokens."""
    if tokens[at].owns and not text[tokens[at].end :].lstrip().lower().startswith("name is"):
        return None
    begin = at + 1
    naming = _NAMING.match(text, tokens[at].end + 1)
    if naming is not None:
        while begin < len(tokens) and tokens[begin].start < naming.end():
            begin += 1
    elif begin < len(tokens) and text[tokens[at].end : tokens[begin].start].strip():
        return None
    if begin < len(tokens) and _capital(tokens[begin].bare) and tokens[begin].low not in _CALENDAR:
        return begin, _name_end(text, tokens, begin)
    return None


def _is_name(tokens: Sequence[_Token], at: int, known: frozenset[str]) -> bool:
    token = tokens[at]
    if not _capital(token.bare) or token.low in _CALENDAR:
        return False
    if at:
        return True
    following = tokens[1] if len(tokens) > 1 else None
    if token.low in _VERBS or token.low in _STARTS:
        return False
    if token.low in known or token.owns or token.low in _TITLES:
        return True
    if following is None:
        return False
    if following.low in _VERBS:
        return True
    # "Lives in", "Moved to": facts begin with what the caller does
    if token.low.endswith(("s", "ed", "ing")):
        return False
    return (
        following.low.endswith(("s", "ed")) and not _capital(following.bare) and following.low not in _STARTS
    )


def _name_end(text: str, tokens: Sequence[_Token], begin: int) -> int:
    """Past the last token of a name; "of" and "de" may stand inside, a dot behind a title."""
    end = begin + 1
    while end < len(tokens) and not tokens[end - 1].owns:
        gap = text[tokens[end - 1].end : tokens[end].start].strip()
        if gap and not (gap == "." and tokens[end - 1].low in _TITLES):
            break
        inside = tokens[end].low in _WITHIN and end + 1 < len(tokens) and _capital(tokens[end + 1].bare)
        if not inside and (not _capital(tokens[end].bare) or tokens[end].low in _CALENDAR):
            break
        end += 2 if inside else 1
    return end


def _text(text: str, tokens: Sequence[_Token], begin: int, end: int) -> str:
    return _POSSESSIVE.sub("", text[tokens[begin].start : tokens[end - 1].end])


def _capital(word: str) -> bool:
    return word[:1].isupper()


def _label_of(role: str) -> str:
    return "Pet" if role in PETS else "Person"


def _place_or_employer(before: str) -> str:
    if _EMPLOYER.search(before):
        return "Organisation"
    return "Place" if _PLACE.search(before) else ""
