"""The ranking, on corpora small enough to see why."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from echoic.memory.recall.ranking import Corpus, Postings, Ranked, Ranking
from echoic.memory.text.words import terms

Line = tuple[str, float]
"""Words, and their inner product with the question's vector."""
Told = tuple[str, float, tuple[int, ...]]
"""The same of a fact, and the refs of the turns it came from."""


def corpus_of(
    calls: Sequence[Sequence[Line]], facts: Sequence[Told] = (), question: str = ""
) -> tuple[Corpus, Postings, np.ndarray]:
    """Turns have refs 1, 2, 3, …; facts 101, 102, …"""
    lines = [(number, line) for number, call in enumerate(calls, start=1) for line in call]
    turn_refs, fact_refs = np.arange(len(lines)) + 1, np.arange(len(facts)) + 101
    texts = {int(ref): line[0] for ref, (_, line) in zip(turn_refs, lines, strict=True)}
    texts |= {int(ref): fact[0] for ref, fact in zip(fact_refs, facts, strict=True)}
    postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for ref, text in texts.items():
        for term, count in Counter(terms(text)).items():
            if term in terms(question):
                postings[term].append((ref, count))
    corpus = Corpus(
        turn_refs=turn_refs,
        turn_calls=np.array([number for number, _ in lines], np.int64),
        turn_words=np.array([len(terms(line[0])) for _, line in lines], np.float64),
        fact_refs=fact_refs,
        fact_words=np.array([len(terms(fact[0])) for fact in facts], np.float64),
        fact_sources=np.array([(*fact[2], 0, 0, 0)[:3] for fact in facts], np.int64).reshape(-1, 3),
    )
    likeness = np.array([*(fact[1] for fact in facts), *(line[1] for _, line in lines)], np.float64)
    return corpus, {term: np.array(entries, np.int64) for term, entries in postings.items()}, likeness


def rank(corpus: Corpus, postings: Postings, likeness: np.ndarray, limit: int) -> list[Ranked]:
    """Everything in one go."""
    ranking = Ranking(corpus)
    return ranking.rank(ranking.by_words(postings), likeness, limit)


def order(
    calls: Sequence[Sequence[Line]], facts: Sequence[Told] = (), question: str = "", limit: int = 60
) -> list[int]:
    return [one.ref for one in rank(*corpus_of(calls, facts, question), limit)]


NAN = float("nan")
CHAT = [
    ("the weather is nice", 0.1),
    ("I watered the garden", 0.12),
    ("traffic was slow", 0.08),
    ("we had soup", 0.11),
]


def test_nothing_known_gives_nothing() -> None:
    """An empty memory is no error."""
    assert order([], question="where do I live") == []


def test_words_find_a_turn_that_is_not_embedded_yet() -> None:
    """What was said a second ago is found by its words."""
    calls = [[(text, NAN) for text, _ in CHAT], [("my dog is called Biscuit", NAN)]]
    assert order(calls, question="what is my dog called")[0] == 5


def test_without_vectors_only_what_shares_a_word_is_found() -> None:
    """An embedder that fails leaves the words; the rest would be chance."""
    calls = [[(text, NAN)] for text, _ in CHAT]
    assert order(calls, [("likes soup", NAN, ())], question="what soup was it") == [101, 4]


def test_meaning_finds_what_shares_no_word() -> None:
    """A paraphrase has the nearest vector."""
    calls = [CHAT, [("Biscuit chased a cat", 0.55)]]
    assert order(calls, question="what is my pet's name")[0] == 5


@pytest.mark.parametrize("calls", [[[("hello Biscuit", 0.3)]], [[("hello Biscuit", -0.1)]]])
def test_a_single_turn_is_found(calls: list[list[Line]]) -> None:
    """With one turn nothing stands out, and yet it is all there is."""
    assert order(calls, question="what is my pet's name") == [1]


def test_a_single_fact_without_turns_is_found() -> None:
    """A fact may have outlived the turns it came from."""
    assert order([], [("has a dog called Biscuit", 0.4, (7,))], question="what is my dog called") == [101]


def test_a_rare_word_outweighs_a_common_one() -> None:
    """Everybody's turns hold "work"; one holds "violin"."""
    calls = [
        [("work was fine", 0.1)],
        [("work again", 0.1)],
        [("long work day", 0.1)],
        [("violin lesson", 0.1)],
    ]
    assert order(calls, question="violin after work")[0] == 4


def test_a_common_word_does_not_outweigh_what_is_nearest_by_meaning() -> None:
    """What words count for is how rare they are, also where a single one matches at all."""
    turns = [[("busy this week" if n % 13 == 0 else "something else", n / 100)] for n in range(39)]
    assert order([*turns, [("I bake bread", 0.5)]], question="What is my job this week?")[0] == 40


