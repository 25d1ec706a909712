"""What a model is shown of the running call: the newest messages that fit.

Memory finds the older ones when they matter.
"""

from collections.abc import Sequence
from itertools import accumulate

from livekit.agents import llm

from echoic.memory.recall.prompt import estimate_tokens

KEPT_AFTER_CUT = 0.6
"""A cut leaves this share, so that the prompt begins the same, and the provider's prefix cache holds, for
many turns after."""
LONGEST_SHARE = 0.5
"""One message may take this share; of a longer one the model is shown the beginning and the end."""
LEFT_OUT = " […] "


def fit(items: Sequence[llm.ChatItem], max_tokens: int) -> list[llm.ChatItem]:
    """The instructions and the newest messages within about `max_tokens`, in order, as a new list.

    The caller's last words and what follows them always stay. The items themselves, which are the call's
    history, are not changed.
    """
    longest = int(max_tokens * LONGEST_SHARE)
    shown = [_shortened(item, longest) for item in items]
    first = _first_kept(shown, max_tokens)
    return [item for at, item in enumerate(shown) if at >= first or _is_instructions(item)]


def _first_kept(items: Sequence[llm.ChatItem], max_tokens: int) -> int:
    """Where the kept part begins. Told by the items alone, so that the next turn cuts at the same place."""
    newest = max((at for at, item in enumerate(items) if _is_words(item)), default=0)
    ends = list(accumulate(map(_tokens, items)))
    first = dropped = 0
    for end in ends:
        if end - dropped > max_tokens:
            while first < newest and end - dropped > max_tokens * KEPT_AFTER_CUT:
                dropped = ends[first]
                first += 1
    # a tool's result without its call is refused by models
    while 0 < first < newest and items[first].type != "message":
        first += 1
    return first


def _tokens(item: llm.ChatItem) -> int:
    if item.type == "message":
        return 0 if _is_instructions(item) else estimate_tokens(item.text_content or "")
    return estimate_tokens(getattr(item, "output", "") + getattr(item, "arguments", ""))


def _shortened(item: llm.ChatItem, max_tokens: int) -> llm.ChatItem:
    if item.type != "message" or _tokens(item) <= max_tokens:
        return item
    text = item.text_content or ""
    half = len(text) * max_tokens // _tokens(item) // 2
    rest = [part for part in item.content if not isinstance(part, str)]
    return item.model_copy(update={"content": [text[:half] + LEFT_OUT + text[len(text) - half :], *rest]})


def _is_instructions(item: llm.ChatItem) -> bool:
    return item.type == "message" and item.role in ("system", "developer")


def _is_words(item: llm.ChatItem) -> bool:
    return item.type == "message" and item.role == "user"
