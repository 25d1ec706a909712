"""A request in OpenAI's protocol: the caller's unanswered words in it, and the same request with a block
before them.

Chat completions name their list `messages`, responses `input`; the words may be one text, or parts of a list.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from echoic.memory.types import Role

Body = Mapping[str, Any]
Kind = Literal["user", "assistant", "tool", "other"]
FIELDS = {"/chat/completions": "messages", "/responses": "input"}
"""Path of a request below the address -> the field that holds the conversation."""
WORDS = ("text", "input_text", "output_text")
"""Types of the parts that are words."""
THREADS = ("previous_response_id", "conversation")
"""Fields of a response's request that say where the conversation began, which then does not stand in it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks, and what memory must know of it."""

    field: str
    place: int | None
    """Where the caller's unanswered words stand in the list; None: they are the field itself."""
    text: str
    item_id: str
    """The same words at the same point of a conversation have the same id, so that they are stored once."""
    is_new: bool
    """False in a tool's step: the words were said before the tool was called."""
    previous: str
    """The caller's words before these."""
    context_ids: frozenset[str]
    """Ids of everything that the model is shown of the conversation."""
    last: str
    """What was said last, by anybody: a reply's id is told from it."""

    def reply_id(self, reply: str) -> str:
        """The id that the reply has in the next request, as a part of the conversation."""
        return _item_id(self.last, "assistant", reply)


def asked_in(field: str, body: Body) -> Asked | None:
    """What a request asks; None: nothing that a person said waits for an answer in it."""
    said, thread = body.get(field), str([body.get(name) for name in THREADS if body.get(name)] or "")
    if isinstance(said, str):
        item_id = _item_id(thread, "user", said)
        return Asked(field, None, said, item_id, True, "", frozenset({item_id}), said)
    if not isinstance(said, Sequence):
        return None
    at = _unanswered(said)
    if at is None:
        return None
    told = list(_told(said, thread))
    mine = next((item_id for place, _, _, item_id in told if place == at), "")
    before = [text for place, role, text, _ in told if role == "user" and place < at]
    is_new = all(_kind(one) == "other" for one in said[at + 1 :])
    return Asked(
        field,
        at,
        words_of(said[at]),
        mine,
        is_new,
        before[-1] if before else "",
        frozenset(item_id for *_, item_id in told),
        told[-1][2] if told else "",
    )


def with_block(body: Body, asked: Asked, block: str) -> dict[str, Any]:
    """A copy of the request with the block before the caller's words; what was given stays as it is."""
    if not block:
        return dict(body)
    said = body[asked.field]
    if asked.place is None:
        return {**body, asked.field: block + said}
    message = said[asked.place]
    content = message.get("content")
    if isinstance(content, str):
        content = block + content
    else:
        part = "text" if asked.field == "messages" else "input_text"
        content = [{"type": part, "text": block}, *(content or ())]
    return {
        **body,
        asked.field: [*said[: asked.place], {**message, "content": content}, *said[asked.place + 1 :]],
    }


def words_of(message: Any) -> str:
    """The words of one message: no image, no sound, no file."""
    content = message.get("content") if isinstance(message, Mapping) else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    found = [part.get("text") for part in parts if isinstance(part, Mapping) and part.get("type") in WORDS]
    return "\n".join(text for text in found if isinstance(text, str))


def _unanswered(said: Sequence[Any]) -> int | None:
    """A tool's result is no answer, nor is what was said before the tool was called."""
    in_tool_step = False
    for at in reversed(range(len(said))):
        kind = _kind(said[at])
        if kind == "user":
            return at
        if kind == "tool":
            in_tool_step = True
        elif kind == "assistant" and not in_tool_step:
            return None
    return None


def _kind(message: Any) -> Kind:
    if not isinstance(message, Mapping):
        return "other"
    role, kind = message.get("role"), str(message.get("type") or "")
    if role in ("tool", "function") or kind.endswith("_output") or kind == "mcp_approval_response":
        return "tool"
    if role == "user" or role == "assistant":
        return "user" if role == "user" else "assistant"
    return "other"


def _told(said: Sequence[Any], thread: str) -> Iterator[tuple[int, Role, str, str]]:
    """Place, speaker, words and id of everything that was said by the two."""
    before = thread
    for place, message in enumerate(said):
        kind = _kind(message)
        if kind in ("user", "assistant") and (text := words_of(message)):
            role: Role = "user" if kind == "user" else "assistant"
            yield place, role, text, _item_id(before, role, text)
            before = text


def _item_id(before: str, role: Role, text: str) -> str:
    told = f"{before.strip()}\0{role}\0{text.strip()}"
    return sha256(told.encode(errors="surrogatepass")).hexdigest()
