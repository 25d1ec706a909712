"""What a test of the agent needs: a model that says what it is told, and a call's memory without stores."""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from livekit.agents import AgentSession, llm

from echoic.agent.call.call import Call
from echoic.agent.call.registry import bind
from echoic.memory.config import MemorySettings
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.store.turns import turn_id_for
from echoic.memory.types import Caller, Recall, Role, TierResult, Turn
from tests.fake_llm import FakeLLM, Reply


class ScriptedLLM(FakeLLM):
    """Gives one scripted reply a call, and keeps in `seen[n]` the messages that the model was shown."""

    def __init__(self, *replies: Reply | Sequence[Reply]) -> None:
        super().__init__()
        self._replies = list(replies)
        self.seen: list[list[dict[str, Any]]] = []

    def reply(self, context: llm.ChatContext) -> Reply | Sequence[Reply]:
        self.seen.append(context.to_provider_format("openai")[0])
        return self._replies.pop(0) if self._replies else "ok"

    def texts(self, call: int = -1) -> list[str]:
        """What stood in each message of one call, newest call by default."""
        return [_text(message.get("content")) for message in self.seen[call]]


@dataclass
class _Memory:
    settings: MemorySettings = field(default_factory=MemorySettings)
    recaller: Any = field(default_factory=lambda: SimpleNamespace(breakers={}))
    recorder: Any = field(default_factory=lambda: SimpleNamespace(watchers=[]))

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class FakeCallMemory:
    """Answers every recall with one block, and keeps what it was asked and given."""

    block: str = "<memory>\n- The dog is called Biscuit\n</memory>\n"
    fault: BaseException | None = None
    caller: Caller = field(default_factory=lambda: Caller("maya", "echoic", uuid.uuid4().hex))
    memory: _Memory = field(default_factory=_Memory)
    recent: RecentTurns = field(default_factory=RecentTurns)
    asked: list[dict[str, Any]] = field(default_factory=list)
    recorded: list[Turn] = field(default_factory=list)
    refuse: Callable[[], BaseException | None] = lambda: None
    ended: int = 0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    forgotten_ids: set[UUID] = field(default_factory=set)
    consent_pending: bool = False
    persistent: bool = True

    async def recall(
        self,
        text: str,
        *,
        context_item_ids: frozenset[str],
        previous_user_text: str = "",
        budget_s: float | None = None,
    ) -> Recall:
        self.asked.append({"text": text, "context": context_item_ids, "previous": previous_user_text})
        if self.fault is not None:
            raise self.fault
        return Recall({"recent": TierResult("empty"), "facts": TierResult("ok")}, self.block, (), 1.0)

    async def record(
        self, item_id: str, role: Role, text: str, said_at: datetime | None = None, interrupted: bool = False
    ) -> Turn:
        if (fault := self.refuse()) is not None:
            raise fault
        turn_id = turn_id_for(self.caller.call_id, item_id)
        whose = (self.caller.user_id, self.caller.agent_id, self.caller.call_id)
        turn = Turn(
            turn_id, *whose, len(self.recorded), role, text, said_at or datetime.now(UTC), interrupted
        )
        self.recorded.append(turn)
        return turn

    async def end(self) -> None:
        self.ended += 1


def text_session(model: llm.LLM, call: Any = None, **options: Any) -> AgentSession[Any]:
    """A session without ears and mouth; `call`: a `Call`, or a call's memory alone."""
    session: AgentSession[Any] = AgentSession(
        llm=model, vad=None, turn_handling={"turn_detection": None}, user_away_timeout=None, **options
    )
    if call is not None:
        bind(session, call if hasattr(call, "recalls") else Call(call))
    return session


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part.get("type") == "text")
    return str(content or "")


class ScriptedTerminal:
    """A person at `echoic talk`: types these lines, and keeps what was said, hinted, streamed and printed."""

    interactive = False

    def __init__(self, *lines: str | Callable[[], str | None]) -> None:
        self._lines = list(lines)
        self.leaving = False
        self.said: list[str] = []
        self.hints: list[str] = []
        self.results: list[dict[str, Any]] = []
        self.streamed = ""

    async def read(self) -> str | None:
        if self.leaving or not self._lines:
            return None
        line = self._lines.pop(0)
        return line() if callable(line) else line

    def leave(self) -> None:
        self.leaving = True

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def hint(self, sentence: str) -> None:
        self.hints.append(sentence)

    def stream(self, words: str) -> None:
        self.streamed += words

    def result(self, line: str) -> None:
        self.results.append(json.loads(line))
