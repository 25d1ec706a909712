"""A perfect extraction, read from a file: what any model could at best have learned from a turn."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from echoic.memory.embedding.embedder import Embedder
from echoic.memory.errors import ModelAnswerInvalid
from echoic.memory.profile.slots import PLAIN, ProfileSettings
from echoic.memory.service import Memory
from echoic.memory.types import Evidence, Fact, Turn
from echoic.workers.learn.extractor import Ending, Extraction, Known
from evals.temporal_data import Learned, ScriptedFact


class ScriptedExtractor:
    """Answers for the turns it was taught.

    Only a model is replaced: batches, ledger, doubles and endings are the worker's.
    """

    name = "scripted"

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._learned: dict[UUID, Learned] = {}

    def teach(self, turn_id: UUID, learned: Learned) -> None:
        """What this turn will be found to say."""
        self._learned[turn_id] = learned

    async def extract(
        self,
        turns: Sequence[Turn],
        known: Known,
        profile: ProfileSettings = PLAIN,
        embedder: Embedder | None = None,
    ) -> Extraction:
        """The facts of these turns, and the closings, of any live fact: a model is shown the nearest only.

        Raises:
            ModelAnswerInvalid: a fact that ends here was never stored.
        """
        new: list[Fact] = []
        endings: list[Ending] = []
        stored = {fact.text: fact for fact in await self._memory.facts.list(turns[0].user_id)}
        for turn in turns:
            learned = self._learned.get(turn.turn_id, Learned())
            for text, ended_at in learned.ended:
                at = next((at for at, fact in enumerate(new) if fact.text == text), None)
                if at is not None:  # it began and ended in one batch
                    new[at] = replace(new[at], valid_until=ended_at)
                elif text in stored:
                    endings.append(Ending(stored[text].fact_id, ended_at, turn.said_at))
                else:
                    raise ModelAnswerInvalid("A fact that ends in this batch is not stored.")
            new += [_fact(fact, turn) for fact in learned.facts]
        return Extraction(tuple(new), tuple(endings))

    async def close(self) -> None:
        """Nothing is open."""


def _fact(fact: ScriptedFact, turn: Turn) -> Fact:
    return Fact(
        fact_id=uuid4(),
        user_id=turn.user_id,
        text=fact.text,
        topic=fact.topic,
        importance=fact.importance,
        scope="user",
        agent_id=turn.agent_id,
        said_at=turn.said_at,
        valid_from=fact.valid_from,
        valid_until=fact.valid_until,
        turn_ids=(turn.turn_id,),
        about=fact.about,
        evidence=(Evidence(turn.turn_id, turn.text),),
        names=fact.names,
    )
