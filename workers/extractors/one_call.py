"""The default extractor: one structured call for a portion of turns, then the guards."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from echoic.memory.errors import ModelAnswerInvalid
from echoic.memory.types import Fact, Scope, Turn
from echoic.workers.chat_model import AnswerTooLong, ChatModel
from echoic.workers.extractors.base import Closing, Extraction, LearnedFact
from echoic.workers.extractors.closings import closings
from echoic.workers.extractors.dates import validity
from echoic.workers.extractors.guards import Draft, checked, content, denies, is_known, tidy
from echoic.workers.extractors.lines import Line, lines_of, portions
from echoic.workers.extractors.prompt import TOPICS, messages, schema
from echoic.workers.extractors.speech import ENDING

_CONFIDED = re.compile(
    r"\b(?:between (?:you and me|us|ourselves)|don['’]t tell (?:anyone|anybody|the other|others)"
    r"|keep (?:it|this) (?:to yourself|secret))\b",
    re.IGNORECASE,
)


RECENT_FACTS = 12
"""New facts of earlier portions that the next portion is shown beside the known ones."""


class OneCallExtractor:
    """Asks the model once for the facts, their topics and what they end; small models are why the guards are
    strict."""

    name = "echoic"

    def __init__(self, model: ChatModel, zone: ZoneInfo) -> None:
        self._model, self._zone = model, zone

    async def extract(self, turns: Sequence[Turn], known: Sequence[Fact]) -> Extraction:
        """See `Extractor`. Turns that state nothing (questions, requests, guesses) cost no call."""
        new: dict[UUID, LearnedFact] = {}
        ends: dict[UUID, Closing] = {}
        recent: list[Fact] = []
        for portion in portions(lines_of(turns, self._zone)):
            learned, ended = await self._portion(portion, [*known, *recent[-RECENT_FACTS:]])
            for closing in ended:
                # told and taken back in the same batch: it becomes history at once
                if closing.fact_id in new:
                    new[closing.fact_id] = replace(new[closing.fact_id], valid_until=closing.closed_at)
                else:
                    ends[closing.fact_id] = closing
            facts = [_as_known(fact, portion[0].turn) for fact in learned]
            recent += facts
            new |= {fact.fact_id: one for fact, one in zip(facts, learned, strict=True)}
        return Extraction(tuple(new.values()), tuple(ends.values()))

    async def close(self) -> None:
        await self._model.close()

    async def _portion(
        self, lines: Sequence[Line], known: Sequence[Fact]
    ) -> tuple[list[LearnedFact], list[Closing]]:
        try:
            answer = await self._model.ask(
                messages(lines, known, self._zone), "facts", schema(len(lines), len(known))
            )
        except AnswerTooLong:
            if len(lines) == 1:
                raise
            halves = [
                await self._portion(half, known)
                for half in (lines[: len(lines) // 2], lines[len(lines) // 2 :])
            ]
            return halves[0][0] + halves[1][0], halves[0][1] + halves[1][1]
        drafts, ended = read_answer(answer, len(lines))
        if bare := without_what_was_copied(drafts, lines, known):
            answer = await self._model.ask(messages(bare, [], self._zone), "facts", schema(len(lines), 0))
            drafts, _ = read_answer(answer, len(lines))
        return learned_from(drafts, ended, lines, known)


def without_what_was_copied(
    drafts: Sequence[Draft], lines: Sequence[Line], known: Sequence[Fact]
) -> list[Line]:
    """The lines to ask a small model again, when it copied known facts, or only the agent's words, instead of
    reading the caller's.

    Asked without known facts, and in the second case without the agent, it does better; strong models do not
    come here.
    """
    if any(is_known(tidy(draft.text), known) for draft in drafts):
        return list(lines)
    if drafts and any(line.before for line in lines) and not checked(drafts, lines, known):
        return [replace(line, before="") for line in lines]
    return []


def learned_from(
    drafts: Sequence[Draft], ended: Sequence[int], lines: Sequence[Line], known: Sequence[Fact]
) -> tuple[list[LearnedFact], list[Closing]]:
    """Guarded facts, and the known ones that end.

    A fact that only denies what ended is dropped when another says what is so now.
    """
    passed = checked(drafts, lines, known)
    ends = closings(ended, passed, lines, known)
    over = [fact for fact in known if fact.fact_id in {one.fact_id for one in ends}]
    merely = [draft for draft in passed if any(_only_ends(draft.text, fact) for fact in over)]
    says_more = {draft.line for draft in passed if draft not in merely}
    passed = [draft for draft in passed if draft not in merely or draft.line not in says_more]
    return [_learned(draft, lines[draft.line]) for draft in passed], ends


def _only_ends(text: str, over: Fact) -> bool:
    """ "Left the bank" beside "Works at a bank": says no more than that the known fact is over."""
    ends = denies(text) or ENDING.search(text) is not None
    return ends and content(ENDING.sub("", text)) <= content(over.text)


def read_answer(answer: dict[str, Any], lines: int) -> tuple[list[Draft], list[int]]:
    """The model's JSON as drafts and places of ended facts.

    Raises:
        ModelAnswerInvalid: it has no list of facts. Single facts that make no sense are left out.
    """
    facts = answer.get("facts")
    if not isinstance(facts, list):
        raise ModelAnswerInvalid("The language model's answer has no list of facts.")
    ended = answer.get("ended")
    places = (
        [number - 1 for number in ended if isinstance(number, int) and number > 0]
        if isinstance(ended, list)
        else []
    )
    return [
        _draft(fact, lines)
        for fact in facts
        if isinstance(fact, dict) and isinstance(fact.get("text"), str) and fact["text"].strip()
    ], places


def _draft(fact: dict[str, Any], lines: int) -> Draft:
    line, weight, topic = fact.get("line"), fact.get("weight"), fact.get("topic")
    return Draft(
        text=fact["text"],
        line=line - 1 if isinstance(line, int) and 1 <= line <= lines else 0,
        topic=topic if topic in TOPICS else "person",
        sub_topic=str(fact.get("sub_topic") or "")[:40].lower(),
        importance=min(max(float(weight), 1), 9) / 9 if isinstance(weight, int | float) else 0.5,
    )


def _learned(draft: Draft, line: Line) -> LearnedFact:
    begins, ends = validity(draft.text, line.turn.said_at)
    return LearnedFact(
        text=draft.text,
        turn_ids=(line.turn.turn_id,),
        topic=draft.topic,
        sub_topic=draft.sub_topic,
        importance=round(draft.importance, 2),
        scope=_scope(draft, line),
        valid_from=begins,
        valid_until=ends,
    )


def _as_known(fact: LearnedFact, turn: Turn) -> Fact:
    """What an earlier portion taught, as the next one is shown it."""
    return Fact(
        uuid4(),
        turn.user_id,
        fact.text,
        fact.topic,
        fact.sub_topic,
        fact.importance,
        fact.scope,
        turn.agent_id,
        turn.said_at,
    )


def _scope(draft: Draft, line: Line) -> Scope:
    """How this agent should behave, and what was told in confidence, stays with this agent."""
    return "agent" if draft.topic == "assistant" or _CONFIDED.search(line.turn.text) else "user"
