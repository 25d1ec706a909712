"""The caller has a say over their memory, by voice and in writing, whatever model answers.

One path for all. A wish that `agent/commands/memory_commands.py` recognises never reaches the model: the
agent itself calls the tool that carries it out. Other ways to say it are left to the model, which is shown
the same tools if it can call any, and is told that nothing was deleted.

LiveKit runs a tool only once the turn has ended for good, so a wish is carried out once, however often a
reply was begun; what the tool returns is spoken as it is, and no model is asked.
"""

import asyncio
import itertools
import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from livekit.agents import RunContext, function_tool, llm

from echoic.agent.call.call import Call
from echoic.agent.call.registry import call_of
from echoic.agent.commands.command_handlers import UNTOUCHED, CommandContext, answer, execute, may_forget
from echoic.agent.commands.likely import likely_kind, likely_wish
from echoic.agent.commands.memory_commands import (
    Asked,
    CommandName,
    MemoryCommand,
    parse_memory_command,
    speaks_of_forgetting,
)
from echoic.agent.conversation import unanswered
from echoic.agent.livekit_api import conversation_of, take_out
from echoic.memory.call import CallMemory
from echoic.memory.recall.prompt import NOTHING_DELETED
from echoic.memory.recall.query_vector import QueryVector
from echoic.memory.store.turns import turn_id_for
from echoic.memory.text.canonical import tokens
from echoic.memory.text.language import UNKNOWN, Language, language_of, languages
from echoic.memory.text.words import is_small_talk, normalise

LAST_SAID = 6
"""Turns of the caller that tell in which language they are answered."""
LEAST_SAID = 4
"""Words: of sentences 226 of 229 were told right (tests/unit/wishes), and "Hello." was taken for Italian."""


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
    asks: bool = False
    """Whether the reply ends with the question that consent needs, if anything is said."""
    note: str = ""
    """One more line of the block."""


def offered(call: Call, tools: Sequence[llm.Tool]) -> list[llm.Tool]:
    """Echoic's tools, without those whose names the application's own among `tools` have: two of one name are
    refused by LiveKit, and what the own ones give back is the model's to read."""
    own = [tool for tool in tools if tool not in TOOLS]
    call.names_taken |= NAMES.intersection(llm.tool_context.get_fnc_tool_names(own))
    return [tool for tool in TOOLS if tool.info.name not in call.names_taken]


def plan_reply(
    items: Sequence[llm.ChatItem], tools: Sequence[llm.Tool], call: Call, unsaid: Collection[str] = ()
) -> ReplyPlan:
    """Look at the caller's words before the model does: a plain wish about memory is called out, and its
    result spoken, here.

    Args:
        items: the conversation; not changed.
        tools: those of the agent. A wish whose tool is not among them is left to the model.
        unsaid: as in `unanswered`.
    """
    seen = _without_wishes(items, call)
    others = [tool for tool in tools if tool not in TOOLS]
    asks = call.call_memory.consent_pending and not any(map(_asks, _messages(seen)))
    request, results = _request(items, call), _results(items, call)
    told = [one.output for one in results if one.output != UNTOUCHED]
    if told:
        again = call.pending is not None and results[-1].output == call.pending.question
        with_more = results[-1].name == "confirm_forgetting" and _messages(items)[-1] in seen and not again
        rest = with_more or (request is not None and bool(request.rest))
        spoken = " ".join(dict.fromkeys(told)) + (" " if rest else "")
        return ReplyPlan(seen, others, spoken, call_model=rest, asks=asks)
    if request is not None and _waits(items, unsaid) and any(tool in tools for tool in _tools_of(request)):
        return ReplyPlan(seen, others, _call(request), call_model=False)
    note = NOTHING_DELETED if results else _note(seen, call)
    left_to_model = call.shows_tools and request is None and not results
    return ReplyPlan(seen, list(tools) if left_to_model else others, asks=asks, note=note)


async def consent_question(items: Sequence[llm.ChatItem], chosen: str = "") -> str:
    """Whether the caller may be remembered, in the language that they chose, or speak."""
    # the first time in a process it takes 0.1 s to tell a language
    return f" {answer('question', await asyncio.to_thread(_language, _messages(items), chosen))}"


