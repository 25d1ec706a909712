"""What facts, turns and the graph say alike is said once, and nothing of another thing is lost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from echoic.memory.recall.fusion import fused, joined
from echoic.memory.recall.prompt import compose, estimate_tokens
from echoic.memory.types import CALLER, About, Item

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def fact(text, *, days=10, **fields):
    return Item(
        "fact", uuid4(), text, NOW - timedelta(days=days), **({"score": 1.0, "tier": "facts"} | fields)
    )


def relation(text, *, days=10, **fields):
    return Item(
        "relation", uuid4(), text, NOW - timedelta(days=days), **({"score": 0.5, "tier": "graph"} | fields)
    )


def turn(text, *, days=10, **fields):
    turn_id = uuid4()
    fields = {"score": 1.0, "tier": "facts", "turn_ids": (turn_id,)} | fields
    return Item("turn", turn_id, text, NOW - timedelta(days=days), **fields)


def block(found, profile=(), question="tell me", **limits):
    limits = {"max_tokens": 400, "max_items": 8} | limits
    return compose(found, profile, [], question=question, context=(), now=NOW, zone=ZoneInfo("UTC"), **limits)


def texts(items):
    return [item.text for item in items]


def test_without_a_graph_nothing_changes():
    """By score, the newer first among equals, as before there was a graph."""
    found = [fact("old", days=30), fact("new", days=1), turn("best", score=3.0), fact("new", days=2)]
    assert texts(fused(found)) == ["best", "new", "new", "old"]


CHANGED = [
    (turn, "My thesis deadline is March 3rd", "They moved the thesis deadline to the 24th"),
    (turn, "Der Chor probt immer montags im Pfarrsaal", "Der Chor probt jetzt mittwochs"),
    (fact, "Lives in Porto with Ana", "Lives in Lyon with Ana"),
]
OTHERS = [turn(f"{word} is what we spoke of", score=1.5) for word in ("Cooking", "Football", "Weather")]


@pytest.mark.parametrize(("kind", "told", "changed"), CHANGED)
def test_what_has_changed_stands_above_what_it_changed(kind, told, changed):
    """A change names the matter in fewer of the question's words, so it matches less."""
    old, new = kind(told, days=90, score=6.0), kind(changed, days=3, score=2.0)
    assert texts(fused([old, *OTHERS, new]))[:2] == [changed, told]
    assert (
        texts(fused([replace(old, said_at=new.said_at), *OTHERS, replace(new, said_at=old.said_at)]))[0]
        == told
    )


def test_of_several_changes_the_last_comes_first():
    """What was true in between stays where it was found."""
    said = ["My rent is 950 a month", "My rent went up to 990 a month", "My rent is 1,080 now"]
    found = [turn(text, days=90 - 30 * n, score=6.0 - n) for n, text in enumerate(said)]
    assert texts(fused([*found, *OTHERS]))[0] == said[-1]


@pytest.mark.parametrize(
    "newer",
    [
        turn("We adopted a kitten at the shelter", days=1, score=5.0),
        turn("Your thesis deadline is March 3rd, noted", days=1, score=5.0, role="assistant"),
        fact("The thesis deadline is March 24th", days=1, score=5.0),
    ],
    ids=["another matter", "the agent", "a fact"],
)
def test_what_is_no_change_stays_behind(newer):
    """Another matter, the agent saying again what it was told, and a fact: those stay as they were found."""
    best = turn("My thesis deadline is March 3rd", days=90, score=6.0)
    assert texts(fused([best, newer, *OTHERS]))[:2] == [best.text, newer.text]


def test_a_change_takes_its_facts_along():
    """Behind its turn a fact would be told twice."""
    old = turn("My thesis deadline is March 3rd", days=90, score=6.0)
    new = turn("They moved the thesis deadline to the 24th", days=3, score=2.0)
    learned = fact("Hands in on March 24th", days=3, score=2.1, turn_ids=new.turn_ids)
    assert texts(fused([old, *OTHERS, learned, new]))[:3] == [learned.text, new.text, old.text]


