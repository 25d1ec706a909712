"""A portion of a conversation as claims are held against it: canonical words, clause by clause."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from itertools import accumulate
from typing import Any, TypeVar

from echoic.memory.text.canonical import numerals, place, same, sentences, squash, tokens
from echoic.memory.text.content import content
from echoic.memory.text.language import UNKNOWN, Language, language_of, languages, likelier, sure_language
from echoic.memory.types import Fact, Turn

QUOTED_SHARE = 0.8
"""Of a quote's words must stand in the turn: a model mends a stammer, or leaves out an "um"."""
FEW_WORDS = 6
MOST_PIECES = 4
"""In which a fact writes one word that was said: "07700 900 123"."""
Found = TypeVar("Found")
_QUESTION, _STOPS = re.compile(r"[?？؟]\s*$"), " .。!！"
NAME = re.compile(r"[^\s,.;:!?()\"“”]+")
"""A word as it is written."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A portion of a conversation as it is checked against."""

    turns: Sequence[Turn]
    language: Language = UNKNOWN
    known: Sequence[Fact] = ()
    foreign: Mapping[str, Language] = field(default_factory=dict)
    """Sentences of the caller's in another language than most of what they say."""
    otherwise: frozenset[str] = frozenset()
    """Names that were said in other words (`otherwise.py`)."""
    takes_paraphrases: bool = True
    """A fact may share no word with what was said: a capable model puts it in its own, a weak one invents."""
    _found: dict[tuple[Any, str, str], Any] = field(default_factory=dict)

    def once(self, look: Callable[[str, Language], Found], text: str) -> Found:
        """What is found in a text in this language, looked for once: each operation is held against the same
        turns."""
        key = (look, text, self.language.code)
        if key not in self._found:
            self._found[key] = look(text, self.language)
        found: Found = self._found[key]
        return found

    def in_language_of(self, fact: str, turns: Sequence[int]) -> "Spoken":
        """The same, in the language of the sentence that a fact rests on, where the fact is in it too:
        of "Ich esse kein Fleisch" in an English call, "kein" is what counts."""
        if not self.foreign:
            return self
        told = self.words(fact)
        said = [sentence for at in turns for sentence in sentences(self.turns[at].text)]
        shared = {sentence: len(places(told, self.words(sentence), self)) for sentence in said}
        most = max(shared, key=lambda sentence: shared[sentence], default="")
        if most not in self.foreign or not shared[most]:
            return self
        return replace(self, language=likelier(fact, self.foreign[most], self.language))

    def is_callers(self, at: int) -> bool:
        """Whether the caller said it."""
        return self.turns[at].role == "user"

    def words(self, text: str) -> list[str]:
        """Canonical words of a text in this language."""
        return self.once(tokens, text)

    def content(self, text: str) -> list[str]:
        """Those that say something of their own; all that are longer than an article where none does."""
        return self.once(content, text)

    def among(self, word: str, words: Iterable[str]) -> bool:
        """Whether a form of the word is there."""
        words = set(words)  # what a long turn says is there many times
        return word in words or any(same(word, one, self.language) for one in words)

    def heard(self) -> list[str]:
        """All that the caller said, and what is known."""
        said = [turn.text for turn in self.turns if turn.role == "user"]
        return self.said([*said, *(fact.text for fact in self.known)])

    def said(self, texts: Iterable[str]) -> list[str]:
        """The words of texts, with numbers as digits and as they are written, and those that need no number
        word."""
        texts, ways = list(texts), (self.words, tokens, self.numerals, self.amounts)
        return [word for way in ways for text in texts for word in way(text)]

    def amounts(self, text: str) -> list[str]:
        """Numbers that are said as "a dozen" or "half an hour", each between those words, so that no two of
        them are read as one; of "half a dozen" only the six, and the 1 of 1.5."""
        words = self.words(text)
        said = [
            (number.split(".")[0], phrase)
            for number, phrases in self.language.amounts.items()
            for phrase in (canonical(one, self.language) for one in phrases)
            if place(phrase, words) >= 0
        ]
        return [
            word
            for number, phrase in said
            if not any(len(other) > len(phrase) and other[-len(phrase) :] == phrase for _, other in said)
            for word in (*phrase, number, *phrase)
        ]

    def numerals(self, text: str) -> list[str]:
        """The words of a text with numbers in signs as digits; none where it has no such numbers."""
        found = self.once(numerals, text)
        return found if found != tokens(text) else []


