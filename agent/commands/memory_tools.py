"""The caller has a say over their memory, by voice and in writing, whatever model answers.

One path for all. A wish that the rules of `agent/commands/memory_commands.py` recognise never reaches the
model: the agent itself calls the tool that carries it out. Other ways to say it are left to the model, which
is shown the same tools if it can call any. LiveKit runs a tool only once the turn has ended for good, so a
wish is carried out once, however often a reply was begun; what the tool returns is spoken as it is, and no
model is asked.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from livekit.agents import RunContext, function_tool, llm

from echoic.agent.call.registry import call_of
from echoic.agent.commands.command_handlers import NO_MEMORY, CommandContext, execute
from echoic.agent.commands.memory_commands import MemoryCommand, parse_memory_command
from echoic.agent.livekit_api import conversation_of, take_out
from echoic.memory.call import CallMemory
from echoic.memory.store.turns import turn_id_for
from echoic.memory.text.words import normalise

QUESTION = "May I remember what we talk about for next time?"
"""Asked at the end of a reply, once a call, of those who have not said yet, where the setting says `ask`."""


@dataclass(frozen=True, slots=True)
class ReplyPlan:
    """What is to be said to the caller's last words, as far as memory is concerned."""

    items: list[llm.ChatItem]
    """The conversation as the model may see it: without what was forgotten, and without these wishes' tool
    calls."""
    tools: list[llm.Tool]
    """Those that the model is shown."""
    prefix: llm.ChatChunk | str | None = None
    """Said before the model speaks."""
    call_model: bool = True
    """False: everything is said with `prefix`."""
    suffix: str = ""
    """Said after the model's words, if there are any: the question whether the caller may be remembered."""


def plan_reply(
    items: Sequence[llm.ChatItem],
    tools: Sequence[llm.Tool],
    call_memory: CallMemory,
    *,
    model_calls_tools: bool,
) -> ReplyPlan:
    """Look at the caller's words before the model does: a plain wish about memory is called out, and its
    result spoken, here.

    Args:
        items: the conversation; not changed.
        tools: those of the agent. A wish whose tool is not among them is left to the model.
        model_calls_tools: whether the model is shown the tools for wishes that no rule recognises.
    """
    seen = _without_wishes(items, call_memory)
    others = [tool for tool in tools if tool not in TOOLS]
    question = _question(seen, call_memory)
    results = _results(items)
    request = _request(items)
    if results:
        rest = request is not None and bool(request.rest)
        spoken = " ".join(dict.fromkeys(results))
        return ReplyPlan(
            seen,
            others,
            spoken + (" " if rest else question),
            call_model=rest,
            suffix=question if rest else "",
        )
    if request is not None and _tool_of(request) in tools and _is_last(items):
        return ReplyPlan(seen, others, _call(request), call_model=False)
    return ReplyPlan(seen, list(tools) if model_calls_tools else others, suffix=question)


def has_words(chunk: object) -> bool:
    """Whether a piece of a reply is something to hear."""
    if isinstance(chunk, llm.ChatChunk):
        return chunk.delta is not None and bool(chunk.delta.content)
    return isinstance(chunk, str) and bool(chunk.strip())


def _request(items: Sequence[llm.ChatItem]) -> MemoryCommand | None:
    """The wish in the caller's last words."""
    messages = [
        item for item in items if isinstance(item, llm.ChatMessage) and item.role in ("user", "assistant")
    ]
    last = next((at for at in reversed(range(len(messages))) if messages[at].role == "user"), None)
    if last is None:
        return None
    return parse_memory_command(
        messages[last].text_content or "", answering=last > 0 and _asks(messages[last - 1])
    )


def _is_last(items: Sequence[llm.ChatItem]) -> bool:
    """Do the caller's words stand at the end, unanswered and untouched by any tool?"""
    return bool(items) and isinstance(items[-1], llm.ChatMessage) and items[-1].role == "user"


def _results(items: Sequence[llm.ChatItem]) -> list[str]:
    """What the tools of the step before returned, if they were all for wishes about memory."""
    outputs: list[llm.FunctionCallOutput] = []
    for item in reversed(items):
        if item.type == "message":
            break
        if item.type == "function_call_output":
            outputs.append(item)
    return (
        [output.output for output in reversed(outputs)]
        if all(output.name in NAMES for output in outputs)
        else []
    )


def _call(request: MemoryCommand) -> llm.ChatChunk:
    arguments: dict[str, Any] = {}
    if request.about:
        arguments["about"] = request.about
    if request.this_alone:
        arguments["applies_to_this_message"] = True
    call = llm.FunctionToolCall(
        name=request.wish, arguments=json.dumps(arguments), call_id=f"wish_{uuid.uuid4().hex[:12]}"
    )
    return llm.ChatChunk(id=call.call_id, delta=llm.ChoiceDelta(role="assistant", tool_calls=[call]))


