"""Looking up words while they are spoken: what is started, adopted, given up, and never taken."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from livekit.agents import ConversationItemAddedEvent, UserInputTranscribedEvent, llm

from echoic.agent.call.prefetch import Prefetch
from echoic.agent.call.transcripts import UNANSWERED_AFTER_S
from echoic.memory.config import MemorySettings
from echoic.memory.recall import lookahead
from echoic.memory.recall.lookahead import (
    FEWEST_TURNS,
    LONGEST_WAIT_S,
    LOOKUPS_A_TURN,
    PARTIALS_LOOKED_UP,
    RUNNING,
    Counts,
    Pace,
)
from echoic.memory.recall.pending import PendingRecall
from echoic.memory.recall.recaller import Recaller
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.types import Caller, Recall
from tests.embedders import WordEmbedder


class Tier:
    """Answers when it is let, with the words it was asked."""

    name = "facts"

    def __init__(self):
        self.asked, self.open = [], asyncio.Event()
        self.open.set()
        self.running = 0

    async def search(self, question):
        self.asked.append(question.text)
        self.running += 1
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        return []


@dataclass
class SpokenMemory:
    """A call's memory with the real Recaller."""

    recaller: Recaller
    caller: Caller = field(default_factory=lambda: Caller("ana", "echoic", "call-1"))
    recent: RecentTurns = field(default_factory=RecentTurns)

    @property
    def memory(self):
        return self

    def prefetch(
        self, text: str, *, context_item_ids=(), previous_user_text: str = ""
    ) -> PendingRecall | None:
        return self.recaller.prefetch(self.caller, text, self.recent, previous=previous_user_text)

    async def recall(self, text: str, previous: str = "") -> Recall:
        return await self.recaller.recall(self.caller, text, self.recent, previous=previous)


@pytest.fixture
def tier():
    return Tier()


@pytest.fixture
async def spoken(tier):
    recaller = Recaller(
        [tier], WordEmbedder(), SimpleNamespace(of=lambda *_: (0, 0, 0)), MemorySettings(recall_budget_ms=50)
    )
    yield SpokenMemory(recaller)
    await recaller.close()


@pytest.fixture
def call(spoken):
    return SimpleNamespace(call_memory=spoken, shown=list)


@pytest.fixture
async def ahead(call, monkeypatch):
    monkeypatch.setattr(lookahead, "SETTLE_S", 0.01)
    ahead = Prefetch(call)
    yield ahead
    ahead.close()


def hear(ahead, text, final=False, at=1_000.0):
    ahead.on_transcribed(UserInputTranscribedEvent(transcript=text, is_final=final, created_at=at))


def commit(ahead, text, confidence=0.9):
    message = llm.ChatMessage(role="user", content=[text], transcript_confidence=confidence)
    ahead.on_item(ConversationItemAddedEvent.model_construct(item=message))


async def rest():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_answer_is_there_when_the_last_partial_was_the_last_word(ahead, spoken, tier):
    """Looked up while it was spoken, found when the model asks: nobody is asked twice."""
    for words in ("what is", "what is my dog", "what is my dog called"):
        hear(ahead, words)
        await rest()
    hear(ahead, "What is my dog called?", final=True)
    found = await spoken.recall("What is my dog called?")
    assert found.tiers["facts"].status == "empty"
    assert tier.asked == ["what is my dog", "what is my dog called"]
    assert ahead.outcome == "hit" and ahead.counts == Counts(started=2, hit=1, late=0, wasted=1)


async def test_a_lookup_under_way_is_adopted(ahead, spoken, tier):
    """The model asks before the answer is there: it waits for that answer, and starts no other."""
    tier.open.clear()
    hear(ahead, "what is my dog called", final=True)
    asking = asyncio.create_task(spoken.recall("What is my dog called?"))
    await rest()
    hear(ahead, "what is my dog called and how old")  # more words come: the one that was adopted runs on
    await rest()
    tier.open.set()
    assert (await asking).tiers["facts"].status == "empty"
    assert tier.asked.count("what is my dog called") == 1 and ahead.outcome == "late"


