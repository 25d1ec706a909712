"""One line a turn: what memory did, what was stored and how long LiveKit took.

No words: where a line is needed, the ids lead there.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from livekit.agents import AgentSession, ConversationItemAddedEvent, SpeechCreatedEvent, llm
from livekit.agents.voice import SpeechHandle

from echoic.memory.call import CallMemory
from echoic.memory.observe.metrics import Stored, metrics
from echoic.memory.store.turns import turn_id_for
from echoic.memory.types import Caller, Recall, Turn

log = logging.getLogger("echoic.turn")

PATIENCE_S = 2.0
"""How long a line waits to hear where its turn was stored; a commit takes 1-5 ms, giving up on Postgres half
a second."""
MOST_HELD = 32
"""Recalls and stored turns of which the line is still to come: attempts that LiveKit threw away never get
one."""
USER_TIMES = {"end_of_turn_delay": "end_of_turn", "transcription_delay": "transcription"}
REPLY_TIMES = {"llm_node_ttft": "llm_ttft", "tts_node_ttfb": "tts_ttfb", "e2e_latency": "e2e"}
"""LiveKit's name in `ChatMessage.metrics` (seconds) -> ours."""


class HasMemory(Protocol):
    """The call: its memory changes when another person speaks."""

    @property
    def call_memory(self) -> CallMemory: ...


class Prefetches(Protocol):
    """What a prefetch says of the newest turn, and of the whole call."""

    @property
    def outcome(self) -> str: ...

    @property
    def counts(self) -> Any: ...


@dataclass(slots=True, eq=False)
class OpenTurn:
    """What the caller said, or nothing when the agent spoke by itself, and what it has said to that."""

    caller: Caller
    user: llm.ChatMessage | None = None
    replies: list[llm.ChatMessage] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None

    def stored_as(self, item: llm.ChatMessage) -> UUID:
        return turn_id_for(self.caller.call_id, item.id)

    @property
    def to_store(self) -> list[UUID]:
        items = [self.user, *self.replies] if self.user else self.replies
        return [self.stored_as(item) for item in items if item.text_content]


