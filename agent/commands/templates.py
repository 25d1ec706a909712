"""Sentences of the language files, as templates, made into patterns of whole sentences.

In a template `(a|b)` is one of them, `[a]` may be there, `{name}` is one of the list of that name in the same
table, `{what}` is what somebody names, `{mine}` something that a person has, `{said}` whatever follows,
`{memory}` that the sentence says "from your memory", wherever it does, and a comma a pause. A pause may
follow any word, the end of a sentence only a whole template: "forget that. I meant Tuesday" names nothing.
Both sides are canonical words, so neither case, accents, punctuation nor, where a script has
none, spaces count.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from echoic.memory.text.canonical import Joined, stem, tokens, undotted
from echoic.memory.text.language import fold, languages
from echoic.memory.text.words import ASKED_AT_ONCE

Table = Mapping[str, Sequence[str]]
WISHES = (
    *("nothing", "what_do_you_know", "forget_that", "dont_remember_this", "stop_remembering"),
    *("remember_again", "forget_everything", "forget_named", "delete_named"),
)
"""In the order in which they are tried."""
FORGETTING = ("forget", "wipe")
"""Lists of words for deleting."""
KEEPING = ("keep_imperative", "keep_infinitive")
"""Lists of words for keeping something in memory."""
ACTS = {
    "may_forget": FORGETTING,
    "may_remember": (
        *KEEPING,
        "keep",
        "keeping",
        "keep_past",
        "keep_you",
        "keep_can",
        "keep_noun",
        "keep_words",
    ),
}
"""By what the agent asks, the lists of words for what it would do."""
LONGEST_WORDS = 40
"""Whoever says more speaks of something else."""
READ_CHARS = 1_000
"""Of what somebody says; a pasted text of 100,000 would cost 50 ms of its reply."""
LEAST_WORDS = 2
"""Of a wish that names no deleting: "off the record"; a bare "ok" is none."""
MOST_AROUND = 6
"""Greetings, thanks and other politeness on either side of a wish."""
_PAUSE = re.compile(r"([,;:.!?…–—]+(?=\s|$)|[，、；：。！？؟؛،।]+)")
_ENDS = frozenset(".!?…。！？؟।")
_PARTS = re.compile(r"[()\[\]|,]|\{\w+\}|[^()\[\]|{},]+")
_NAME = re.compile(r"\{\w+\}")
_WORD = re.compile(r"[^ ,.-]+")
_MARKS = {"(": "(?:", ")": ")", "[": "(?:", "]": ")?", "|": "|", ",": " [,.]"}
_SLOTS = {"what": "((?: [^ ,.*]+){1,10}?)(?: ,)?", "said": "(.+)", "memory": r"(?=.* \*$)"}
_CAUGHT = ("mine",)
_OF_MEMORY = " *"
"""Ends a sentence that says "from your memory"."""


@lru_cache(ASKED_AT_ONCE)  # a reply's plan looks twice
def canonical(text: str) -> str:
    """Each word after a space, or a hyphen where it is written together with the one before it; each pause as
    a comma, or a full stop where a sentence ends."""
    read = ""
    for part in _PAUSE.split(undotted(text[:READ_CHARS])):
        if words := tokens(part):
            read += " " + "".join(map(_before_next, words)).rstrip()
        elif part.strip() and read and read[-1] not in ",.":
            read += " ." if _ENDS.intersection(part) else " ,"
    return read.rstrip(" ,.")


@lru_cache(ASKED_AT_ONCE)  # every language looks at them
def words_of(sentence: str) -> tuple[str, ...]:
    """The words of a canonical sentence, without its pauses."""
    return tuple(word for word in sentence.replace("-", " ").split() if word not in ",.")


def _before_next(word: str) -> str:
    return f"{word}-" if isinstance(word, Joined) else f"{word} "


def may_wish(sentence: str) -> list[str]:
    """The languages whose words allow for a wish: a pattern takes 0.1 s to make, once in a process, and who
    never speaks a language does not wait for its."""
    said, deleting = words_of(sentence), stands_in(sentence, (*FORGETTING, "nothing"))
    known = [_languages_of(()).get(word, frozenset()) for word in said]
    whole = frozenset[str]().union(*known[:1]).intersection(*known) if len(said) >= LEAST_WORDS else ()
    return [code for code in languages() if code in deleting or code in whole]


def wish_in(sentence: str, code: str) -> re.Match[str] | None:
    """The wish that a sentence is in this language; "from your memory" may stand anywhere in it."""
    rest, count = _anywhere(("memory",), code).subn("", f"{sentence} ")
    ways = (f"{rest.rstrip()}{_OF_MEMORY}", sentence) if count else (sentence,)
    found = (sentences_of(code).fullmatch(way) for way in ways)
    return next((match for match in found if match), None)


def is_had(what: str, code: str) -> bool:
    """Whether this is something that a person has, as the language's file lists it: "e mail"."""
    return re.fullmatch(one_of("mine", languages()[code].wishes), f" {what}") is not None


