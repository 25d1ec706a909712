"""Asks a model for the operations of a batch, and keeps those that its turns bear out."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Protocol
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from echoic.memory.embedding.embedder import Embedder
from echoic.memory.errors import ModelAnswerInvalid
from echoic.memory.model_verdict import Grade
from echoic.memory.profile.slots import PLAIN, ProfileSettings
from echoic.memory.text.canonical import tokens
from echoic.memory.text.content import function_words
from echoic.memory.text.dates.last_day import late_from
from echoic.memory.text.language import Language
from echoic.memory.types import CALLER, Evidence, Fact, Turn
from echoic.workers.evidence.operations import Answer, Operation, When, schema
from echoic.workers.evidence.otherwise import said_otherwise
from echoic.workers.evidence.reading import read_answer
from echoic.workers.evidence.spoken import Spoken, foreign_sentences
from echoic.workers.evidence.verify import is_dated, judged
from echoic.workers.learn.conversation import Portion, halves, most_operations, portions
from echoic.workers.learn.prompt import messages
from echoic.workers.learn.slot_check import well_placed
from echoic.workers.learn.slots import asked_of
from echoic.workers.model.chat import AnswerTooLong, ChatModel

OF_THIS_AGENT = ("assistant", "promises")
"""Topics that stay with this agent: how it should behave, and what was promised to it or by it."""
RECENT_FACTS = 12
"""New facts of earlier portions that the next portion is shown beside the known ones."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A known fact that is over, and since when."""

    fact_id: UUID
    ended_at: datetime
    said_at: datetime
    by: UUID | None = None
    """The fact that stands in its place."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A known fact that was said again."""

    fact_id: UUID
    evidence: tuple[Evidence, ...]
    said_at: datetime
    """When the end was said; where there is none, the fact."""
    until: datetime | None = None
    """It lasts until then, as they say now."""

    def joined(self, later: "Confirmation") -> "Confirmation":
        """Both, with the end of whoever named one last."""
        told = tuple(dict.fromkeys((*self.evidence, *later.evidence)))
        ends = max((later, self), key=lambda one: (one.until is not None, one.said_at))
        return replace(ends, evidence=told)


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one batch taught."""

    facts: tuple[Fact, ...] = ()
    endings: tuple[Ending, ...] = ()
    confirmed: tuple[Confirmation, ...] = ()
    refused: Counter[str] = field(default_factory=Counter)
    """Operations that were not carried out, by reason."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the model says of the conversation, by name of the tag."""
    unread: Mapping[UUID, str] = field(default_factory=dict)
    """Turns of portions to which the model gave no usable answer, and why."""


Known = Callable[[Sequence[Turn]], Awaitable[Sequence[Fact]]]
"""Looks up what is known near some turns."""


def always(known: Sequence[Fact]) -> Known:
    """These facts, whatever was said."""

    async def shown(_: Sequence[Turn]) -> Sequence[Fact]:
        return known

    return shown


class Extractor(Protocol):
    """Reads a batch of turns, in order, beside what is known already. Calls a model, writes nothing."""

    name: str

    async def extract(
        self,
        turns: Sequence[Turn],
        known: Known,
        profile: ProfileSettings = PLAIN,
        embedder: Embedder | None = None,
    ) -> Extraction:
        """What these turns teach; `profile` says in which slots, and how the conversation is tagged.

        With an embedder, names may be in other words than the caller's (`workers/evidence/otherwise.py`).

        Raises:
            ModelUnavailable: the provider is down or slow; costs no attempt.
            ModelAnswerInvalid: the model answered garbage and nothing else; counts as a failure of the batch.
        """
        ...

    async def close(self) -> None: ...


class Source(Protocol):
    """Where the operations of a portion come from: a model, Mem0's pipeline, or a file."""

    name: str

    async def operations(self, portion: Portion, known: Sequence[Fact]) -> Answer: ...

    async def close(self) -> None: ...


