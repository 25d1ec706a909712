"""Memory's place in Pipecat's context: one block before the caller's unanswered words, replaced each turn."""

from collections.abc import Sequence
from typing import Any

from pipecat.processors.aggregators.llm_context import (
    LLMContext,
    LLMSpecificMessage,
    standard_message_text,
)

from echoic.memory.recall.prompt import CLOSE, LABEL, OPEN

Message = Any
"""A dict as OpenAI has it, or an `LLMSpecificMessage`."""
BLOCK_BEGINS, BLOCK_ENDS = f"{OPEN}\n{LABEL}", f"{CLOSE}\n"


def unanswered(messages: Sequence[Message]) -> Message | None:
    """The caller's last words, if nothing has answered them yet.

    A tool's result is not an answer, nor is what was said before the tool was called ("let me look").
    """
    in_tool_step = False
    for message in reversed(messages):
        match _role(message):
            case "user":
                return message
            case "tool":
                in_tool_step = True
            case "assistant":
                in_tool_step = in_tool_step or bool(message.get("tool_calls"))
                if not in_tool_step:
                    return None
    return None


def words_of(message: Message) -> str:
    """What is said in a message, its text parts joined and without a block; nothing for a picture alone, or
    a service's own format."""
    return standard_message_text(bare(message)).strip()


def previous_words(messages: Sequence[Message], before: Message = None) -> str:
    """The caller's last words in a conversation, or the last before one of its messages."""
    at = next((at for at, one in enumerate(messages) if one is before), len(messages))
    said = (words_of(one) for one in reversed(messages[:at]) if _role(one) == "user")
    return next((text for text in said if text), "")


def put_block(context: LLMContext, block: str, before: Message = None) -> None:
    """Let this block be the only one, before the words of that message; an empty one is none.

    The context is the one that every part of the pipeline shares: a tool's next step is shown the block too.
    The message is replaced by a copy, so nobody who holds it finds it changed.
    """
    messages = context.get_messages()
    shown = [_with(block, bare(one)) if block and one is before else bare(one) for one in messages]
    if any(new is not old for new, old in zip(shown, messages, strict=True)):
        context.set_messages(shown)


def bare(message: Message) -> Message:
    """The message without a block, also in a copy of the context that an application kept and gave back."""
    content = None if isinstance(message, LLMSpecificMessage) else message.get("content")
    if isinstance(content, str) and content.startswith(BLOCK_BEGINS):
        return {**message, "content": content.partition(BLOCK_ENDS)[2]}
    if isinstance(content, list) and content and _is_block(content[0]):
        return {**message, "content": content[1:]}
    return message


def _with(block: str, message: Message) -> Message:
    content = message["content"]
    front = f"{block}{content}" if isinstance(content, str) else [{"type": "text", "text": block}, *content]
    return {**message, "content": front}


def _is_block(part: Any) -> bool:
    return isinstance(part, dict) and str(part.get("text", "")).startswith(BLOCK_BEGINS)


def _role(message: Message) -> str:
    return "" if isinstance(message, LLMSpecificMessage) else message.get("role", "")
