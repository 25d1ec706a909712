"""Live events as they come over the wire, and from where a stream that broke off goes on."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from echoic.client.errors import AnswerUnreadable, Refused, Unreachable
from echoic.client.request import Ask

SILENCE_S = 45.0
"""The API says something every 15 seconds; one that does not is gone."""
PAUSES_S = (0.2, 1.0, 5.0, 15.0)
"""Before each try to go on; the last one from then on."""
PASSES = (429, 502, 503, 504)
"""Refusals that pass."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: ids and counts, no words."""

    event_id: str
    """Where to go on after it."""
    kind: str
    """Such as `fact.added`."""
    at: datetime
    user_id: str | None
    """None: of a person who was erased."""
    data: dict[str, Any]


class Following:
    """A stream across its connections: what the next one begins after, and how long to wait for it."""

    def __init__(self, ask: Ask, last_event_id: str | None) -> None:
        self._ask, self.last_event_id, self._failed = ask, last_event_id, 0
        self.began = False

    def ask(self) -> Ask:
        """The request that goes on after the last event."""
        return Ask("GET", self._ask.path, self._ask.ids, headers={"Last-Event-ID": self.last_event_id})

    def reader(self) -> Callable[[str], Iterator[Event]]:
        """Takes lines, one by one, and gives the event that ends with a line."""
        fields: dict[str, str] = {}

        def take(line: str) -> Iterator[Event]:
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
                return
            if "id" in fields:
                self.began, self._failed, self.last_event_id = True, 0, fields["id"]
            if "data" in fields:
                yield _event(fields)
            fields.clear()

        return take

    def pause_s(self, fault: Exception | None = None) -> float:
        """How long to wait before the next connection.

        Raises:
            Exception: `fault`, if the stream never began, or it does not pass by itself.
        """
        refused = fault if isinstance(fault, Refused) else None
        passes = isinstance(fault, Unreachable) or (refused is not None and refused.status in PASSES)
        if fault is not None and not (self.began and passes):
            raise fault
        self._failed += 1
        pause_s = PAUSES_S[min(self._failed, len(PAUSES_S)) - 1]
        return max(pause_s, (refused and refused.retry_after_s) or 0.0)


def _event(fields: dict[str, str]) -> Event:
    try:
        data = json.loads(fields["data"])
        at = datetime.fromisoformat(data.pop("at"))
        return Event(fields["id"], fields["event"], at, data.pop("user_id"), data)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise AnswerUnreadable from exc