class ModelSource:
    """One structured call a portion."""

    name = "echoic"

    def __init__(
        self, model: ChatModel, zone: ZoneInfo, *, names: bool = False, grade: Grade = "full"
    ) -> None:
        self._model, self._zone, self._names, self._grade = model, zone, names, grade

    async def operations(self, portion: Portion, known: Sequence[Fact]) -> Answer:
        """See `Extractor.extract`; of a cut answer the whole part is kept, and the rest asked again."""
        turns, asked = len(portion.turns), asked_of(portion.profile)
        try:
            found = await self._model.ask(
                messages(portion, known, self._zone, names=self._names, grade=self._grade),
                "operations",
                schema(turns, len(known), most_operations(portion), names=self._names, asked=asked),
            )
        except AnswerTooLong as exc:
            return await self._rest(portion, known, exc)
        return await asyncio.to_thread(read_answer, found, turns, len(known), asked)

    async def _rest(self, portion: Portion, known: Sequence[Fact], cut: AnswerTooLong) -> Answer:
        turns, asked = len(portion.turns), asked_of(portion.profile)
        whole = read_answer(cut.partial, turns, len(known), asked) if cut.partial else Answer(())
        done = max((at for one in whole.operations for at in one.turns), default=portion.new - 1)
        if whole.operations and portion.new < done < turns - 1:
            # the last one that is whole may not be the last of its turn, so that turn is asked about again;
            # where it is the first, that would be the same question
            rest = await self.operations(replace(portion, new=done), known)
            return replace(rest, operations=tuple(dict.fromkeys(whole.operations + rest.operations)))
        parts = halves(portion)
        if parts is None:
            if whole.operations:
                return whole
            raise cut
        first, second = [await self.operations(part, known) for part in parts]
        shift = turns - len(parts[1].turns)
        moved = [replace(one, turns=tuple(at + shift for at in one.turns)) for one in second.operations]
        unreadable, tags = first.unreadable + second.unreadable, {**second.tags, **first.tags}
        return Answer((*first.operations, *moved), unreadable, tags)

    async def close(self) -> None:
        await self._model.close()


class VerifiedExtractor:
    """The operations of a source, each held against the words it quotes."""

    def __init__(
        self, source: Source, zone: ZoneInfo, *, grade: Grade = "full", checker: ChatModel | None = None
    ) -> None:
        """`checker` is asked for a second look at slots; None: nobody is."""
        self._source, self._zone, self._grade, self._checker = source, zone, grade, checker
        self.name = source.name

    async def extract(
        self,
        turns: Sequence[Turn],
        known: Known,
        profile: ProfileSettings = PLAIN,
        embedder: Embedder | None = None,
    ) -> Extraction:
        """See `Extractor`."""
        found, answered = _Found(self._grade, self._zone), 0
        for portion in portions(turns, profile):
            try:
                await self._read(portion, known, found, embedder)
                answered += 1
            except ModelAnswerInvalid as exc:  # the others are asked all the same
                found.unread |= {turn.turn_id: exc for turn in portion.turns[portion.new :]}
        if found.unread and not answered:
            raise next(iter(found.unread.values()))
        whole = found.extraction()
        if self._checker is None:
            return whole
        return replace(whole, facts=await well_placed(self._checker, whole.facts, profile))

    async def _read(self, portion: Portion, known: Known, found: "_Found", embedder: Embedder | None) -> None:
        # who may not end facts is shown none: small models write them down again (half of their answers)
        shown: list[Fact] = []
        if self._grade == "full":
            shown = [*await known(portion.turns), *found.facts[-RECENT_FACTS:]]
            # what is over may begin again, later in the call
            shown = [fact for fact in shown if fact.fact_id not in found.over]
        answer = await self._source.operations(portion, shown)
        found.refused["unreadable"] += answer.unreadable
        found.tags = {**answer.tags, **found.tags}
        spoken = await asyncio.to_thread(self._heard, portion, shown)
        if spoken.takes_paraphrases and embedder is not None:
            spoken = replace(spoken, otherwise=await said_otherwise(answer.operations, spoken, embedder))
        # two hundred operations on a long turn take seconds, and others share this loop
        await asyncio.to_thread(found.take_all, answer.operations, spoken, portion.new)

    def _heard(self, portion: Portion, shown: Sequence[Fact]) -> Spoken:
        foreign, is_capable = foreign_sentences(portion.turns, portion.language), self._grade == "full"
        return Spoken(portion.turns, portion.language, shown, foreign, takes_paraphrases=is_capable)

    async def close(self) -> None:
        await self._source.close()


