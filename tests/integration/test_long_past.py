"""Of a past too long to weigh for one question, candidates are weighed, and what was said is found."""

import numpy as np
import pytest

from echoic.memory.recall import postgres_search
from echoic.memory.recall.pending import Question
from echoic.memory.recall.query_vector import QueryVector
from echoic.memory.recall.ranking import Ranking
from echoic.memory.recall.recaller import EMBEDDER
from echoic.memory.service import open_memory
from tests.embedders import WordEmbedder
from tests.remembered import caller, fact, learn

TURNS, CALL = 12_000, 20
DIMENSIONS = 1_280
PLANT = f"""
insert into turns (turn_id, user_id, agent_id, call_id, position, role, text, said_at, state)
select gen_random_uuid(), 'ana', 'echoic', 'past-' || n / {CALL}, n % {CALL}, 'user',
    'We went on, number ' || n, now() - make_interval(mins => {TURNS + 100} - n), 'learned'
from generate_series(1, {TURNS}) n;
insert into turn_index (ref, user_id, agent_id, call_no, position, words, vector)
select ref, user_id, agent_id, hashtextextended(call_id, 0), position, 3,
    (select vector from vectors where n = ref % 50) from turns on conflict do nothing;
insert into postings (user_id, term, ref, tf)
select user_id, term, ref, 1 from turns, unnest(array['went', 'number']) term on conflict do nothing;
analyze
"""
TOLD = (
    ("Our boat sank beside Quetzalcoatl", "Where did our boat go that went down?", "Quetzalcoatl"),
    ("Grandmother baked pumpernickel on Sundays", "What did grandmother bake?", "pumpernickel"),
    ("The dentist extracted a molar in Winnipeg", "What did the dentist extract?", "molar"),
    ("Uncle Theodore repairs accordions", "What number of things does Theodore repair?", "accordions"),
)


@pytest.fixture
async def memory(memory_settings):
    settings = memory_settings.model_copy(
        update={"embedding_model": "words", "embedding_dimensions": DIMENSIONS}
    )
    async with open_memory(settings, embedder=WordEmbedder(dimensions=DIMENSIONS)) as memory:
        yield memory


async def say(memory, *texts):
    call = await memory.open_call(caller())
    for text in texts:
        await call.record(text, "user", text)
    await call.end(hurry=False)


async def plant(memory):
    rows = np.random.default_rng(1).normal(size=(50, DIMENSIONS)).astype(np.float32)
    vectors = [(n, row / np.linalg.norm(row)) for n, row in enumerate(rows)]

    async def put(connection):
        await connection.execute("create temp table vectors (n int, vector halfvec)")
        await connection.executemany("insert into vectors values ($1, $2::vector::halfvec)", vectors)
        await connection.execute(PLANT)

    await memory.db.run(put, timeout_s=60)


@pytest.fixture
def weighed(monkeypatch):
    """How many turns and facts each question has had weighed."""
    counts = []

    class Counted(Ranking):
        def __init__(self, corpus, *args):
            super().__init__(corpus, *args)
            counts.append(len(self.refs))

    monkeypatch.setattr(postgres_search, "Ranking", Counted)
    return counts


async def test_a_long_past_is_found_among_candidates(memory, weighed):
    """All vectors of 25,000 turns were never read within the budget: of these, a quarter is the most."""
    await say(memory, *(text for text, _, _ in TOLD))
    await learn(memory, fact("Keeps bees behind the barn"))
    await plant(memory)
    call = await memory.open_call(caller())
    await memory.search.wait_held(call.caller.call_id)
    for _, question, name in TOLD:
        assert name in (await call.recall(question)).block
        no_vector = QueryVector(None, memory.recaller.breakers[EMBEDDER])
        by_words = await memory.search.search(Question(call.caller, question, no_vector, memory.now()))
        assert name in by_words[0].text
    assert "bees" in (await call.recall("Who keeps bees?")).block
    assert len(weighed) == 2 * len(TOLD) + 1 and max(weighed) < TURNS / 4


async def test_who_stands_around_what_matches_is_a_candidate(memory, monkeypatch):
    """An answer seldom repeats the words of its question; of another agent's turns none is one."""
    for name, value in {"EXACT_ROWS": 0, "NEWEST_TURNS": 1, "NEWEST_FACTS": 1}.items():
        monkeypatch.setattr(postgres_search, name, value)
    await say(memory, "And which instrument do you play?", "The accordion, since school.")
    await say(memory, *(f"One more river, number {n}" for n in range(5)))
    other = await memory.open_call(caller(agent_id="other"))
    await other.record("one", "user", "Which instrument do they play there?")
    await other.end(hurry=False)
    call = await memory.open_call(caller())
    memory.search.drop(call.caller)
    vector = QueryVector(None, memory.recaller.breakers[EMBEDDER])
    found = await memory.search.search(Question(call.caller, "Which instrument?", vector, memory.now()))
    assert [one.text for one in found] == [
        "And which instrument do you play?",
        "The accordion, since school.",
    ]
