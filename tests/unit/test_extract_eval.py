"""The extraction eval counts as its formats say."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from echoic.memory.types import Fact
from evals.extraction import DATA, read, score_case

NOW = datetime.now(UTC)


def fact(text, **fields):
    return Fact(uuid4(), "u", text, "", 0.5, "user", "a", NOW, **fields)


def case(tmp_path, **fields):
    turns = [{"role": "user", "text": "x", "said_at": "2026-11-12T10:00:00+00:00", "interrupted": False}]
    path = tmp_path / "cases.jsonl"
    path.write_text(
        json.dumps({"id": "1", "known": [], "turns": turns, "learn": [], "never": [], "close": []} | fields)
    )
    return read(path)[0]


def test_one_fact_satisfies_one_list(tmp_path):
    """Two lists need two facts, whichever is looked at first."""
    one = case(tmp_path, learn=[["dog"], ["dog", "biscuit"]])
    assert score_case(one, [], [fact("Dog is called Biscuit")])[0].found == 1
    assert score_case(one, [], [fact("Dog is called Biscuit"), fact("Has a dog")])[0].found == 2


def test_a_fact_on_a_never_list_is_wrong(tmp_path):
    """Also when it holds the words of a `learn` list."""
    score, wrong = score_case(
        case(tmp_path, learn=[["ana"]], never=[["caller is"]]),
        [],
        [fact("Caller is Ana"), fact("Sister is ANA")],
    )
    assert (score.facts, score.right, score.never, len(wrong)) == (2, 1, 1, 1)


def test_closing_counts_right_and_wrong(tmp_path):
    """Known facts are not new facts; what is closed without reason counts against."""
    before = [fact("Lives in Leeds"), fact("Likes jazz")]
    after = [replace(one, valid_until=NOW - timedelta(hours=1)) for one in before] + [fact("Lives in York")]
    score, _ = score_case(case(tmp_path, learn=[["york"]], close=[["leeds"]]), before, after)
    assert (score.to_close, score.closed, score.wrongly_closed, score.facts, score.found) == (1, 1, 1, 1, 1)


def test_long_texts_satisfy_nothing(tmp_path):
    """A fact is at most 200 characters."""
    assert score_case(case(tmp_path, learn=[["dog"]]), [], [fact("dog " * 60)])[0].found == 0


def test_the_cases_are_well_formed():
    """At least sixty, each with turns; ids are unique."""
    cases = read(DATA)
    assert len(cases) >= 60 and len({one.case_id for one in cases}) == len(cases)
    assert all(
        one.turns and all(turn["role"] in ("user", "assistant") for turn in one.turns) for one in cases
    )