class _Found:
    """What the operations of a batch come to, in their order."""

    def __init__(self, grade: Grade, zone: ZoneInfo) -> None:
        self._grade, self._zone = grade, zone
        self._new: dict[UUID, Fact] = {}
        self._endings: dict[UUID, Ending] = {}
        self._confirmed: dict[UUID, Confirmation] = {}
        self._taken_back: set[UUID] = set()
        """New facts that ended in the same batch."""
        self.refused: Counter[str] = Counter()
        self.tags: dict[str, str] = {}
        self.unread: dict[UUID, ModelAnswerInvalid] = {}

    @property
    def facts(self) -> list[Fact]:
        return list(self._new.values())

    @property
    def over(self) -> Set[UUID]:
        """Facts that ended in this batch."""
        return self._endings.keys() | self._taken_back

    def take_all(self, operations: Sequence[Operation], spoken: Spoken, new: int) -> None:
        """Carry out those that the turns bear out, and that are of one from `new` on."""
        for operation in operations:
            self.take(operation, spoken, new)

    def take(self, operation: Operation, spoken: Spoken, new: int) -> None:
        """Carry out one operation, or count why not. Where a replacement's evidence is of another person, the
        new fact is added and the known one stays."""
        verdict = judged(operation, spoken)
        reason = verdict.reason or ("seen before" if max(verdict.turns) < new else "")
        if reason:
            self.refused[reason] += 1
            return
        source = [spoken.turns[at] for at in verdict.turns]
        if not is_dated(operation, spoken, verdict.turns):
            operation = replace(operation, when=When())
        evidence = tuple(Evidence(turn.turn_id, operation.quote or turn.text) for turn in source)
        known = spoken.known[operation.known] if operation.known is not None and not verdict.keeps else None
        if operation.kind == "confirm" and known is not None:
            self._confirm(known, _fact(operation, source, evidence, self._zone))
            return
        by = None
        if operation.kind in ("add", "replace"):
            by = self._add(_fact(operation, source, evidence, self._zone), spoken)
        if known is not None and known.fact_id != by:
            self._end(
                known,
                _ended_at(operation, known, source[0], self._zone, spoken.language),
                source[0].said_at,
                by,
            )

    def extraction(self) -> Extraction:
        """All of it."""
        confirmed = tuple(one for key, one in self._confirmed.items() if key not in self._endings)
        unread = {turn_id: str(exc) for turn_id, exc in self.unread.items()}
        endings = tuple(self._endings.values())
        return Extraction(tuple(self.facts), endings, confirmed, +self.refused, self.tags, unread)

    def _add(self, fact: Fact, spoken: Spoken) -> UUID:
        """The id of the fact, or of the live one that says the same in the same words."""
        for one in (*spoken.known, *self._new.values()):
            if one.fact_id in self._endings or one.fact_id in self._taken_back:
                continue
            if says_same(fact, one):
                self._confirm(one, fact)
                return one.fact_id
        self._new[fact.fact_id] = fact
        return fact.fact_id

    def _confirm(self, known: Fact, again: Fact) -> None:
        told = confirmation(known, again)
        if before := self._new.get(known.fact_id):
            both = confirmation(before, before).joined(told)
            ids = tuple(dict.fromkeys((*before.turn_ids, *(one.turn_id for one in again.evidence))))
            self._new[known.fact_id] = replace(
                before, evidence=both.evidence, turn_ids=ids, valid_until=both.until
            )
        else:
            earlier = self._confirmed.get(known.fact_id)
            self._confirmed[known.fact_id] = earlier.joined(told) if earlier else told

    def _end(self, known: Fact, at: datetime, said_at: datetime, by: UUID | None) -> None:
        if self._grade != "full":
            self.refused["grade"] += 1
        elif known.fact_id in self._new:  # said and taken back in the same batch: it becomes history at once
            self._new[known.fact_id] = replace(self._new[known.fact_id], valid_until=at)
            self._taken_back.add(known.fact_id)
        else:
            self._endings[known.fact_id] = Ending(known.fact_id, at, said_at, by)


