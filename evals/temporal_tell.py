"""A history told as it happened: calls recorded and learned in order, questions on their day."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Literal
from uuid import uuid4

from echoic.memory.config import MemorySettings
from echoic.memory.errors import StoreUnavailable
from echoic.memory.graph.groups import group_of
from echoic.memory.service import Memory, open_memory
from echoic.memory.store.turns import turn_id_for
from echoic.memory.types import Caller, Turn
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.graph.feed import GraphReport
from echoic.workers.graph.ingest import GraphIngester, open_ingester
from echoic.workers.learn.extractor import Extractor
from echoic.workers.learn.learner import Learner, LearnReport
from evals.temporal_data import Learned, Question, Said, Script, calls_of
from evals.temporal_score import Verdict, judge
from evals.temporal_script import ScriptedExtractor

AGENT = "temporal"
BUDGET_S = 10.0
"""Large enough that no answer is late: evals/latency.py measures deadlines."""
LEARN_AFTER = timedelta(minutes=1)
"""How long after its last word a call is learned."""
NO_MODEL = "none"
TRIES = 3
"""As often as a worker tries a batch before it gives it up."""
Form = Literal["facts_only", "with_graph"]
Memories = dict[Form, Memory]


class Clock:
    """What memory takes for now."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True)
class Answer:
    """How one question fared in each form, and what the blocks were."""

    question: Question
    verdicts: dict[Form, Verdict]
    blocks: dict[Form, str]


class Telling:
    """Tells histories, one user each, to memories that share their stores."""

    def __init__(
        self, memories: Memories, extractor: Extractor | None, ingester: GraphIngester | None, clock: Clock
    ) -> None:
        """Without an `extractor` what was said is all there is; without an `ingester` no graph is fed."""
        self._memories, self._memory, self._clock = memories, memories["facts_only"], clock
        self._extractor, self._ingester = extractor, ingester
        self._learner = Learner(self._memory, extractor) if extractor else None
        self._run = uuid4().hex[:8]
        self.dead = 0
        """Batches that were given up."""

    async def tell(
        self,
        history: str,
        turns: Sequence[Said],
        questions: Sequence[Question],
        taught: Mapping[int, Learned] = MappingProxyType({}),
    ) -> list[Answer]:
        """Before each question the turns said until then, in their calls, each call learned as it ends.

        Args:
            questions: earliest first.
            taught: what a scripted extraction learns from the turns, by their numbers.
        """
        user_id, told = f"{history[:60]}-{self._run}", 0
        answers: list[Answer] = []
        for number, question in enumerate(questions):
            said = [turn for turn in turns[told:] if turn.said_at <= question.asked_at]
            for call in calls_of(said):
                await self._record(user_id, call, taught)
                await self._learn(user_id)
            told += len(said)
            self._clock.at = question.asked_at
            answers.append(await self._ask(Caller(user_id, AGENT, f"{user_id}/q{number}"), question))
        await self._leave_no_graph(user_id)
        return answers

    async def _record(self, user_id: str, call: Sequence[Said], taught: Mapping[int, Learned]) -> None:
        for position, said in enumerate(call):
            turn = _turn(user_id, f"{user_id}/{call[0].number}", position, said)
            if isinstance(self._extractor, ScriptedExtractor) and said.number in taught:
                self._extractor.teach(turn.turn_id, taught[said.number])
            await self._memory.turns.record(turn)
            await self._memory.turns.embed_turn(turn)
        self._clock.at = call[-1].said_at + LEARN_AFTER

    async def _learn(self, user_id: str) -> None:
        if self._learner is not None:
            await self._try(self._learner.learn, user_id)
        if self._ingester is not None:
            await self._try(self._ingester.ingest, user_id)

    async def _try(
        self, take_in: Callable[[str], Awaitable[LearnReport | GraphReport]], user_id: str
    ) -> None:
        for _ in range(TRIES):
            report = await take_in(user_id)
            self.dead += report.dead
            if not report.failed:
                break

    async def _leave_no_graph(self, user_id: str) -> None:
        """The graph server may be somebody's, and stays."""
        for memory in self._memories.values():
            if memory.graph is not None:
                await memory.graph.erase(group_of(user_id, AGENT))

    async def _ask(self, caller: Caller, question: Question) -> Answer:
        blocks = {form: await _block(memory, caller, question) for form, memory in self._memories.items()}
        verdicts = {form: judge(block, question.must, question.must_not) for form, block in blocks.items()}
        return Answer(question, verdicts, blocks)


@asynccontextmanager
async def open_memories(
    settings: MemorySettings, graph_settings: MemorySettings | None, clock: Clock
) -> AsyncIterator[Memories]:
    """The same stores without and, if it has settings, with the graph."""
    async with open_memory(settings, now=clock) as plain:
        if graph_settings is None:
            yield {"facts_only": plain}
            return
        async with open_memory(graph_settings, now=clock) as with_graph:
            yield {"facts_only": plain, "with_graph": with_graph}


@asynccontextmanager
async def open_ingestion(memories: Memories) -> AsyncIterator[GraphIngester | None]:
    """What feeds the graph of this run, if it has one.

    Raises:
        ConfigInvalid: the settings of the graph lack something.
    """
    ingester = open_ingester(memories["with_graph"]) if "with_graph" in memories else None
    try:
        yield ingester
    finally:
        if ingester is not None:
            await ingester.close()


async def open_extraction(memory: Memory, script: Script | None) -> tuple[Extractor | None, str]:
    """What extracts, and its name: the script, the model of the settings, or nothing.

    Raises:
        ModelUnavailable: the address does not say which model it has.
    """
    settings = memory.settings
    if script is not None:
        return ScriptedExtractor(memory), ScriptedExtractor.name
    if settings.extractor == "off" or not (settings.llm_url or settings.llm_api_key.get_secret_value()):
        return None, NO_MODEL
    extractor, model = make_extractor(settings)
    return extractor, await model.served_name()


async def _block(memory: Memory, caller: Caller, question: Question) -> str:
    call = await memory.open_call(caller)
    if not call.loaded:
        raise StoreUnavailable("A call could not be loaded: this run measures nothing.")
    await memory.search.wait_held(caller.call_id)  # as it is some 15 ms into a call
    recall = await call.recall(question.text, budget_s=BUDGET_S)
    await call.end()
    ill = {name: tier.status for name, tier in recall.tiers.items() if tier.status in ("late", "failed")}
    if ill:
        raise StoreUnavailable(
            f"A question was not answered by every tier ({ill}): this run measures nothing."
        )
    return recall.block


def _turn(user_id: str, call_id: str, position: int, said: Said) -> Turn:
    return Turn(
        turn_id_for(call_id, str(position)),
        user_id,
        AGENT,
        call_id,
        position,
        said.role,
        said.text,
        said.said_at,
    )
