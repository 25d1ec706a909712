"""One reply: memory is asked under its deadline, then the agent's own `llm_node` speaks.

Nothing here writes.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, aclosing
from typing import Any
from zoneinfo import ZoneInfo

from livekit.agents import Agent, FlushSentinel, ModelSettings, llm

from echoic.agent.call.call import Call
from echoic.agent.call.registry import call_of
from echoic.agent.call.telemetry import record_recall
from echoic.agent.commands.memory_tools import (
    TOOLS,
    ReplyPlan,
    consent_question,
    has_words,
    note_likely,
    offered,
    plan_reply,
)
from echoic.agent.conversation import ALWAYS_SHOWN, previous_words, unanswered
from echoic.agent.livekit_api import current_session, unsaid
from echoic.memory.call import CallMemory
from echoic.memory.errors import MemoryFault
from echoic.memory.recall.prompt import OPEN, compose, noted
from echoic.memory.recall.query_vector import QueryVector
from echoic.memory.recall.recaller import EMBEDDER, asked_text
from echoic.memory.types import Recall, TierResult

log = logging.getLogger("echoic.agent")

Node = Callable[[llm.ChatContext, list[llm.Tool], ModelSettings], Any]
"""An agent's `llm_node`, bound to it."""
Chunk = llm.ChatChunk | str | FlushSentinel
UNREACHED = Recall(tiers={"recent": TierResult("failed"), "facts": TierResult("failed")})
"""The last recall when memory itself broke: the reply went on without it."""


def remembering(agent: Agent, node: Node) -> Node:
    """`node` with the memory of whichever call it is asked for; as it is in a session without memory."""

    def llm_node(chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings) -> Any:
        call = call_of(session := current_session(agent))
        if call is None:
            return node(chat_ctx, tools, model_settings)
        # LiveKit runs what stands in its list, whichever the model is shown
        tools.extend(tool for tool in offered(call, tools) if tool not in tools)
        return reply(call, session, node, chat_ctx, tools, model_settings)

    llm_node.remembers = True  # type: ignore[attr-defined]
    return llm_node


def known_block(call_memory: CallMemory, *, only_due: bool = False) -> str:
    """What is known about the caller when the call begins, as one block; empty for a new caller.

    No store is asked.

    Args:
        only_due: what was promised and is due, alone.
    """
    recent, memory = call_memory.recent, call_memory.memory
    settings, now = memory.settings, memory.now()
    known = ((), ()) if only_due else (recent.profile, recent.last_call)
    return compose(
        [],
        *known,
        question="",
        context=(),
        now=now,
        zone=ZoneInfo(call_memory.caller.timezone),
        max_tokens=settings.recall_max_tokens,
        max_items=settings.recall_items,
        due=recent.due(now),
    )[0]


async def reply(
    call: Call,
    session: Any,
    node: Node,
    chat_ctx: llm.ChatContext,
    tools: list[llm.Tool],
    model_settings: ModelSettings,
) -> AsyncGenerator[Chunk, None]:
    """Put what is remembered before the caller's unanswered words, in this reply's copy only, and stream the
    answer of `node`.

    Whatever is wrong with memory, the caller gets an answer.

    Args:
        tools: LiveKit's list; `node` is given one of its own.
    """
    # lists of our own: LiveKit shows its list to the next tool step, and blocks would stack up there
    await call.wait_identified(call.call_memory.memory.settings.recall_budget_s)
    items = call.shown(chat_ctx.items)
    added = unsaid(session, items, call.call_memory.began)
    budget_s = await _note_likely_wish(call, items, added, await _look_ahead(call, items, added))
    # LiveKit runs no tool at all for such a reply, and nothing else would be said to a wish
    usable = tools if model_settings.tool_choice != "none" else [one for one in tools if one not in TOOLS]
    plan = _plan(call, items, usable, added)
    spoke = has_words(plan.prefix)
    if plan.prefix is not None:
        yield plan.prefix
    if plan.call_model:
        context = llm.ChatContext(plan.items)
        with ExitStack() as after:  # what no caller waits for
            await _remember(call, context.items, added, plan.note, after, budget_s)
            async with aclosing(_stream(node(context, plan.tools, model_settings))) as chunks:
                async for chunk in chunks:
                    spoke = spoke or has_words(chunk)
                    # `node` may have put some of its own into the list that it was given
                    tools.extend(tool for tool in plan.tools if tool not in tools)
                    yield chunk
    if spoke and plan.asks:
        yield await consent_question(plan.items, call.call_memory.choices.language_code)


