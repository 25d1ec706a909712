"""What a test's user says over Memobase's client."""

from typing import Any

from memobase import ChatBlob

REPLY = "I see."


def chat(*words: str, **more: Any) -> ChatBlob:
    """Words and a reply, in turn."""
    messages = []
    for one in words:
        messages += [
            {"role": "user", "content": one, **more},
            {"role": "assistant", "content": REPLY, **more},
        ]
    return ChatBlob(messages=messages)


def tell(user: Any, *words: str, sync: bool = False) -> str:
    """Inserted; nothing is learned from it until it is flushed. Gives the blob's id."""
    return user.insert(chat(*words), sync=sync)