def test_many_words_of_long_turns_do_not_outweigh_what_is_nearest_by_meaning() -> None:
    """A long question shares some words with every long turn: together they tell no more than a few do."""
    words = "lake boat harbour sail anchor rope tide chart storm pier crew oar buoy mast".split()
    words += "deck hull keel wind wave reef".split()
    spoken = [" ".join(words[(3 * n + k) % len(words)] for k in range(8)) for n in range(44)]
    turns = [[(text, 0.1 + n * 7 % 44 / 150)] for n, text in enumerate(spoken)]
    asked = f"Of {' and '.join(words)}, what do I like?"
    assert 45 in order([*turns, [("I like the pier", 0.4)]], question=asked)[:8]


def test_rarity_holds_among_facts_alone() -> None:
    """A caller whose turns are gone still has facts that tell common words from rare ones."""
    facts = [
        ("works at a school", NAN, ()),
        ("works at night", NAN, ()),
        ("work is far away", NAN, ()),
        ("plays the violin", NAN, ()),
    ]
    assert order([], facts, question="violin after work")[0] == 104


def test_an_answer_is_found_by_its_question() -> None:
    """The answer says none of the asked words; the turn before it does."""
    calls = [CHAT, [("where did you buy the violin?", 0.2), ("at a small shop in Porto", 0.15)], list(CHAT)]
    assert set(order(calls, question="where was the violin bought")[:2]) == {5, 6}


def test_neighbours_are_of_the_same_call_only() -> None:
    """The first words of the next call, a week later, answer nothing."""
    found = order([[("where is the violin", NAN)], [("we had soup", NAN)]], question="the violin")
    assert found == [1]


def test_a_fact_stands_just_before_its_turn() -> None:
    """It says the same in fewer words; another fact of that turn does not come along."""
    calls = [CHAT, [("so my sister gave me Biscuit, the dog, when I moved to Porto", 0.3)]]
    facts = [("moved to Porto", 0.05, (5,)), ("has a dog called Biscuit", 0.5, (5,))]
    found = order(calls, facts, question="what is my dog called")
    assert found[:2] == [102, 5]
    assert found.index(101) > 1


def test_a_fact_lifts_the_turn_it_came_from() -> None:
    """The turn says "him", the fact says who."""
    calls = [[("I walk him each morning", 0.1)], *([line] for line in CHAT)]
    facts = [("walks the dog each morning", 0.4, (1,))]
    assert order(calls, facts, question="who walks the dog")[:2] == [101, 1]


def test_what_is_outside_the_corpus_is_ignored() -> None:
    """Postings are read by user; turns said to another agent, and closed facts, are not in the corpus."""
    corpus, postings, likeness = corpus_of(
        [CHAT], [("grows tomatoes in the garden", 0.2, (2, 999))], question="the garden"
    )
    postings["garden"] = np.vstack([postings["garden"], [(999, 3), (0, 1), (10**15, 1)]])
    found = [one.ref for one in rank(corpus, postings, likeness, 60)]
    assert set(found) == {1, 2, 3, 4, 101}
    assert found[:2] == [101, 2]


def test_scores_fall_and_the_limit_holds() -> None:
    """Above zero and best first; every ref once."""
    corpus, postings, likeness = corpus_of(
        [CHAT, CHAT], [("likes soup", 0.3, (4, 8))], question="was the soup nice"
    )
    found = rank(corpus, postings, likeness, 60)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0
    assert len({one.ref for one in found}) == len(found) == 9
    assert rank(corpus, postings, likeness, 3) == found[:3]
    assert isinstance(found[0], Ranked)


def test_any_embedding_model_gives_the_same_order() -> None:
    """Some models' cosines lie between 0.7 and 0.9: only how far one stands out counts."""
    facts = [("likes soup", 0.3, (4,)), ("has a garden", 0.2, (2,))]
    shifted = [[(text, 0.7 + likeness / 5) for text, likeness in CHAT]]
    lifted = [(text, 0.7 + likeness / 5, sources) for text, likeness, sources in facts]
    assert order([CHAT], facts, question="soup") == order(shifted, lifted, question="soup")


def test_a_large_memory_ranks_like_its_parts() -> None:
    """One right turn among 5,000 stands first."""
    noise = np.random.default_rng(7).normal(0.1, 0.08, 5_000)
    calls = [
        [(f"turn {at} about this and that", float(noise[at])) for at in range(start, start + 25)]
        for start in range(0, 5_000, 25)
    ]
    calls[100][12] = ("the violin is in the attic", 0.5)
    assert order(calls, question="where is my violin", limit=5)[0] == 100 * 25 + 13