def _without_wishes(items: Sequence[llm.ChatItem], call_memory: CallMemory) -> list[llm.ChatItem]:
    """The conversation without what was forgotten, and without plain wishes, their tool calls and
    confirmations.

    What was answered stays: what is known about the caller, and words that came with a wish.
    """
    kept: list[llm.ChatItem] = []
    confirms = False
    for item in items:
        if isinstance(item, llm.ChatMessage):
            confirms = confirms and item.role == "assistant"
            if not confirms and not is_gone(item, call_memory):
                kept.append(item)
        elif getattr(item, "name", None) not in NAMES:
            kept.append(item)
        elif item.type == "function_call":
            confirms = item.name in FORGETTING or _take_plain_wish(kept)
    return kept


def _take_plain_wish(kept: list[llm.ChatItem]) -> bool:
    """Take the wish that stands last, if it is nothing but a wish to be remembered or not."""
    request = _request(kept)
    if request is None or request.rest or request.wish == "what_do_you_know" or not _is_last(kept):
        return False
    kept.pop()
    return True


def is_gone(item: llm.ChatItem, call_memory: CallMemory) -> bool:
    """Was this item of the conversation forgotten?"""
    return (
        bool(call_memory.forgotten_ids)
        and item.type == "message"
        and turn_id_for(call_memory.caller.call_id, item.id) in call_memory.forgotten_ids
    )


def _question(seen: Sequence[llm.ChatItem], call_memory: CallMemory) -> str:
    """The question that consent needs, unless it was heard in this call already."""
    if not call_memory.consent_pending or any(
        isinstance(item, llm.ChatMessage) and _asks(item) for item in seen
    ):
        return ""
    return f" {QUESTION}"


def _asks(message: llm.ChatMessage) -> bool:
    return message.role == "assistant" and normalise(QUESTION) in normalise(message.text_content or "")


async def _by_tool(request: MemoryCommand, context: RunContext) -> str:
    """Carry it out for the agent that is speaking; once begun it is finished, also when the caller speaks
    over it."""
    session, call = context.session, call_of(context.session)
    if call is None:
        return NO_MEMORY
    call_memory = call.call_memory
    seen = _without_wishes(call.shown(conversation_of(session)), call_memory)
    messages = [
        item for item in seen if isinstance(item, llm.ChatMessage) and item.role in ("user", "assistant")
    ]
    spoken = CommandContext(call_memory, messages, call.recalls.used_before(messages), call.capture)
    return await call_memory.finish(_finished(request, spoken, session), "say.carry_out")


async def _finished(request: MemoryCommand, spoken: CommandContext, session: Any) -> str:
    sentence = await execute(request, spoken)
    if spoken.call_memory.forgotten_ids:
        await take_out(session, lambda item: is_gone(item, spoken.call_memory))
    return sentence


@function_tool
async def what_do_you_know(context: RunContext) -> str:
    """The caller asks what you know or remember about them, in general.

    Not for questions about one particular thing.
    """
    return await _by_tool(MemoryCommand("what_do_you_know"), context)


@function_tool
async def forget_that(context: RunContext, about: str = "") -> str:
    """The caller wants something forgotten: what was just said, or one thing that they name.

    Args:
        about: the thing, in the caller's own words, such as "my dog"; empty for what was just said.
    """
    return await _by_tool(MemoryCommand("forget_that", about=about), context)


@function_tool
async def dont_remember_this(context: RunContext, applies_to_this_message: bool = False) -> str:
    """The caller does not want something remembered that they just said, or say now.

    Args:
        applies_to_this_message: their last message itself holds what must not be remembered.
    """
    return await _by_tool(MemoryCommand("dont_remember_this", this_alone=applies_to_this_message), context)


@function_tool
async def stop_remembering(context: RunContext) -> str:
    """The caller does not want to be remembered from now on, or refused when they were asked whether they may
    be."""
    return await _by_tool(MemoryCommand("stop_remembering"), context)


@function_tool
async def remember_again(context: RunContext) -> str:
    """The caller agrees to be remembered, or wants it again after having stopped it."""
    return await _by_tool(MemoryCommand("remember_again"), context)


@function_tool
async def forget_everything(context: RunContext) -> str:
    """The caller wants everything about them erased."""
    return await _by_tool(MemoryCommand("forget_everything"), context)


TOOLS: tuple[llm.FunctionTool[..., Any], ...] = (
    what_do_you_know,
    forget_that,
    dont_remember_this,
    stop_remembering,
    remember_again,
    forget_everything,
)
NAMES = frozenset(tool.info.name for tool in TOOLS)
FORGETTING = frozenset({"forget_that", "dont_remember_this"})


def _tool_of(request: MemoryCommand) -> llm.Tool:
    return next(tool for tool in TOOLS if tool.info.name == request.wish)
