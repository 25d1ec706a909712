"""`echoic talk`: a conversation in a terminal or through a pipe, with the agent, the memory and the faults of
a real call."""

import asyncio
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from livekit.agents import llm

from echoic.agent.assistant import MemoryAgent
from echoic.agent.call.text_call import Answer, TextCall, open_text_call
from echoic.agent.commands.memory_commands import parse_memory_command
from echoic.agent.config import AgentSettings
from echoic.agent.model import ModelAddress, calls_tools, connect_options, explain, open_llm
from echoic.agent.terminal.formatting import as_json, count, memories_lines, memory_line, why_lines
from echoic.agent.terminal.terminal import Terminal
from echoic.memory.config import MemorySettings
from echoic.memory.errors import MemoryFault
from echoic.memory.identity.ids import check_user_id
from echoic.memory.privacy.erase import erase_user
from echoic.memory.service import Memory, open_memory
from echoic.memory.text.words import clean
from echoic.memory.types import Caller

HELP = """\
/why        what was recalled for the last reply
/memories   what is remembered about you
/forget     erase everything about you (asks first; in a pipe the next line must be "yes")
/user NAME  talk as somebody else; a new call begins
/quit       end the call (Ctrl-D and Ctrl-C do too)"""


async def converse(
    user_id: str,
    settings: MemorySettings,
    agent_settings: AgentSettings,
    address: ModelAddress,
    terminal: Terminal,
    *,
    as_json: bool,
) -> None:
    """Open memory and the model, and talk as `user_id` until the input ends.

    Raises:
        ConfigInvalid, SchemaMismatch, StoreUnavailable: memory cannot be opened; once it is open, a store
            that dies ends nothing.
    """
    check_user_id(user_id)
    async with open_memory(settings) as memory, open_llm(address) as model:
        if memory.graph_fault:
            terminal.hint(f"The graph is not used: {memory.graph_fault}")
        await Talk(memory, model, address, agent_settings, terminal, as_json=as_json).run(user_id)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended."""

    next_user: str | None = None
    """Who calls next; None when the talk is over."""
    erase: bool = False
    """Whether the user of the ended call is to be erased before."""


class Talk:
    """One terminal, and the calls made at it one after the other.

    Args:
        as_json: one object a turn on standard output, and nothing else.
    """

    def __init__(
        self,
        memory: Memory,
        model: llm.LLM,
        address: ModelAddress,
        settings: AgentSettings,
        terminal: Terminal,
        *,
        as_json: bool = False,
    ) -> None:
        self._memory, self._model, self._address, self._settings = memory, model, address, settings
        self._terminal, self._as_json = terminal, as_json
        self._call: TextCall | None = None
        self._last: Answer | None = None
        self._put_back: str | None = None
        self._refused = 0

    async def run(self, user_id: str) -> None:
        """Talk until the input ends or the person leaves; whatever was heard is then durable, and its
        learning enqueued."""
        with _on_signals(self._leave):
            ended = await self._one_call(user_id)
            while ended.next_user is not None and not self._terminal.leaving:
                if ended.erase:
                    await self._erase(ended.next_user)
                ended = await self._one_call(ended.next_user)

    async def _one_call(self, user_id: str) -> Ended:
        zone = self._memory.settings.timezone
        caller = Caller(user_id, self._memory.settings.agent_id, uuid.uuid4().hex, zone)
        call_memory = await self._memory.open_call(caller)
        if not call_memory.loaded:
            self._terminal.hint(f"This call begins without what was said before. {call_memory.load_fault}")
        greet = self._settings.greet_on_return and not self._as_json
        agent = MemoryAgent(
            instructions=self._settings.instructions,
            context_tokens=self._settings.context_tokens,
            greet_on_return=greet,
        )
        patience = connect_options(self._settings)
        tools = await calls_tools(self._memory, self._address, self._settings.model_tools)
        async with open_text_call(
            call_memory, agent, self._model, sink=self._sink, patience=patience, shows_tools=tools
        ) as call:
            self._call, self._last = call, None
            if (greeting := await agent.wait_greeted()) is not None and greeting.chat_items:
                self._terminal.stream("\n")
            return await self._converse(call)

    async def _converse(self, call: TextCall) -> Ended:
        while (line := await self._read()) is not None:
            words = clean(line).strip()
            if words.startswith("/"):
                if (ended := await self._command(words, call.call_memory.caller)) is not None:
                    return ended
            elif words:
                await self._turn(words, call)
        return Ended()

    async def _turn(self, words: str, call: TextCall) -> None:
        answer = self._last = await call.ask(words)
        if answer.reply and not self._as_json:
            self._terminal.stream("\n")
        if answer.fault is not None:
            self._terminal.say(explain(answer.fault, self._address, self._settings))
        elif not answer.reply and not self._terminal.leaving:
            self._terminal.say("The model answered nothing.")
        if self._as_json:
            self._terminal.result(as_json(answer))
        else:
            self._terminal.hint(
                memory_line(
                    answer,
                    spooled=self._memory.spool.waiting,
                    refused=not self._memory.recorder.is_away,
                    queue_fails=self._queue_fails(),
                )
            )
        if answer.unstored:
            self._terminal.say(f"What was just said is not stored yet: {answer.unstored}")

    def _queue_fails(self) -> bool:
        """Whether Redis has refused something since this was asked last; it is told in the background, so
        maybe a turn later."""
        before, self._refused = self._refused, self._memory.jobs.failed
        return self._refused > before

    async def _command(self, words: str, caller: Caller) -> Ended | None:
        name, _, rest = words.partition(" ")
        try:
            match name:
                case "/quit":
                    return Ended()
                case "/user":
                    return self._become(rest.strip())
                case "/forget":
                    return await self._forget(caller)
                case "/why":
                    self._show(why_lines(self._last, caller.timezone))
                case "/memories":
                    facts, turns = (
                        self._memory.facts.each(caller.user_id),
                        self._memory.turns.each(caller.user_id),
                    )
                    async for line in memories_lines(facts, turns, caller.user_id, caller.timezone):
                        self._terminal.say(line)
                case "/help":
                    self._terminal.say(HELP)
                case _:
                    self._terminal.say(f"There is no command {name[:40]}; /help lists them.")
        except MemoryFault as exc:
            self._terminal.say(str(exc))
        return None

    def _become(self, user_id: str) -> Ended:
        check_user_id(user_id)
        self._terminal.say(f"You are “{user_id}” now; a new call begins.")
        return Ended(user_id)

    async def _forget(self, caller: Caller) -> Ended | None:
        self._terminal.say(
            f"Everything about “{caller.user_id}” will be erased and cannot be brought back. Type yes to do "
            "it."
        )
        line = await self._read()
        if line is not None and line.strip().lower() == "yes":
            return Ended(caller.user_id, erase=True)
        self._terminal.say("Nothing was erased.")
        if not self._terminal.interactive and not _is_no(line or ""):
            self._put_back = line  # in a pipe it is the next turn, and no turn is lost
        return None

    async def _erase(self, user_id: str) -> None:
        try:
            report = await erase_user(self._memory, user_id)
        except MemoryFault as exc:
            self._terminal.say(f"Nothing was erased: {exc}")
            return
        self._terminal.say(
            f"Erased {count(report.turns, 'turn')} and {count(report.facts, 'fact')}; a new call begins."
        )
        for sentence in report.unfinished:
            self._terminal.say(sentence)

    async def _read(self) -> str | None:
        if self._put_back is not None:
            line, self._put_back = self._put_back, None
            return line
        return await self._terminal.read()

    def _show(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._terminal.say(line)

    def _sink(self, words: str) -> None:
        if not self._as_json:
            self._terminal.stream(words)

    def _leave(self) -> None:
        self._terminal.leave()
        if self._call is not None:
            self._call.interrupt()


def _is_no(line: str) -> bool:
    """A plain no to "shall I forget it?", in any language, and no word more."""
    answer = parse_memory_command(line, asked="may_forget")
    return answer is not None and answer.wish == "nothing" and not answer.rest


@contextmanager
def _on_signals(leave: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C, or a terminal that closes, ends the call in order; a second one ends the program."""
    loop, signals = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def first() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        leave()

    for number in signals:
        loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