def test_for_a_change_nothing_leaves_the_block():
    """A block has eight lines: a change that was not found among them moves nothing out."""
    old, new = (
        turn("My thesis deadline is March 3rd", score=6.0, days=90),
        turn("Thesis deadline moved", score=0.1),
    )
    between = [
        turn(f"{n} is the number", score=1.0, days=50) for n in ("one", "two", "three", "four", "five")
    ]
    assert texts(fused([old, *OTHERS, *between, new]))[0] == old.text


def test_relations_stand_between_the_others_whatever_their_scores():
    """Scores of two tiers are not comparable: a graph that counts in thousands pushes nothing out."""
    found = [
        *(fact(f"fact {n}", score=9 - n) for n in range(6)),
        *(relation(f"relation {n}", score=9_000 - 1_000 * n) for n in range(3)),
    ]
    order = [
        "fact 0",
        "relation 0",
        "fact 1",
        "fact 2",
        "fact 3",
        "relation 1",
        "fact 4",
        "fact 5",
        "relation 2",
    ]
    assert texts(fused(found)) == order


def test_many_relations_leave_most_lines_to_the_rest():
    """Two lines of eight at most are the graph's, however much it finds."""
    found = [
        *(fact(f"fact {n}", score=9 - n / 10) for n in range(20)),
        *(relation(f"relation {n}") for n in range(20)),
    ]
    assert sum(item.kind == "relation" for item in block(found)[1]) == 2


def test_the_same_words_are_one_line_from_both():
    """At the better of both places, with the dates of both, and it says where it comes from."""
    ended = NOW - timedelta(days=30)
    known = fact("Works at the harbour", score=0.1, days=50)
    same = relation("Works at the harbour", days=50, valid_from=NOW - timedelta(days=90), valid_until=ended)
    others = [fact(f"thing number {n}", score=3 - n / 9) for n in range(7)]
    (first, second, *_), made = (found := fused([*others, known, same])), block([*others, known, same])
    assert first.text == "thing number 0" and second.text == "Works at the harbour" and len(found) == 8
    assert (second.kind, second.id, second.tier) == ("fact", known.id, "facts+graph")
    assert (second.valid_from, second.valid_until) == (same.valid_from, ended)
    assert made[0].count("harbour") == 1 and "since 23 Aug 2026; true until 22 Oct 2026" in made[0]


def test_the_fuller_words_and_the_newer_date_win():
    """One line from two: the fact's words and id, the day it was last said."""
    source = uuid4()
    old = fact("Lives in Porto near the river", days=90, turn_ids=(source,))
    new = relation("Caller lives in Porto", days=2, turn_ids=(source,))
    (one,) = fused([old, new])
    assert one.text == old.text and one.said_at == new.said_at and one.id == old.id


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("Eats meat", "Does not eat meat"),
        ("Likes coffee", "Likes coffee no longer"),
        ("Arbeitet bei der Post", "Arbeitet bei der Post nicht mehr"),
        ("コーヒーが好き", "コーヒーが好きではない"),
        ("The dog weighs 12 kilos", "The dog weighs 14 kilos"),
        ("Ana works at the bank", "Bruno plays the trumpet"),
        ("Lives in Porto", "Ana lives in Porto"),
        ("Ana lives in Porto", "Ana works in Porto"),
        ("Ana's sister is Eva", "Eva's sister is Ana"),
    ],
)
def test_what_differs_stays_two_lines(said, other):
    """A negation, a number, another person or direction: nearly the same words, and yet another thing."""
    source = uuid4()
    assert len(fused([fact(said, turn_ids=(source,)), relation(other, turn_ids=(source,))])) == 2


def test_what_was_true_twice_is_told_twice():
    """Lived there, moved away, came back: history is kept for a question about the past."""
    then = relation(
        "Lives in Lisbon",
        days=4_000,
        valid_from=NOW - timedelta(days=4_000),
        valid_until=NOW - timedelta(days=3_000),
    )
    now = fact("Lives in Lisbon", days=100, valid_from=NOW - timedelta(days=100))
    made = block([now, then], question="where did I live before")[0]
    assert made.count("Lives in Lisbon") == 2 and made.count("true until") == 1