async def _look_ahead(call: Call, items: Sequence[llm.ChatItem], added: frozenset[str]) -> QueryVector | None:
    """The words are with the embedding server, another process, while wishes are looked for (1 ms).

    Returns the vector of those very words, if memory is asked with that.
    """
    if (at := unanswered(items, added)) is None:
        return None
    words, previous = items[at].text_content or "", previous_words(items[:at])  # type: ignore[union-attr]
    try:
        started = call.call_memory.prefetch(words, context_item_ids=_ids(items), previous_user_text=previous)
    except Exception as exc:
        log.error("turn.recall_broke", extra={"error": type(exc).__name__})
        return None
    if started is None:
        return None
    await asyncio.sleep(0)  # its tasks begin
    return started.vector if asked_text(words, previous) == words else None


async def _note_likely_wish(
    call: Call, items: Sequence[llm.ChatItem], added: frozenset[str], vector: QueryVector | None
) -> float:
    """What the words may wish of memory is asked of their meaning, while memory is looked up.

    Returns what is left of the seconds that a reply waits for memory; at least half of them.
    """
    memory, began = call.call_memory.memory, time.monotonic()
    budget_s, breaker = memory.settings.recall_budget_s, memory.recaller.breakers.get(EMBEDDER)
    if breaker is not None and breaker.state == "closed":
        try:
            await note_likely(items, call, budget_s / 2, vector, added)
        except (TimeoutError, MemoryFault):
            pass  # the words stay with the model; whoever embeds the question counts the fault
        except Exception as exc:
            log.error("turn.wish_broke", extra={"error": type(exc).__name__})
    return budget_s - (time.monotonic() - began)


def _plan(call: Call, items: list[llm.ChatItem], tools: list[llm.Tool], added: frozenset[str]) -> ReplyPlan:
    try:
        return plan_reply(items, tools, call, added)
    except Exception as exc:
        log.error("turn.wish_broke", extra={"error": type(exc).__name__})
        return ReplyPlan(items, [tool for tool in tools if tool not in TOOLS])


async def _remember(
    call: Call,
    items: list[llm.ChatItem],
    added: frozenset[str],
    note: str,
    after: ExitStack,
    budget_s: float,
) -> None:
    at = unanswered(items, added)
    if at is None:
        _begin(call, items)
        return
    message = items[at]
    assert isinstance(message, llm.ChatMessage)
    recall = await _recall(call, message, items, at, after, budget_s)
    if block := noted(rendered(call, recall), note):
        # the items are history itself, only the list is ours: never edit one
        items[at] = message.model_copy(update={"content": [block, *message.content]})


def _begin(call: Call, items: list[llm.ChatItem]) -> None:
    """Nobody has spoken yet: what was promised and is due stands behind the instructions for the greeting."""
    told = [item for item in items if item.type == "message"]
    if not told or any(item.role not in ALWAYS_SHOWN or OPEN in (item.text_content or "") for item in told):
        return
    try:
        block = known_block(call.call_memory, only_due=True)
    except Exception as exc:
        log.error("turn.recall_broke", extra={"error": type(exc).__name__})
        return
    if block:
        at = items.index(told[0])
        items[at] = told[0].model_copy(update={"content": [*told[0].content, block]})


def rendered(call: Call, recall: Recall) -> str:
    """What the application makes of a recall; the block where that is no text."""
    try:
        if isinstance(made := call.render(recall) or "", str):
            return made
        raise TypeError(type(made))
    except Exception as exc:  # the application's own: its callers do not pay for it
        log.error("turn.render_broke", extra={"error": type(exc).__name__})
        return recall.block


def _ids(items: Sequence[llm.ChatItem]) -> frozenset[str]:
    return frozenset(item.id for item in items if item.type == "message")


async def _recall(
    call: Call,
    message: llm.ChatMessage,
    items: Sequence[llm.ChatItem],
    at: int,
    after: ExitStack,
    budget_s: float,
) -> Recall:
    began_ns, words, recall = time.time_ns(), message.text_content or "", UNREACHED
    try:
        memory = call.call_memory.memory
        recall = await call.call_memory.recall(
            words,
            context_item_ids=_ids(items),
            previous_user_text=previous_words(items[:at]),
            budget_s=budget_s,
        )
        after.callback(
            record_recall,
            recall,
            began_ns=began_ns,
            settings=memory.settings,
            breakers=memory.recaller.breakers,
            words=words,
        )
    except Exception as exc:
        log.error("turn.recall_broke", extra={"error": type(exc).__name__})
    call.recalls.note(words, recall)
    if call.turn_log is not None:
        call.turn_log.recalled(message.id, recall)
    return recall


async def _stream(answer: Any) -> AsyncGenerator[Chunk, None]:
    """What an `llm_node` may give back, as chunks: a stream, one text, or nothing; awaited or not."""
    if inspect.isawaitable(answer):
        answer = await answer
    if isinstance(answer, (str, llm.ChatChunk)):
        yield answer
    elif isinstance(answer, AsyncIterable):
        async with AsyncExitStack() as stack:
            if hasattr(answer, "aclose"):
                stack.push_async_callback(answer.aclose)
            async for chunk in answer:
                yield chunk