async def test_a_hung_embedder_costs_a_prefetched_question_no_more_than_any_other(call, spoken, ahead, tier):
    """A prefetch has patience; a reply that waits has not, and finds by words alone within its budget."""
    held = asyncio.Event()

    async def hang(text, *, across=False):
        await held.wait()

    async def by_words(question):
        assert await question.vector.get() is None
        return []

    spoken.recaller._embedder.embed, tier.search = hang, by_words
    hear(ahead, "what is my dog called", final=True)
    await asyncio.sleep(0.1)  # twice the budget
    found = await spoken.recall("what is my dog called")
    assert found.tiers["facts"].status == "empty" and ahead.outcome == "late"
    held.set()


async def test_an_answer_to_fewer_words_is_never_taken(ahead, spoken, tier):
    """The last word is often the one that matters."""
    hear(ahead, "what is my sister")
    await rest()
    await spoken.recall("what is my sister allergic to")
    assert tier.asked == ["what is my sister", "what is my sister allergic to"]
    assert ahead.outcome == "miss" and ahead.counts.wasted == 1


async def test_words_that_change_nothing_wait_until_nothing_follows(ahead, tier, monkeypatch):
    """Case, punctuation and "uh" start nothing at once; what then stays is looked up after all."""
    monkeypatch.setattr(lookahead, "SETTLE_S", 0.5)
    hear(ahead, "what is my dog called")
    hear(ahead, "What is my dog called,")
    hear(ahead, "what is my dog called then")
    hear(ahead, "what is my dog called then you")
    await rest()
    assert tier.asked == ["what is my dog called"]
    async with asyncio.timeout(10):
        while len(tier.asked) == 1:
            await asyncio.sleep(0.01)
    assert tier.asked[1:] == ["what is my dog called then you"]


def pace(gap_s: float, took_s: float = 0.0) -> Pace:
    """As seen over some turns."""
    seen = Pace()
    for _ in range(FEWEST_TURNS):
        seen.note(gap_s, [took_s])
    return seen


def test_a_partial_waits_as_long_as_surely_fits():
    """By the shortest time to the model's question and two slow lookups; not before some turns were seen."""
    assert Pace().wait_s == 0
    seen = pace(0.4, 0.02)
    assert 0.3 < seen.wait_s < 0.32
    seen.note(0.3)
    assert 0.15 < seen.wait_s < 0.18  # less than the shortest: the next may be shorter yet
    seen.note(0.01)
    assert seen.wait_s == 0
    seen.note(None)  # whose words came as final ones: tells nothing
    assert Pace(seen).wait_s == 0  # the next call begins with it
    assert pace(9.0).wait_s == LONGEST_WAIT_S


async def test_of_quick_words_only_the_last_is_looked_up(call, tier):
    """The model will ask long after it: what was said before costs nothing."""
    call.call_memory.recaller.pace = pace(0.08)
    ahead = Prefetch(call)
    for words in ("what is my dog", "what is my dog called", "what is my dog called now"):
        hear(ahead, words)
    await rest()
    assert tier.asked == []
    async with asyncio.timeout(10):
        while not tier.asked:
            await asyncio.sleep(0.01)
    assert tier.asked == ["what is my dog called now"]
    hear(ahead, "what is my dog called now and then")
    hear(ahead, "What is my dog called now and then?", final=True)
    await rest()
    assert tier.asked[1:] == ["What is my dog called now and then?"]
    ahead.close()


async def test_a_question_that_comes_early_shortens_the_wait(call, spoken, tier):
    """The model asked while a partial still waited: the next one does not wait so long."""
    call.call_memory.recaller.pace = pace(0.08)
    ahead = Prefetch(call)
    hear(ahead, "what is my dog called")
    await spoken.recall("what is my dog called")
    async with asyncio.timeout(10):
        while spoken.recaller.pace.wait_s:
            await asyncio.sleep(0.01)
    hear(ahead, "what is my dog called at home")
    await rest()
    assert tier.asked == ["what is my dog called", "what is my dog called at home"]
    ahead.close()


async def test_turns_tell_how_long_a_partial_may_wait(call, spoken, tier):
    """From the last new word to the model's question, turn by turn."""
    ahead = Prefetch(call)
    for turn in range(FEWEST_TURNS + 1):
        hear(ahead, f"where is my dog number {turn}")
        await rest()
        await asyncio.sleep(0.15)
        hear(ahead, f"Where is my dog number {turn}?", final=True)
        await spoken.recall(f"where is my dog number {turn}")
        commit(ahead, f"where is my dog number {turn}")
        assert ahead.outcome == "hit"
    assert spoken.recaller.pace.wait_s > 0
    ahead.close()