def has_words(chunk: object) -> bool:
    """Whether a piece of a reply is something to hear."""
    if isinstance(chunk, llm.ChatChunk):
        return chunk.delta is not None and bool(chunk.delta.content)
    return isinstance(chunk, str) and bool(chunk.strip())


async def note_likely(
    items: Sequence[llm.ChatItem],
    call: Call,
    limit_s: float,
    vector: QueryVector | None,
    unsaid: Collection[str] = (),
) -> None:
    """Where the model is shown no tools, and the caller's last words are no plain wish or answer: what they
    most likely are.

    Args:
        vector: with which memory is asked for these very words.
        unsaid: as in `unanswered`.

    Raises:
        TimeoutError: the embedding took longer than that.
        ModelUnavailable: it does not answer.
    """
    said = None if call.shows_tools or unanswered(items, unsaid) is None else _last_words(items, call)
    if said is None or said in call.likely:
        return
    asked, words = said
    # the first wish of a language makes its pattern, 0.1 s: no embedding is late for that
    if parse_memory_command(words, asked=asked) is None and (asked or not is_small_talk(words)):
        async with asyncio.timeout(limit_s):
            known = await vector.get() if vector is not None else None
            call.likely[said] = await likely_kind(words, call.call_memory.memory.embedder, asked, known)


def _request(items: Sequence[llm.ChatItem], call: Call) -> MemoryCommand | None:
    """The wish in the caller's last words."""
    if (said := _last_words(items, call)) is None:
        return None
    found, kind = parse_memory_command(said[1], asked=said[0]), call.likely.get(said)
    if found is not None or kind is None or kind in ("nothing", "unsure", "no"):
        return found
    if kind != "yes":
        return likely_wish(said[1], kind)
    wish: CommandName = "confirm_forgetting" if said[0] == "may_forget" else "remember_again"
    return MemoryCommand(wish, likely=True)


def _last_words(items: Sequence[llm.ChatItem], call: Call) -> tuple[Asked, str] | None:
    """What the caller said last, and what the agent had asked of memory just before."""
    messages = _messages(items)
    last = next((at for at in reversed(range(len(messages))) if messages[at].role == "user"), None)
    if last is None:
        return None
    return _asked(messages[last - 1], call) if last else "", messages[last].text_content or ""


def _messages(items: Sequence[llm.ChatItem]) -> list[llm.ChatMessage]:
    return [
        item for item in items if isinstance(item, llm.ChatMessage) and item.role in ("user", "assistant")
    ]


def _asked(message: llm.ChatMessage, call: Call) -> Asked:
    """What the agent asked of memory with these words."""
    return "may_forget" if may_forget(call, message) else "may_remember" if _asks(message) else ""


def _note(seen: Sequence[llm.ChatItem], call: Call) -> str:
    """Where the caller spoke of deleting, or was asked about it, and nothing was deleted."""
    *before, last = [None, *_messages(seen)][-2:]
    if last is None or last.role != "user":
        return ""
    refused = any(message is not None and may_forget(call, message) for message in before)
    return NOTHING_DELETED if refused or speaks_of_forgetting(last.text_content or "") else ""


def _waits(items: Sequence[llm.ChatItem], unsaid: Collection[str]) -> bool:
    """Are the caller's words unanswered and untouched by any tool? Instructions for the reply may follow."""
    at = unanswered(items, unsaid)
    return at is not None and all(
        item.type not in ("function_call", "function_call_output") for item in items[at:]
    )


def _is_last(items: Sequence[llm.ChatItem]) -> bool:
    """Do the caller's words stand at the end?"""
    return bool(items) and isinstance(items[-1], llm.ChatMessage) and items[-1].role == "user"


def _results(items: Sequence[llm.ChatItem], call: Call) -> list[llm.FunctionCallOutput]:
    """What the tools of the step before returned, if they were all for wishes about memory."""
    since = itertools.takewhile(lambda item: item.type != "message", reversed(items))
    outputs = [item for item in since if isinstance(item, llm.FunctionCallOutput)][::-1]
    return outputs if all(output.name in NAMES - call.names_taken for output in outputs) else []


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


