"""What memory gave to the last replies of a call."""

from collections import OrderedDict
from collections.abc import Sequence

from livekit.agents import llm

from echoic.memory.text.words import normalise
from echoic.memory.types import Item, Recall

REPLIES_HELD = 8


class RecallHistory:
    """The last recall, and what the last replies were given, by the words they answered."""

    def __init__(self) -> None:
        self.last: Recall | None = None
        """Of the newest reply; None before the first."""
        self._used: OrderedDict[str, tuple[Item, ...]] = OrderedDict()

    def note(self, words: str, recall: Recall) -> None:
        """The reply to these words was given what this recall found."""
        self.last = recall
        self._used[normalise(words)] = recall.used
        while len(self._used) > REPLIES_HELD:
            self._used.popitem(last=False)

    def used_before(self, messages: Sequence[llm.ChatMessage]) -> tuple[Item, ...]:
        """What the reply before the last of these messages was given."""
        asked = [message for message in messages[:-1] if message.role == "user"]
        return self._used.get(normalise(asked[-1].text_content or ""), ()) if asked else ()