async def test_final_words_do_not_wait(ahead, tier):
    """The same words as the partial that was waiting: now it is certain."""
    hear(ahead, "what is my dog called")
    hear(ahead, "what is my dog called then")
    hear(ahead, "What is my dog called, then?", final=True)
    await rest()
    assert tier.asked == ["what is my dog called", "What is my dog called, then?"]


async def test_nothing_is_looked_up_for_small_talk(ahead, tier):
    """Neither while it is spoken nor at its end, and it counts as no prefetch, good or bad."""
    for words in ("uh", "uh yes", "yes thank you"):
        hear(ahead, words)
    hear(ahead, "yes, thank you", final=True)
    await asyncio.sleep(0.03)
    assert tier.asked == [] and ahead.outcome == "none" and ahead.counts == Counts()


async def test_few_lookups_run_at_once_and_few_are_started(ahead, tier):
    """A long breath on a slow store: the newest two run, the others are stopped, and it comes to an end."""
    tier.open.clear()
    said = ""
    for number in range(100):
        said = f"{said} word{number}"
        hear(ahead, said)
        await rest()
        assert tier.running <= RUNNING
    assert len(tier.asked) == ahead.counts.started == PARTIALS_LOOKED_UP
    for number in range(100):
        hear(ahead, f"segment{number}", final=True)
    await rest()
    assert ahead.counts.started == LOOKUPS_A_TURN and tier.running <= RUNNING


async def test_segments_of_one_turn_are_one_question(ahead, spoken, tier):
    """The ear makes two finals of one breath; the item is both."""
    hear(ahead, "My sister lives in Porto.", final=True)
    hear(ahead, "what is")
    hear(ahead, "what is she called")
    hear(ahead, "What is she called?", final=True)
    await rest()
    await spoken.recall("My sister lives in Porto. What is she called?")
    assert ahead.outcome == "hit"


async def test_the_next_turn_begins_with_its_own_words(ahead, spoken, tier):
    """Nothing of the turn before is asked again, nor counted twice."""
    hear(ahead, "what is my dog called", final=True)
    await rest()
    await spoken.recall("what is my dog called")
    commit(ahead, "what is my dog called")
    hear(ahead, "where do I live", final=True)
    assert ahead.outcome == "miss"
    await rest()
    await spoken.recall("where do I live")
    assert tier.asked == ["what is my dog called", "where do I live"]
    assert ahead.outcome == "hit" and ahead.counts == Counts(started=2, hit=2)


async def test_words_that_livekit_dropped_are_not_part_of_the_next_turn(ahead, spoken):
    """Said over a reply that could not be interrupted: seconds later another turn begins."""
    hear(ahead, "wait a moment please my sister", final=True)
    hear(ahead, "where do I live", final=True, at=1_000.0 + UNANSWERED_AFTER_S + 1)
    await rest()
    await spoken.recall("where do I live")
    assert ahead.outcome == "hit"


async def test_a_question_that_leans_on_the_one_before(ahead, spoken, tier):
    """ "And hers?" is asked with the words before it, as the model's question is."""
    history = llm.ChatContext.empty()
    history.add_message(role="user", content="What is my birthday?")
    history.add_message(role="assistant", content="In May.")
    ahead._session = SimpleNamespace(current_agent=SimpleNamespace(chat_ctx=history, update_chat_ctx=None))
    hear(ahead, "and hers", final=True)
    await rest()
    await spoken.recall("And hers?", previous="What is my birthday?")
    assert tier.asked == ["What is my birthday? and hers"] and ahead.outcome == "hit"


async def test_another_person_speaks(ahead, call, spoken, tier):
    """What the one before had begun to say is given up, and no part of their question."""
    hear(ahead, "my code is", final=True)
    other = SpokenMemory(spoken.recaller, Caller("bob", "echoic", "call-1"))
    call.call_memory = other
    hear(ahead, "what is my code", final=True)
    await rest()
    assert tier.asked == ["what is my code"]
    await other.recall("what is my code")
    assert ahead.outcome == "hit"


async def test_closing_stops_everything(ahead, tier):
    """A hang-up in mid-word leaves no lookup and no timer."""
    tier.open.clear()
    hear(ahead, "what is my dog")
    await rest()
    hear(ahead, "what is my dog to")
    ahead.close()
    await asyncio.sleep(0.03)
    assert tier.asked == ["what is my dog"] and tier.running == 0