def language_of_turns(turns: Sequence[Turn]) -> Language:
    """The language that the caller speaks; "No." alone tells none, so the agent's words then count too."""
    said = [turn.text for turn in turns if turn.role == "user"]
    is_short = sum(len(tokens(text)) for text in said) < FEW_WORDS
    return language_of([turn.text for turn in turns] if is_short else said)


def foreign_sentences(turns: Sequence[Turn], language: Language) -> dict[str, Language]:
    """Sentences of the caller's that are surely in another language.

    Of 928 of callers who speak one, two ("ah zut") are taken for another; 3 ms a sentence.
    """
    said = [sentence for turn in turns if turn.role == "user" for sentence in sentences(turn.text)]
    codes = {sentence: sure_language(sentence) for sentence in said if any(map(str.isalpha, sentence))}
    return {one: languages()[code] for one, code in codes.items() if code not in ("", language.code)}


def asked(spoken: Spoken, at: int) -> str:
    """The agent's question that this turn answers; empty if it answers none."""
    if at == 0 or spoken.turns[at - 1].role != "assistant" or not spoken.is_callers(at):
        return ""
    text = spoken.turns[at - 1].text
    return sentences(text)[-1] if is_question(text) else ""


def is_question(text: str) -> bool:
    """Whether what is said ends as a question: by its mark, or by the word that asks ("か。")."""
    if _QUESTION.search(text):
        return True
    return text.rstrip(_STOPS).endswith(_asking())


@cache
def _asking() -> tuple[str, ...]:
    return tuple(word for language in languages().values() for word in language.asks)


def holds(text: str, quote: Sequence[str], spoken: Spoken) -> bool:
    """Whether a quote stands in a text: as it is, or nearly all of it in its order."""
    said = spoken.words(text)
    if squash(quote) in squash(said):
        return True
    at, found = 0, 0
    for word in quote:
        where = place([word], said, at)
        if where >= 0:
            at, found = where + 1, found + 1
    return found >= 2 and found >= QUOTED_SHARE * len(quote)


def is_respaced(word: str, told: Sequence[str], said: Sequence[str]) -> bool:
    """Whether a word, or words of a fact with it, are what was said, spaced otherwise: "mc donald".

    Only of whole words: "Ines" stands in "mai nessuno", and 3 in 30, and neither was said.
    """
    text = squash(said)
    runs = (told[at : at + size] for size in range(1, MOST_PIECES + 1) for at in range(len(told) - size + 1))
    found = {run for pieces in runs if word in pieces and (run := squash(pieces)) in text}
    bounds = {0, *accumulate(map(len, said))} if found else set()
    return any(
        start in bounds and start + len(run) in bounds for run in found for start in _starts(run, text)
    )


def _starts(run: str, text: str) -> Iterator[int]:
    at = text.find(run)
    while at >= 0:
        yield at
        at = text.find(run, at + 1)


def best(told: Sequence[str], found: Sequence[Sequence[str]], spoken: Spoken) -> int:
    """Which clause shares most words with a fact; the later one among equals."""
    return max(range(len(found)), key=lambda at: (len(places(told, found[at], spoken)), at))


def places(words: Sequence[str], among: Sequence[str], spoken: Spoken) -> list[int]:
    """Where words of a fact stand in a clause, in the clause's order."""
    return [at for at, word in enumerate(among) if spoken.among(word, words)]


@lru_cache(maxsize=4_096)
def _canonical_of(phrase: tuple[str, ...], code: str) -> tuple[str, ...]:
    return tuple(tokens(" ".join(phrase), languages().get(code, UNKNOWN)))


def canonical(phrase: Sequence[str], language: Language) -> list[str]:
    """A phrase of a language file as the words of a turn are: "nur ein Scherz" has a 1; an ending ("-ين")
    stays one."""
    return list(phrase if phrase[0][0] == "-" else _canonical_of(tuple(phrase), language.code))


@lru_cache(maxsize=64)
def calendar_words(code: str) -> frozenset[str]:
    """Names of days and months, in canonical form."""
    language = languages().get(code, UNKNOWN)
    return frozenset(word for name in language.calendar for word in tokens(name))
