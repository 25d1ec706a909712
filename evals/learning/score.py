"""What came of a case, counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Any

from echoic.memory.types import Fact
from evals.learning.cases import Case, Words

SAME = 0.75
"""How much of two texts must be equal for them to say the same in other words."""
MOST_CHARS = 200
"""A longer fact satisfies no list."""


@dataclass(slots=True)
class Score:
    """Counts over the cases so far."""

    facts: int = 0
    """Live new facts."""
    right: int = 0
    unjudged: int = 0
    """... of which the case says neither that they are right nor that they are wrong."""
    lists: int = 0
    found: int = 0
    never: int = 0
    """`never` lists."""
    broken: int = 0
    """... of which some live new fact holds all words."""
    to_close: int = 0
    closed: int = 0
    wrongly_closed: int = 0
    keep: int = 0
    kept: int = 0
    survive: int = 0
    """`learn` and `close` lists of cases whose model answered rightly."""
    survived: int = 0
    refuse: int = 0
    """Cases whose model made a mistake."""
    refused: int = 0
    """... of which nothing came."""
    failed: int = 0
    """Batches that ended dead, or wait to be tried again."""
    seconds: float = 0.0
    tokens: int = 0

    def add(self, other: "Score") -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def score_case(case: Case, before: Sequence[Fact], after: Sequence[Fact]) -> tuple[Score, list[str]]:
    """Counts of one case, and sentences on what was wrong. `after`: all facts, closed ones too."""
    now, known_ids = datetime.now(UTC), {fact.fact_id for fact in before}
    live = {fact.fact_id: fact for fact in after if fact.valid_until is None or fact.valid_until > now}
    score, wrong = Score(lists=len(case.learn), never=len(case.never), keep=len(case.keep)), []
    new = [fact for fact in live.values() if fact.fact_id not in known_ids]
    unmet = _unmet(case.learn, [fact.text for fact in live.values()])
    score.found = len(case.learn) - len(unmet)
    score.broken = sum(any(holds(fact.text, words) for fact in new) for words in case.never)
    for fact in new:
        bad = any(holds(fact.text, words) for words in case.never)
        right = not bad and any(holds(fact.text, words) for words in case.learn)
        score.facts, score.right = score.facts + 1, score.right + right
        score.unjudged += not (bad or right) and _is_unjudged(case, fact.text)
        wrong += [] if right else [f"{'must never' if bad else 'should not'} be learned: {fact.text}"]
    for fact in before:
        should, closed = any(holds(fact.text, words) for words in case.close), fact.fact_id not in live
        score.to_close, score.closed = score.to_close + should, score.closed + (should and closed)
        score.wrongly_closed += closed and not should
        if should != closed:
            wrong.append(f"{'wrongly' if closed else 'not'} ended: {fact.text}")
    stayed = [fact.text for fact in before if fact.fact_id in live]
    score.kept = sum(any(holds(text, words) for text in stayed) for words in case.keep)
    if case.kind == "right":
        score.survive, score.survived = len(case.learn) + score.to_close, score.found + score.closed
    else:
        score.refuse, score.refused = 1, int(not score.broken and score.kept == score.keep)
    return score, wrong + [f"missed: {' + '.join(words)}" for words in unmet]


def figures(score: Score, cases: int, model: str, *, replayed: bool) -> dict[str, Any]:
    """The shares that are reported, HaluMem's four (arXiv 2511.03506) by their names."""
    ending = score.to_close + score.wrongly_closed
    found = {
        "model": model,
        "cases": cases,
        "precision": share(score.right, score.facts),
        "precision_judged": share(score.right, score.facts - score.unjudged),
        "recall": share(score.found, score.lists),
        "closed_right": share(score.closed, ending),
        "wrongly_closed": score.wrongly_closed,
        "extraction_recall": share(score.found, score.lists),
        "extraction_accuracy": share(score.right, score.facts),
        "update_correctness": share(score.closed, score.to_close),
        "false_memory_resistance": share(score.never - score.broken, score.never),
        "seconds_per_case": round(score.seconds / max(cases, 1), 2),
        "tokens_per_case": round(score.tokens / max(cases, 1)),
        "failed": score.failed,
        "kept": share(score.kept, score.keep),
    }
    if replayed:
        found |= {
            "survived": share(score.survived, score.survive),
            "refused": share(score.refused, score.refuse),
        }
    return found


def share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 1.0


def holds(text: str, words: Words) -> bool:
    """Whether a text holds all of these, in any case."""
    return len(text) <= MOST_CHARS and all(word.casefold() in text.casefold() for word in words)


def _is_unjudged(case: Case, text: str) -> bool:
    """A mistake's case names mistakes alone; others leave out of `learn` what a good model may leave out."""
    answers = [fact["text"].casefold() for fact in case.model.get("facts", ())]
    return case.kind == "wrong" or any(
        SequenceMatcher(None, text.casefold(), answer).ratio() > SAME for answer in answers
    )


def _unmet(lists: Sequence[Words], texts: Sequence[str]) -> list[Words]:
    """The lists left over when as many as possible get a text of their own (augmenting paths)."""
    taken: dict[int, int] = {}

    def place(number: int, tried: set[int]) -> bool:
        for at, text in enumerate(texts):
            if at not in tried and holds(text, lists[number]):
                tried.add(at)
                if at not in taken or place(taken[at], tried):
                    taken[at] = number
                    return True
        return False

    return [words for number, words in enumerate(lists) if not place(number, set())]
