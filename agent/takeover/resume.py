"""Going on with a call whose agent is gone: the next one knows what was said, says that it is back, and
answers what is still open."""

from livekit.agents import AgentSession, llm

from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.store.turns import stored_item_id
from echoic.memory.types import Item


def context_of(recent: RecentTurns) -> llm.ChatContext:
    """The stored turns of this call as the context that its next agent begins with; empty if Postgres could
    not be read."""
    return llm.ChatContext([_message(item) for item in recent.now])


def resume_conversation(session: AgentSession, recent: RecentTurns, words: str) -> None:
    """Say at once that somebody is there again; then answer the caller's last words, if nobody has.

    Waits for neither.

    Args:
        words: one sentence. It is spoken without asking the model: the caller has waited long enough.
    """
    unanswered = bool(recent.now) and recent.now[-1].role == "user"
    # then it is no part of the context: the caller's words stay the last ones, so that memory is asked and
    # the model answers them
    session.say(words, add_to_chat_ctx=not unanswered)
    if unanswered:
        session.generate_reply()


def _message(item: Item) -> llm.ChatMessage:
    said_at = item.said_at.timestamp()
    return llm.ChatMessage(
        id=stored_item_id(item.id),
        role=item.role,
        content=[item.text],
        interrupted=item.interrupted,
        created_at=said_at,
    )
