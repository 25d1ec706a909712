"""What Pipecat's context aggregators hear and write, told as it happens.

The user aggregator takes transcripts out of the pipeline, so nobody after it sees them; and a turn's own
frame, on its way to us, is dropped by an interruption and late for the end of the pipeline. Handlers of the
aggregators' events miss neither.
"""

from collections.abc import Callable

from pipecat.frames.frames import (
    CancelFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    TranscriptionFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator, LLMUserAggregator
from pipecat.processors.frame_processor import FrameProcessor

from echoic.agent.pipecat.capture import Said, said_in
from echoic.memory.types import Role

BEFORE, AFTER, PUSH = "on_before_process_frame", "on_after_process_frame", "on_before_push_frame"


class Aggregators:
    """Follows the two aggregators of one conversation.

    Args:
        on_words: told the caller's words of the turn so far, and whether the last of them are final.
        on_said: told each turn that an aggregator wrote into the context, before anybody else.
    """

    def __init__(self, on_words: Callable[[str, bool], None], on_said: Callable[[Said], None]) -> None:
        self._on_words, self._on_said = on_words, on_said
        self._handlers: list[tuple[FrameProcessor, str, Callable[..., None]]] = []
        self._user: LLMUserAggregator | None = None
        self._assistant: LLMAssistantAggregator | None = None
        self._cut = False

    def find(self, processor: FrameProcessor) -> None:
        """Follow the nearest user aggregator before this processor, and the nearest other one after it."""
        before, after = processor.previous, processor.next
        while before is not None and self._user is None:
            if isinstance(before, LLMUserAggregator):
                self.follow_user(before)
            before = before.previous
        while after is not None and self._assistant is None:
            if isinstance(after, LLMAssistantAggregator):
                self.follow_assistant(after)
            after = after.next

    def follow_user(self, aggregator: LLMUserAggregator) -> None:
        """Hear what this one hears and writes."""
        self._user = aggregator
        self._handle(aggregator, BEFORE, self._on_heard)
        self._handle(aggregator, PUSH, self._on_push)

    def follow_assistant(self, aggregator: LLMAssistantAggregator) -> None:
        """Hear what this one writes, and whether a reply was cut off."""
        self._assistant = aggregator
        self._handle(aggregator, BEFORE, self._on_cut)
        self._handle(aggregator, AFTER, self._on_cut_done)
        self._handle(aggregator, PUSH, self._on_push)

    def follows(self, role: Role) -> bool:
        """Whether turns of this role are told of here: the same in frames that pass are no news then."""
        return (self._user if role == "user" else self._assistant) is not None

    @property
    def context(self) -> LLMContext | None:
        """The conversation that both write; None while no aggregator is known."""
        return None if self._user is None else self._user.context

    def close(self) -> None:
        """Hear nothing from now on."""
        for processor, event, handler in self._handlers:
            processor.remove_event_handler(event, handler)
        self._handlers.clear()

    def _handle(self, processor: FrameProcessor, event: str, handler: Callable[..., None]) -> None:
        processor.add_event_handler(event, handler)
        self._handlers.append((processor, event, handler))

    def _on_heard(self, aggregator: LLMUserAggregator, frame: Frame) -> None:
        if isinstance(frame, (InterimTranscriptionFrame, TranscriptionFrame)):
            words = f"{aggregator.aggregation_string()} {frame.text}".strip()
            self._on_words(words, isinstance(frame, TranscriptionFrame))

    def _on_cut(self, _: FrameProcessor, frame: Frame) -> None:
        self._cut = self._cut or isinstance(frame, (InterruptionFrame, CancelFrame))

    def _on_cut_done(self, _: FrameProcessor, frame: Frame) -> None:
        self._cut = self._cut and not isinstance(frame, (InterruptionFrame, CancelFrame))

    def _on_push(self, aggregator: FrameProcessor, frame: Frame) -> None:
        if said := said_in(frame, interrupted=self._cut and aggregator is self._assistant):
            self._on_said(said)
