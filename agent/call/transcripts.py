"""The caller's words from final transcripts to conversation item: some never arrive there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from livekit.agents import UserInputTranscribedEvent, llm

from echoic.memory.text.words import normalise

UNANSWERED_AFTER_S = 6.0
"""Twice the longest wait of LiveKit for the end of a turn (3 s by default): words that are no item by then
will hardly become one."""


@dataclass(slots=True, eq=False)
class Segment:
    """One final transcript."""

    text: str
    heard_at: datetime
    item_id: str = ""
    """Under which its words are kept already, as words that nothing answered."""
    words: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.words = normalise(self.text).split()


class Waiting:
    """Final transcripts that no item of the conversation holds yet, in order.

    An item's words are those of some neighbouring segments. LiveKit drops the words of a turn that ends over
    a reply that cannot be interrupted, or during a hand-off: those are the segments that a later item leaves
    behind.
    """

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    @property
    def text(self) -> str:
        return joined(self.segments)

    def hear(self, event: UserInputTranscribedEvent) -> None:
        """Take one final transcript; silence is none."""
        if event.transcript.strip():
            self.segments.append(
                Segment(event.transcript.strip(), datetime.fromtimestamp(event.created_at, UTC))
            )

    def clear(self) -> None:
        self.segments = []

    def take(self, message: llm.ChatMessage) -> tuple[list[Segment], list[Segment]]:
        """Let go of the segments that this item settles: those it left behind, and those whose words it
        holds.

        A message without a confidence is typed, unless it says what was heard: until 1.7, LiveKit names none
        for a speech-to-speech model. A typed one settles none. Where the application changed the words, what
        was heard since the turn began is the item's.
        """
        place = self._place_of(normalise(message.text_content or "").split())
        if place is None and message.transcript_confidence is None:
            return [], []
        start, end = place or (self._turn_start(message), len(self.segments))
        behind, held, self.segments = self.segments[:start], self.segments[start:end], self.segments[end:]
        return behind, held

    def _place_of(self, words: list[str]) -> tuple[int, int] | None:
        """The last run of segments that says exactly these words."""
        for start in reversed(range(len(self.segments))):
            said = 0
            for end, segment in enumerate(self.segments[start:], start + 1):
                if words[said : said + len(segment.words)] != segment.words:
                    break
                said += len(segment.words)
                if said == len(words):
                    return start, end
        return None

    def _turn_start(self, message: llm.ChatMessage) -> int:
        began = message.metrics.get("started_speaking_at")
        return sum(segment.heard_at.timestamp() < began for segment in self.segments) if began else 0


def joined(segments: Sequence[Segment]) -> str:
    """The words as one text, as LiveKit joins them for the item."""
    return " ".join(segment.text for segment in segments)
