"""The conversation as a model is shown it: what is unanswered, and what was said before."""

from collections.abc import Collection, Sequence
from datetime import datetime

from livekit.agents import llm

SAID = ("message", "function_call", "function_call_output")
"""Items that hold somebody's words, or what came of them; the rest is what the agent was told to be."""
ALWAYS_SHOWN = ("system", "developer")


def unanswered(items: Sequence[llm.ChatItem], unsaid: Collection[str] = ()) -> int | None:
    """Where the caller's last words stand, if nothing has answered them yet.

    A tool's result is not an answer, nor is what was said before the tool was called ("let me look").

    Args:
        unsaid: ids of what stands there in the agent's name, and was not said: no answer either.
    """
    in_tool_step = False
    for at in reversed(range(len(items))):
        item = items[at]
        if item.type == "function_call_output":
            in_tool_step = True
        elif item.type == "message" and item.role == "user":
            return at
        elif (
            item.type == "message" and item.role == "assistant" and not in_tool_step and item.id not in unsaid
        ):
            return None
    return None


def previous_words(items: Sequence[llm.ChatItem]) -> str:
    """The caller's last words in a conversation, or nothing."""
    said = (item.text_content for item in reversed(items) if item.type == "message" and item.role == "user")
    return next((text for text in said if text), "")


def said_since(items: Sequence[llm.ChatItem], since: datetime | None) -> list[llm.ChatItem]:
    """The conversation without what was said before `since`; all of it for None."""
    if since is None:
        return list(items)
    began = since.timestamp()
    return [item for item in items if item.created_at >= began or not _said(item)]


def _said(item: llm.ChatItem) -> bool:
    return item.type in SAID and getattr(item, "role", None) not in ALWAYS_SHOWN