def _without_wishes(items: Sequence[llm.ChatItem], call: Call) -> list[llm.ChatItem]:
    """The conversation without what was forgotten, and without plain wishes, their tool calls and
    confirmations.

    What was answered stays: what is known about the caller, and words that came with a wish.
    """
    kept: list[llm.ChatItem] = []
    confirms, wish_stays = False, False
    for item in items:
        if isinstance(item, llm.ChatMessage):
            gone = is_gone(item, call.call_memory)
            wish_stays = item.role == "user" and not gone
            confirms = confirms and item.role == "assistant"
            if not confirms and not gone:
                kept.append(item)
        elif getattr(item, "name", None) not in NAMES - call.names_taken:
            kept.append(item)
        elif item.type == "function_call":
            # a wish that stays forgot nothing: what came of it is a question, or the model's own answer
            confirms = not wish_stays if item.name in FORGETTING else _take_plain_wish(kept, call)
    return kept


def _take_plain_wish(kept: list[llm.ChatItem], call: Call) -> bool:
    """Take the wish that stands last, if it is nothing but a wish to be remembered or not."""
    request = _request(kept, call)
    if request is None or request.rest or request.likely or not _is_last(kept):
        return False
    if request.wish == "what_do_you_know":
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


def _asks(message: llm.ChatMessage) -> bool:
    said = normalise(message.text_content or "")
    return message.role == "assistant" and any(question in said for question in _questions())


@cache
def _questions() -> frozenset[str]:
    return frozenset(normalise(answer("question", language)) for language in languages().values())


def _language(messages: Sequence[llm.ChatMessage], chosen: str = "") -> Language:
    """The one that they chose, by its ISO 639-1 code; else that of the caller's last turns."""
    if chosen in languages():
        return languages()[chosen]
    said = [message.text_content or "" for message in messages if message.role == "user"][-LAST_SAID:]
    return language_of(said) if len(tokens(" ".join(said))) >= LEAST_SAID else UNKNOWN


async def _by_tool(request: MemoryCommand, context: RunContext) -> str:
    """Carry it out for the agent that is speaking; once begun it is finished, also when the caller speaks
    over it."""
    session, call = context.session, call_of(context.session)
    if call is None:
        return answer("no_memory", UNKNOWN)
    memory = call.call_memory
    if call.memory_of_turn is not memory:  # whose wish it was is heard no longer
        return UNTOUCHED
    messages = _messages(_without_wishes(call.shown(conversation_of(session)), call))
    used, heard, language = call.recalls.used_before(messages), _request(messages, call), UNKNOWN
    if heard is not None and heard.wish in (request.wish, "nothing"):
        request, language = heard, heard.language
    if language is UNKNOWN:
        language = await asyncio.to_thread(_language, messages, memory.choices.language_code)
    spoken = CommandContext(call, memory, language, messages, used)
    return await memory.finish(_finished(request, spoken, session), "say.carry_out")


async def carry_out_last_words(call: Call, items: Sequence[llm.ChatItem]) -> None:
    """Do what the caller's words at the end of a conversation plainly wish of memory: they have hung up, and
    no reply will."""
    seen = _without_wishes(items, call)
    messages, request = _messages(seen), _request(seen, call)
    if not _is_last(items) or seen[-1:] != items[-1:] or request is None or request.likely:
        return
    used = call.recalls.used_before(messages)
    await execute(request, CommandContext(call, call.call_memory, request.language, messages, used))


async def _finished(request: MemoryCommand, spoken: CommandContext, session: Any) -> str:
    sentence = await execute(request, spoken)
    if spoken.memory.forgotten_ids:
        await take_out(session, lambda item: is_gone(item, spoken.memory))
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

    Not for "forget it" or "never mind", which ask for nothing.

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
async def confirm_forgetting(context: RunContext) -> str:
    """The caller says yes to what you have just read back to them of what would be forgotten."""
    return await _by_tool(MemoryCommand("confirm_forgetting"), context)


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
    confirm_forgetting,
    stop_remembering,
    remember_again,
    forget_everything,
)
NAMES = frozenset(tool.info.name for tool in TOOLS)
FORGETTING = frozenset({"forget_that", "dont_remember_this", "confirm_forgetting"})


def _tools_of(request: MemoryCommand) -> list[llm.Tool]:
    return [tool for tool in TOOLS if tool.info.name == request.wish]
