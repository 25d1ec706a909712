"""Starts a recall while the caller is still talking, so that its answer is there when the model asks."""

from collections.abc import Sequence
from typing import Protocol

from livekit.agents import AgentSession, ConversationItemAddedEvent, UserInputTranscribedEvent, llm

from echoic.agent.call.transcripts import UNANSWERED_AFTER_S, Waiting
from echoic.agent.conversation import previous_words
from echoic.agent.livekit_api import conversation_of
from echoic.memory.call import CallMemory
from echoic.memory.recall.lookahead import Counts, Lookahead, Outcome
from echoic.memory.recall.pending import PendingRecall


class SpokenCall(Protocol):
    """What a prefetch needs of a call."""

    @property
    def call_memory(self) -> CallMemory: ...

    def shown(self, items: Sequence[llm.ChatItem]) -> list[llm.ChatItem]: ...


class Prefetch:
    """Looks up what the caller of a LiveKit session is saying; `llm_node` adopts the lookup of its words."""

    def __init__(self, call: SpokenCall) -> None:
        self._call, self._call_memory = call, call.call_memory
        self._session: AgentSession | None = None
        self._waiting = Waiting()
        self._lookahead = Lookahead(self._start, self._give_up, self._call_memory.memory.recaller.pace)
        self._heard_at = 0.0

    def listen(self, session: AgentSession) -> None:
        """Follow the words of this session's caller from now on."""
        self._session = session
        session.on("user_input_transcribed", self.on_transcribed)
        session.on("conversation_item_added", self.on_item)
        session.on("close", lambda _: self.close())

    @property
    def outcome(self) -> Outcome:
        """How the newest turn fared; see `Lookahead.outcome`."""
        return self._lookahead.outcome

    @property
    def counts(self) -> Counts:
        """All lookups of the call; those of the newest turn count as wasted until they are asked."""
        return self._lookahead.counts

    def on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        """Start a lookup if the words so far are other words, and matter."""
        if self._call.call_memory is not self._call_memory:
            self._forget_words()  # of another person
            self._call_memory = self._call.call_memory
        if not event.transcript.strip():
            return
        if event.created_at - self._heard_at > UNANSWERED_AFTER_S:
            self._forget_words()  # of a turn that LiveKit dropped: they will not be part of the next
        self._heard_at = event.created_at
        if event.is_final:
            self._waiting.hear(event)
        self._lookahead.follow(
            f"{self._waiting.text} {'' if event.is_final else event.transcript}".strip(), event.is_final
        )

    def on_item(self, event: ConversationItemAddedEvent) -> None:
        """The caller's words became an item: what is heard from now on is the next turn's."""
        if isinstance(event.item, llm.ChatMessage) and event.item.role == "user":
            self._waiting.take(event.item)
            if not self._waiting.segments:
                self._lookahead.end_turn()

    def close(self) -> None:
        """The call is over, or remembering is: stop what nobody will ask for."""
        self._waiting.clear()
        self._lookahead.close()

    def _start(self, text: str) -> PendingRecall | None:
        shown = self._shown()
        return self._call_memory.prefetch(
            text,
            context_item_ids=frozenset(item.id for item in shown if item.type == "message"),
            previous_user_text=previous_words(shown),
        )

    def _give_up(self, asked: PendingRecall) -> None:
        self._call_memory.memory.recaller.give_up(asked)

    def _shown(self) -> Sequence[llm.ChatItem]:
        """The conversation as `llm_node` will find it."""
        return [] if self._session is None else self._call.shown(conversation_of(self._session))

    def _forget_words(self) -> None:
        self._waiting.clear()
        self._lookahead.end_turn()
