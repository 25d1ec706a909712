"""A model's answer from the case itself, in the form that the extractor asks a model for.

A case gives the turn and the text of each fact; a model also copies the words it rests on and says whose the
fact is. Where the case does not say (`about`, `said`, `when`), it is read off the fact and the turns, without
looking at whether the case is right or wrong.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from echoic.memory.text.canonical import clauses, has, same, sentences, tokens
from echoic.memory.text.dates.words import time_words_of
from echoic.memory.text.language import Language, language_of
from echoic.memory.types import CALLER, Fact, Turn
from echoic.workers.evidence.operations import Answer
from echoic.workers.evidence.reading import read_answer
from echoic.workers.evidence.spoken import Spoken
from echoic.workers.evidence.whose import about_in
from echoic.workers.learn.conversation import Portion
from evals.learning.cases import Case

DAYS_AWAY = 1200


class Replay:
    """A source of operations: what the case says that a model answered about these turns."""

    name = "replay"

    def __init__(self) -> None:
        self.case: Case | None = None

    async def operations(self, portion: Portion, known: Sequence[Fact]) -> Answer:
        """See `workers.learn.extractor.Source`."""
        assert self.case is not None
        answer = {"operations": [_placed(one, portion, known) for one in answer_of(self.case)]}
        answer["operations"] = [one for one in answer["operations"] if one is not None]
        return read_answer(answer, len(portion.turns), len(known))

    async def close(self) -> None:
        """Nothing is open."""


def answer_of(case: Case) -> list[dict[str, Any]]:
    """The operations of a case, with places of turns in the call and texts of known facts."""
    facts, ends = case.model.get("facts", []), case.model.get("ends", [])
    said = [turn["text"] for turn in case.turns if turn["role"] == "user"]
    language = language_of([*said, *case.known, *(fact["text"] for fact in facts)])
    replaced = {end["by"]: end["known"] for end in ends if end.get("by") is not None}
    found = []
    for number, fact in enumerate(facts):
        turn = case.turns[fact["turn"]]
        known = replaced.get(number)
        found.append(
            {
                "turn": fact["turn"],
                "quote": quote_of(fact["text"], turn["text"], language),
                "about": fact.get("about") or about_of(fact, case, language),
                "said": fact.get("said", "stated"),
                "op": "add" if known is None else "replace",
                "known": None if known is None else case.known[known],
                "fact": fact["text"],
                "topic": fact.get("topic", "person"),
                "weight": fact.get("weight", 5),
                "when": fact.get("when") or when_of(fact["text"], turn, language),
            }
        )
    for end in (end for end in ends if end.get("by") is None):
        text, turn = case.known[end["known"]], case.turns[end["turn"]]
        op = {"turn": end["turn"], "quote": quote_of(text, turn["text"], language), "op": "end"}
        found.append(op | {"about": about_of({"text": text}, case, language), "known": text, "fact": ""})
    return found


def quote_of(fact: str, text: str, language: Language) -> str:
    """The sentence of a turn that shares most words with a fact; all of it where none does."""
    told = tokens(fact, language)
    shared = {
        part: sum(_among(word, tokens(part, language), language) for word in told) for part in sentences(text)
    }
    best = max(shared, key=lambda part: shared[part], default="")
    return best if shared.get(best) else text


def about_of(fact: Mapping[str, Any], case: Case, language: Language) -> Any:
    """Whose a fact is: of somebody whom it begins with and the caller spoke of; else the caller's."""
    if fact.get("topic") == "promises" and case.turns[fact["turn"]]["role"] == "assistant":
        return {"role": "agent", "name": ""}
    spoken = Spoken((), language)
    found = about_in(fact["text"], spoken)
    if found != CALLER:
        return {"role": found.role, "name": found.name}
    first = fact["text"].split()[:1]
    said = [turn["text"] for turn in case.turns if turn["role"] == "user"]
    if first and first[0][:1].isupper() and any(_is_name(first[0], text, language) for text in said):
        return {"role": "", "name": first[0]}
    return "caller"


def when_of(fact: str, turn: Mapping[str, Any], language: Language) -> dict[str, str] | None:
    """The day near the turn whose numbers or month stand in the fact and not in the turn, if the fact names a
    date."""
    told, said = tokens(fact, language), tokens(turn["text"], language)
    new = {word for word in told if word.isdigit() and word not in said}
    calendar = {word for name in language.calendar for word in tokens(name)}
    time = time_words_of(language.code)
    is_dated = calendar & set(told) or any(time.find("month", time.words(fact)))
    today = date.fromisoformat(turn["said_at"][:10])
    days = [today + timedelta(days=number) for number in range(-DAYS_AWAY, DAYS_AWAY + 1)]
    months = {time.value(one, "month") for one in time.find("month", time.words(fact))}
    if not new:
        near = [day for day in days if day.month in months and day.day == 1]
        best = min(near, key=lambda day: abs(day - today), default=None)
        if best is None:
            return None
        return {"words": turn["text"], "from": best.isoformat(), "precision": "month"}
    if not (is_dated or any(len(word) == 4 for word in new)):
        return None
    named = {
        (time.value(one, "day"), time.value(one, "month")) for one in time.find("date", time.words(fact))
    }
    days = [day for day in days if not months or day.month in months]
    days = [day for day in days if (day.day, day.month) in named] or days
    found = max(days, key=lambda day: (len(new & _numbers(day)), -abs((day - today).days)))
    precision = "month" if months and not named else "day"
    return {"words": turn["text"], "from": found.isoformat(), "until": "", "precision": precision}


def _numbers(day: date) -> set[str]:
    return {str(day.day), str(day.month), str(day.year)}


def _is_name(word: str, text: str, language: Language) -> bool:
    """ "Oscar is allergic": a turn writes it with a capital, at the head of a clause without "I"."""
    if language.capital_nouns or language.drops_subject or word not in text.replace("'", " ").split():
        return False
    own = [clause for clause in clauses(text, language) if clause[:1] == tokens(word)[:1]]
    return bool(own) and not has(language.self, own[0])


def _among(word: str, words: Sequence[str], language: Language) -> bool:
    return len(word) > 1 and any(same(word, one, language) for one in words)


def _placed(operation: Mapping[str, Any], portion: Portion, known: Sequence[Fact]) -> dict[str, Any] | None:
    """With the places that this portion and these known facts give it; None if it is of another portion."""
    turns: list[Turn] = list(portion.turns)
    at = next((place for place, turn in enumerate(turns) if turn.position == operation["turn"]), None)
    if at is None or at < portion.new:
        return None
    texts = [fact.text for fact in known]
    place = texts.index(operation["known"]) + 1 if operation["known"] in texts else 0
    return {**operation, "turns": [at + 1], "known": place}