@cache
def sentences_of(code: str) -> re.Pattern[str]:
    """All wishes of one language; the group that is named tells which wish it is, the one that is not its
    slot."""
    table = languages()[code].wishes
    wishes = "|".join(f"(?P<{wish}>{one_of(wish, table)})" for wish in WISHES if table.get(wish))
    around = [f"(?:{one_of(side, table)}){{0,{MOST_AROUND}}}" for side in ("before", "after")]
    return re.compile(rf"{around[0]}(?:{wishes}){around[1]}(?: \*)?")


@cache
def answers_of(code: str, which: str) -> re.Pattern[str]:
    """A plain yes (`agree`) or no (`refuse`), as an answer begins with it, up to its pause or its end."""
    language = languages()[code]
    plain = language.yes if which == "agree" else language.no
    table = {**language.wishes, which: [*map(" ".join, plain), *language.wishes.get(which, ())]}
    breaks = "|".join(re.escape(canonical(" ".join(phrase))) for phrase in language.breaks)
    said, polite = one_of(which, table), one_of("after", table)
    return re.compile(f"(?:{said})(?:{said}|{polite}){{0,4}}(?: [,.]|(?=(?:{breaks or '$'})(?: |$))|$)")


def acts_in(sentence: str, code: str) -> set[str]:
    """Which of `ACTS` the first words of a canonical sentence name in this language, in any form; not to keep
    something is to forget it."""
    forms, language = _forms(code), languages()[code]
    said = " ".join(sentence.split(" ")[:LONGEST_WORDS])
    said = _WORD.sub(lambda one: forms.get(one[0]) or forms.get(stem(one[0], language), one[0]), said)
    found = set()
    for act, names in ACTS.items():
        if not _words(names, code).isdisjoint(words_of(said)):
            said, count = _anywhere(names, code).subn("", f"{said} ")
            found |= {act} if count else set()
    return found


@cache
def _forms(code: str) -> dict[str, str]:
    """The words of those lists, each by itself, and the shortest of a stem by that."""
    words = sorted(set().union(*(_words(names, code) for names in ACTS.values())), key=len, reverse=True)
    return {**{stem(word, languages()[code]): word for word in words}, **{word: word for word in words}}


def one_of(name: str, table: Table) -> str:
    """A pattern of all templates of one list."""
    return "|".join(_pattern(template, table) for template in table.get(name, ())) or "(?!)"


def stands_in(sentence: str, names: tuple[str, ...]) -> list[str]:
    """The languages in which words of one of these lists stand anywhere in a canonical sentence.

    Looks first whose words are said: fifteen languages' patterns took 0.3 ms a reply.
    """
    known = _languages_of(names)
    said = {code for word in words_of(sentence) for code in known.get(word, ())}
    return [code for code in languages() if code in said and _anywhere(names, code).search(f"{sentence} ")]


@cache
def _languages_of(names: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
    """By each word of these lists, or of all."""
    found = defaultdict(set)
    for code, language in languages().items():
        for word in _words(names or tuple(language.wishes), code):
            found[word].add(code)
    return {word: frozenset(codes) for word, codes in found.items()}


@cache
def _words(names: tuple[str, ...], code: str) -> frozenset[str]:
    """Every word of some lists, and of the lists that they name."""
    templates = " ".join(one for name in names for one in languages()[code].wishes.get(name, ()))
    named = tuple(_NAME.findall(templates))
    within = _words(tuple(name[1:-1] for name in named), code) if named else frozenset()
    return within.union(tokens(_NAME.sub(" ", templates)))


@cache
def _anywhere(names: tuple[str, ...], code: str) -> re.Pattern[str]:
    table = languages()[code].wishes
    return re.compile(f"(?:{'|'.join(one_of(name, table) for name in names)})(?=[ -])")


def _pattern(template: str, table: Table) -> str:
    return "".join(_part(part, table) for part in _PARTS.findall(fold(template))) + r"(?: \.)?"


def _part(part: str, table: Table) -> str:
    if part in _MARKS:
        return _MARKS[part]
    if part.startswith("{"):
        name = part[1:-1]
        if name in _SLOTS:
            return _SLOTS[name]
        return f"({'' if name in _CAUGHT else '?:'}{one_of(name, table)})"
    return "".join(f"[ -]{re.escape(word)}(?: ,)?" for word in tokens(part))