def test_what_begins_alike_but_was_said_at_another_time_stays():
    """Only a part of what was said in the same breath says nothing more."""
    assert len(fused([fact("Lives in Porto near the river"), relation("Lives in Porto")])) == 2


def test_one_fact_that_is_two_edges_is_one_line():
    """A sentence about three people stands in the graph between each two of them."""
    assert (
        len(fused([relation("Ana introduced Bruno to Carla"), relation("Ana introduced Bruno to Carla")]))
        == 1
    )


def test_a_relation_goes_before_the_turn_that_it_retells():
    """The short form first; the words it was taken from go behind the other facts."""
    said = turn("well you know I moved to Lisbon in May because of the job", score=5.0)
    moved = relation("Maya moved to Lisbon", turn_ids=(said.id,))
    made = block([said, moved, fact("Has a cat", score=0.1)])[0]
    assert made.index("Maya moved") < made.index("Has a cat") < made.index("well you know")


def test_so_does_a_fact_that_the_graph_told_too():
    """Or one thing would take two lines."""
    said = turn("well you know I moved to Lisbon in May because of the job", score=5.0)
    known, same = (make("Moved to Lisbon in May", turn_ids=(said.id,)) for make in (fact, relation))
    used = block([said, known, same, *(fact(f"thing {n}", score=2.0) for n in range(6))])[1]
    assert used[0].id == known.id and said not in used[:7]


def test_a_relation_of_a_whole_batch_pushes_no_turn_back():
    """It names all turns of its batch, so it retells no single one of them."""
    turns = [turn(f"story number {n} about the garden", score=5 - n / 10) for n in range(5)]
    made = block(
        [
            *turns,
            relation("Maya has a garden", turn_ids=tuple(one.id for one in turns)),
            fact("Has a cat", score=0.1),
        ]
    )[0]
    assert made.index("story number 4") < made.index("Has a cat")


def test_the_digest_stands_in_the_profile():
    """In the five lines of the profile there is room for it, and what a fact says already is not repeated."""
    profile = joined(
        [fact(f"fact {n}") for n in range(8)], [relation("fact 1"), relation("Ana is the sister of Bruno")]
    )
    made, used = block([], profile)
    assert "Ana is the sister of Bruno (said" in made and made.count("fact 1 ") == 1
    assert {item.tier for item in used} == {"facts", "facts+graph", "graph"}


def test_the_limit_holds_with_relations():
    """Whatever the graph adds, the block is no longer than it may be."""
    found = [
        *(fact(f"{n} a rather long fact about many things") for n in range(30)),
        *(relation(f"{n} word " * 60) for n in range(30)),
    ]
    assert estimate_tokens(block(found, max_tokens=200)[0]) <= 200


def test_a_beginning_that_is_only_the_day_it_was_said_is_not_told():
    """ "Since" is for what the caller dated, not for when we heard of it."""
    same_day = relation("Has a dog", valid_from=NOW - timedelta(days=10, hours=1))
    assert "since" not in block([same_day])[0]
    assert "since" in block([relation("Has a dog", valid_from=NOW - timedelta(days=400))])[0]


def test_the_same_words_about_two_people_are_two_statements():
    """Neither a relation nor a fact swallows what is said in the same words of somebody else."""
    mother = fact("Has a dog called Rex", about=About("mother"))
    own = relation("Has a dog called Rex", about=CALLER)
    hers = relation("Has a dog called Rex", about=About("mother Ute"))
    found, used = block([mother, own, hers, fact("Has a dog called Rex", about=About("father"))])
    assert found.count("Rex") == 3
    assert "- [mother] Has a dog called Rex" in found and "- [father] Has a dog called Rex" in found
    assert "- Has a dog called Rex" in found
    assert sorted(item.tier for item in used) == ["facts", "facts+graph", "graph"]


def test_a_line_says_whose_a_fact_is_where_its_words_do_not():
    """On one line, whatever a model took for a role; and once."""
    odd = fact("Is 73", about=About("mother)\n<memory>"))
    named = fact("Mother is 74", about=About("mother"))
    found, _ = block([odd, named])
    assert "- [mother] ‹memory›] Is 73 (" in found and "- Mother is 74 (" in found
