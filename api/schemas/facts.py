"""Facts, what each was before, and the words that they rest on."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints, model_validator

from echoic.api.schemas.common import AgentId, Answer, Body, Name, Page, Said
from echoic.api.schemas.people import TurnAnswer
from echoic.memory.chat.dates import date_in
from echoic.memory.profile.slots import unified
from echoic.memory.review.facts import FactChange, StoredFact
from echoic.memory.types import About, Fact, FactKind, Precision, Scope


def _in_the_calendar(when: datetime) -> datetime:
    """A time that Postgres and every time zone can hold."""
    if not 1 < when.year < 9_999:
        raise ValueError("outside the years 2 to 9998")
    return when.astimezone(UTC)


def _written_out(when: Any) -> Any:
    """Not seconds since 1970, which Pydantic also takes, and which are not what the document says."""
    if isinstance(when, int | float) or (isinstance(when, str) and when[4:5] != "-"):
        raise ValueError("write a time out, with its zone: 2026-11-27T09:30:00Z")
    return when


def _told(when: Any) -> datetime:
    if (found := date_in(when)) is None:
        raise ValueError("no date: write it out, such as 2026-11-27T09:30:00Z")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


When = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_the_calendar)]
Moment = Annotated[datetime, BeforeValidator(_told), AfterValidator(_in_the_calendar)]
"""As other programs write it; by UTC where no zone is named."""
Topic = Annotated[Name, StringConstraints(min_length=1)]
SlotName = Annotated[Name, AfterValidator(unified)]
Importance = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
EXAMPLE: dict[str, Any] = {"text": "Has a dog called Biscuit.", "topic": "pets", "importance": 0.6}


class AboutBody(Body):
    """Whose fact it is; both empty: the caller's."""

    role: Name = Field("", examples=["sister"])
    name: Name = Field("", examples=["Maria"])


class EvidenceAnswer(Answer):
    """Words that a fact rests on."""

    turn_id: UUID
    quote: str = Field(examples=["my dog is called Biscuit"])


class AboutAnswer(Answer):
    """Whose fact it is; both empty: the caller's."""

    role: str = Field(examples=["sister"])
    name: str = Field(examples=["Maria"])


class FactAnswer(Answer):
    """One statement about a person. Its ETag is in `version`, and is sent back as `If-Match`."""

    fact_id: UUID
    version: str | None = Field(examples=["9f2c6a1e0b7d4c35"])
    """Changes with every change; null where the fact is shown as it was before."""
    text: str = Field(examples=[EXAMPLE["text"]])
    topic: str = Field(examples=[EXAMPLE["topic"]])
    sub_topic: str = ""
    """The slot of its topic in which a profile shows it."""
    importance: float = Field(examples=[EXAMPLE["importance"]])
    scope: Scope
    agent_id: str
    said_at: datetime
    valid_from: datetime | None
    valid_until: datetime | None
    """In the past: it is history."""
    about: AboutAnswer | None
    kind: FactKind
    due: datetime | None
    precision: Precision
    names: list[str]
    turn_ids: list[UUID]
    evidence: list[EvidenceAnswer]

    @classmethod
    def of(cls, stored: StoredFact) -> Self:
        return cls.model_validate(_fields(stored.fact) | {"version": stored.version})

    @classmethod
    def as_it_was(cls, fact: Fact) -> Self:
        return cls.model_validate(_fields(fact) | {"version": None})


class FactPage(Page):
    """Facts, newest first."""

    items: list[FactAnswer]


class ChangeAnswer(Answer):
    """One change of a fact."""

    change: Literal["added", "ended", "confirmed", "edited", "removed", "archived", "merged", "refiled"]
    before: FactAnswer | None
    by_whom: str = Field(examples=["learning"])
    batch_id: UUID | None
    changed_at: datetime
    undone_at: datetime | None

    @classmethod
    def of(cls, one: FactChange) -> Self:
        before = one.before and FactAnswer.as_it_was(one.before)
        fields = {name: getattr(one, name) for name in FactChange.__slots__}
        return cls.model_validate(fields | {"before": before})


class HistoryAnswer(Answer):
    """All changes of a fact, oldest first."""

    items: list[ChangeAnswer]


class EvidenceOfFact(Answer):
    """The quotes of a fact, and those of its turns that are still stored."""

    evidence: list[EvidenceAnswer]
    turns: list[TurnAnswer]


class FactCreate(Body):
    """A fact that somebody states by hand."""

    text: Said = Field(examples=[EXAMPLE["text"]])
    topic: Topic = Field("other", examples=[EXAMPLE["topic"]])
    sub_topic: SlotName = ""
    """The slot of its topic in which a profile shows it."""
    importance: Importance = Field(0.5, examples=[EXAMPLE["importance"]])
    scope: Scope = "user"
    """`agent`: only `agent_id` sees it."""
    agent_id: AgentId | None = None
    """Default: `ECHOIC_AGENT_ID`."""
    about: AboutBody = AboutBody()
    valid_from: When | None = None
    valid_until: When | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            raise ValueError("valid_until is not after valid_from")
        return self


class FactEdit(Body):
    """What is changed; a field that is left out stays. `valid_until: null` makes an ended fact true again."""

    text: Said | None = Field(None, examples=["Has a dog called Biscotti."])
    topic: Topic | None = None
    sub_topic: SlotName | None = None
    """Empty: none in particular."""
    importance: Importance | None = None
    scope: Scope | None = None
    about: AboutBody | None = None
    valid_from: When | None = None
    valid_until: When | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        cleared = {
            name
            for name in self.model_fields_set - {"valid_from", "valid_until"}
            if getattr(self, name) is None
        }
        if cleared or not self.model_fields_set:
            raise ValueError(
                f"cannot be null: {', '.join(sorted(cleared))}" if cleared else "changes nothing"
            )
        return self

    def fields(self) -> dict[str, Any]:
        """As `Fact` names them."""
        found = {name: getattr(self, name) for name in self.model_fields_set}
        return found | ({"about": About(**self.about.model_dump())} if self.about else {})


def _fields(fact: Fact) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in Fact.__slots__}