class TurnLog:
    """Follows one session and writes the line `turn` when a reply has ended, or it is certain that none
    comes."""

    def __init__(self, call: HasMemory, prefetch: Prefetches | None = None) -> None:
        self._call, self._prefetch = call, prefetch
        self._recorder = call.call_memory.memory.recorder
        self._speeches: list[SpeechHandle] = []
        self._turns: dict[str, OpenTurn] = {}
        """By the id of the speech that answers."""
        self._unanswered: OpenTurn | None = None
        self._told: set[OpenTurn] = set()
        """Ended; they wait to hear where they were stored."""
        self._recalls: dict[str, tuple[Recall, str]] = {}
        self._stored: dict[UUID, Stored] = {}

    def listen(self, session: AgentSession) -> None:
        """Follow this session from now on."""
        session.on("conversation_item_added", self.on_item)
        session.on("speech_created", self.on_speech)
        self._recorder.watchers.append(self.on_stored)

    def recalled(self, item_id: str, recall: Recall) -> None:
        """What memory found for the caller's item; the first time counts, tool steps ask again."""
        outcome = self._prefetch.outcome if self._prefetch else "none"
        self._recalls.setdefault(item_id, (recall, outcome))
        _keep_newest(self._recalls)

    def on_speech(self, event: SpeechCreatedEvent) -> None:
        """A reply begins, perhaps before its turn has ended."""
        self._speeches = [
            speech
            for speech in self._speeches
            if not speech.done() and not (speech.interrupted and not speech.scheduled)
        ]
        self._speeches.append(event.speech_handle)
        event.speech_handle.add_done_callback(self._on_spoken)

    def on_item(self, event: ConversationItemAddedEvent) -> None:
        """The caller's turn ended; the newest reply that will be spoken, and is nobody's yet, answers it."""
        if not isinstance(event.item, llm.ChatMessage) or event.item.role != "user":
            return
        turn = OpenTurn(self._call.call_memory.caller, event.item)
        if self._unanswered is not None:
            self._end(self._unanswered)
            self._unanswered = None
        answers = [
            speech
            for speech in self._speeches
            if speech.scheduled and not speech.done() and speech.id not in self._turns
        ]
        if answers:
            self._turns[answers[-1].id] = turn
        else:
            self._unanswered = turn

    def on_stored(self, turn: Turn, stored: Stored) -> None:
        """A turn became durable, or could not."""
        self._stored[turn.turn_id] = stored
        _keep_newest(self._stored)
        for told in [told for told in self._told if self._is_stored(told)]:
            self._write(told)

    def finish(self) -> None:
        """The call is over and what was heard is stored: write the lines that still wait."""
        if self.on_stored in self._recorder.watchers:
            self._recorder.watchers.remove(self.on_stored)
        for turn in [*self._told, *self._turns.values(), *([self._unanswered] if self._unanswered else [])]:
            self._write(turn)
        self._turns.clear()
        self._unanswered = None
        if self._prefetch:
            metrics().prefetch_wasted.inc(self._prefetch.counts.wasted)

    def _on_spoken(self, speech: SpeechHandle) -> None:
        replies = [
            item
            for item in speech.chat_items
            if isinstance(item, llm.ChatMessage) and item.role == "assistant"
        ]
        turn = self._turns.pop(speech.id, None)
        if turn is None and replies:
            turn = OpenTurn(self._call.call_memory.caller)
        if turn is not None:
            turn.replies = replies
            self._end(turn)

    def _end(self, turn: OpenTurn) -> None:
        self._told.add(turn)
        if self._is_stored(turn):
            self._write(turn)
        else:
            turn.timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._write, turn)

    def _is_stored(self, turn: OpenTurn) -> bool:
        return all(turn_id in self._stored for turn_id in turn.to_store)

    def _write(self, turn: OpenTurn) -> None:
        self._told.discard(turn)
        if turn.timer is not None:
            turn.timer.cancel()
        times = _times([turn.user] if turn.user else [], USER_TIMES) | _times(turn.replies, REPLY_TIMES)
        for part, seconds in times.items():
            metrics().turn.labels(part).observe(seconds)
        log.info("turn", extra=self._ids(turn) | self._memory(turn) | self._storage(turn) | _in_ms(times))

    def _ids(self, turn: OpenTurn) -> dict[str, object]:
        """Of the caller's turn, or of the agent's where nobody had asked."""
        item = turn.user or turn.replies[0]
        whose = {
            "call_id": turn.caller.call_id,
            "agent_id": turn.caller.agent_id,
            "by": "caller" if turn.user else "agent",
        }
        return {**whose, "turn_id": str(turn.stored_as(item))}

    def _memory(self, turn: OpenTurn) -> dict[str, object]:
        recall, prefetch = self._recalls.pop(turn.user.id, (None, "")) if turn.user else (None, "")
        if recall is None:
            return {}
        metrics().prefetch.labels(prefetch).inc()
        tiers: dict[str, object] = {name: tier.status for name, tier in recall.tiers.items()}
        elapsed = {f"{name}_ms": round(tier.elapsed_ms, 1) for name, tier in recall.tiers.items()}
        return (
            tiers
            | elapsed
            | {"used": len(recall.used), "recall_ms": round(recall.elapsed_ms, 1), "prefetch": prefetch}
        )

    def _storage(self, turn: OpenTurn) -> dict[str, object]:
        """`none`: it could not be stored, or was not to be."""
        user = {"stored": self._stored.pop(turn.stored_as(turn.user), "none")} if turn.user else {}
        places = [self._stored.pop(turn.stored_as(reply), "none") for reply in turn.replies]
        cut = any(reply.interrupted for reply in turn.replies)
        return user | {
            "replies": len(places),
            "reply_stored": ",".join(sorted(set(places))) or "none",
            "interrupted": cut,
        }


def _times(items: Sequence[llm.ChatMessage], wanted: dict[str, str]) -> dict[str, float]:
    """LiveKit's times, in seconds; of several replies (before and after a tool) the first's, which is what
    the caller waited for."""
    found: dict[str, float] = {}
    for item in items:
        measured: dict[str, Any] = dict(item.metrics)
        found = {
            ours: measured[theirs] for theirs, ours in wanted.items() if measured.get(theirs) is not None
        } | found
    return found


def _in_ms(times: dict[str, float]) -> dict[str, object]:
    return {f"{part}_ms": round(seconds * 1000, 1) for part, seconds in times.items()}


def _keep_newest(held: dict[Any, Any]) -> None:
    while len(held) > MOST_HELD:
        del held[next(iter(held))]
