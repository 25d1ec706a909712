"""What every extractor is given and gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from echoic.memory.types import Fact, Scope, Turn


@dataclass(frozen=True, slots=True)
class LearnedFact:
    """One new fact, as an extractor gives it."""

    text: str
    turn_ids: tuple[UUID, ...]
    topic: str = ""
    sub_topic: str = ""
    importance: float = 0.5
    scope: Scope = "user"
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """A known fact that is no longer true, and since when."""

    fact_id: UUID
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one batch taught."""

    facts: tuple[LearnedFact, ...] = ()
    closings: tuple[Closing, ...] = ()


class Extractor(Protocol):
    """Reads a batch of turns, in order, beside what is known already. Calls a model, writes nothing."""

    name: str

    async def extract(self, turns: Sequence[Turn], known: Sequence[Fact]) -> Extraction:
        """What these turns teach.

        Raises:
            ModelUnavailable: the provider is down or slow; costs no attempt.
            ModelAnswerInvalid: the model answered garbage; counts as a failure of the batch.
        """
        ...

    async def close(self) -> None: ...