def says_same(one: Fact, other: Fact) -> bool:
    """Whether two facts say the same of the same person, in the same words."""
    return (one.about or CALLER) == (other.about or CALLER) and tokens(one.text) == tokens(other.text)


def confirmation(known: Fact, again: Fact) -> Confirmation:
    """What is known is said again, in those words and with that end."""
    return Confirmation(known.fact_id, again.evidence, again.said_at, again.valid_until)


def _fact(
    operation: Operation, source: Sequence[Turn], evidence: tuple[Evidence, ...], zone: ZoneInfo
) -> Fact:
    first = source[0]
    is_promise = operation.topic == "promises"
    begins = _moment(operation.when.begins, first, zone)
    ends = _moment(operation.when.ends, first, zone, last=True)
    return Fact(
        fact_id=uuid4(),
        user_id=first.user_id,
        text=operation.text,
        topic=operation.topic,
        sub_topic=operation.sub_topic,
        importance=operation.importance,
        scope="agent" if operation.topic in OF_THIS_AGENT else "user",
        agent_id=first.agent_id,
        said_at=first.said_at,
        valid_from=begins if begins and not is_promise and begins <= first.said_at else None,
        valid_until=ends if ends and not is_promise and _is_end(operation, ends, first) else None,
        turn_ids=tuple(dict.fromkeys(turn.turn_id for turn in source)),
        about=operation.about,
        evidence=evidence,
        precision=operation.when.precision,
        kind="promise" if is_promise else "fact",
        due=begins if is_promise else None,
        names=operation.names,
    )


def _is_end(operation: Operation, ends: datetime, turn: Turn) -> bool:
    """A habit does not end with the day it was told of, and nothing ends before it was said."""
    return operation.when.precision != "habit" and ends > turn.said_at


def _moment(
    value: datetime | date | None, turn: Turn, zone: ZoneInfo, *, last: bool = False
) -> datetime | None:
    """A day or moment of the caller's as a moment; `last`: the end of that day."""
    if value is None:
        return None
    theirs = ZoneInfo(turn.timezone) if turn.timezone else zone
    if isinstance(value, datetime):
        return value.replace(tzinfo=theirs)
    try:
        return datetime.combine(value + timedelta(days=last), time(), theirs)
    except OverflowError:
        return None


def _ended_at(operation: Operation, known: Fact, turn: Turn, zone: ZoneInfo, language: Language) -> datetime:
    """When the caller says that it ended, or will end: what is over "on 8 May" or "in May" is true until the
    last day of that, or until they said so. Else when they said so: also where the day that they name is the
    new fact's, or the fact's own, as of a promise or an appointment on Tuesday that is cancelled.
    """
    begins = _moment(operation.when.begins, turn, zone)
    if operation.kind == "replace":
        return min(begins or turn.said_at, turn.said_at)
    ends = _moment(operation.when.ends, turn, zone, last=True)
    over = ends or (begins and late_from(begins, operation.when.precision)) or turn.said_at
    named = set(tokens(operation.when.words)) - (function_words(language.code) - set(language.calendar))
    is_its_own = known.kind == "promise" or not named.isdisjoint(tokens(known.text))
    is_begun = ends is None and begins is not None and begins <= turn.said_at
    return min(over, turn.said_at) if is_its_own or is_begun else over
