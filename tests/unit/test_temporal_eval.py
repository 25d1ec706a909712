"""The temporal eval reads, tells and judges as its formats say."""

import json
from datetime import UTC, datetime

import pytest

from echoic.memory.recall.prompt import CLOSE, LABEL, OPEN
from evals.temporal import DATA, figures_of, wrong_of
from evals.temporal_data import calls_of, read, read_script, script_path
from evals.temporal_score import holds, judge
from evals.temporal_tell import Answer

HISTORY = [
    {"said_at": "2025-03-01T10:00:00+00:00", "text": "I live in Porto."},
    {"said_at": "2025-01-01T10:00:00", "text": "I live in Leeds."},
    {"said_at": "2025-01-01T10:05:00+00:00", "text": "I have a cat."},
]
QUESTION = {
    "history": "ana",
    "asked_at": "2025-04-01",
    "question": "Where do I live?",
    "must": ["Porto"],
    "must_not": ["Leeds"],
}


def block(*lines):
    return "\n".join(
        [OPEN, LABEL, "Perhaps about what the caller says now:", *(f"- {line}" for line in lines), CLOSE, ""]
    )


def written(tmp_path, **fields):
    path = tmp_path / "told.json"
    path.write_text(json.dumps({"histories": {"ana": HISTORY}, "questions": [QUESTION]} | fields))
    return path


def taught(tmp_path, *entries):
    path = tmp_path / "told.learned.json"
    path.write_text(json.dumps({"learned": {"ana": entries}}))
    return path


def test_a_file_is_read_in_the_order_it_was_said(tmp_path):
    """Whatever the order in the file; a time without a zone is UTC, a day alone its beginning."""
    data = read(written(tmp_path))
    assert [turn.text for turn in data.histories["ana"]] == [
        "I live in Leeds.",
        "I have a cat.",
        "I live in Porto.",
    ]
    assert data.histories["ana"][0].said_at == datetime(2025, 1, 1, 10, tzinfo=UTC)
    assert data.questions[0].asked_at == datetime(2025, 4, 1, tzinfo=UTC)
    assert [len(call) for call in calls_of(data.histories["ana"])] == [2, 1]


@pytest.mark.parametrize(
    "fields",
    [
        {"histories": []},
        {"histories": {"ana": [{"text": "no time"}]}},
        {"histories": {"ana": [{"said_at": "soon", "text": "x"}]}},
        {"histories": {"ana": [{"said_at": "2025-01-01", "text": "x", "role": "system"}]}},
        {"questions": []},
        {"questions": [QUESTION | {"history": "ben"}]},
        {"questions": [QUESTION | {"must": "Porto"}]},
        {"questions": [QUESTION | {"must_not": [""]}]},
    ],
)
def test_another_file_is_refused_with_a_sentence(tmp_path, fields):
    """One that names the file."""
    with pytest.raises(ValueError, match=r"told\.json"):
        read(written(tmp_path, **fields))


def test_an_extraction_cannot_end_what_nobody_taught(tmp_path):
    """Nor learn from a turn that does not exist: a slip there would look like a fault of recall."""
    data = read(written(tmp_path))
    first = {"turn": 0, "facts": [{"text": "Lives in Leeds", "valid_from": "2025-01-01"}]}
    ends = {"turn": 2, "ended": [{"text": "Lives in Leeds", "at": "2025-02-20"}]}
    script = read_script(taught(tmp_path, first, ends), data)
    assert script["ana"][2].ended == (("Lives in Leeds", datetime(2025, 2, 20, tzinfo=UTC)),)
    for wrong in (
        [ends],
        [first, ends, ends | {"turn": 3}],
        [first, ends | {"ended": [{"text": "Lives in Rome", "at": "2025-02-20"}]}],
    ):
        with pytest.raises(ValueError, match=r"told\.learned\.json"):
            read_script(taught(tmp_path, *wrong), data)


@pytest.mark.parametrize(
    ("line", "word", "there"),
    [
        ("Lives in PORTO now", "porto", True),
        ("Are vegetarians", "vegetarian", True),
        ("Eats steak", "tea", False),
        ("Pays 450 pounds", "45", False),
        ("Room 3, ground floor", "room 3", True),
        ("Moved in São João", "joão", True),
        ("住在东京", "东京", True),
        ("Lives  in Porto", "in  Porto", True),
    ],
)
def test_a_word_is_there_where_it_begins_one(line, word, there):
    """In any case; numbers are whole, and scripts without spaces have no beginnings."""
    assert holds(line, word) is there


def test_a_block_is_right_when_it_holds_all_and_nothing_stale():
    """The words of the label and the headings are nobody's memory."""
    now = "Lives in Porto (since 20 Feb 2025; said 31 days ago, 1 Mar 2025)"
    assert judge(block(now), ["Porto"], ["Leeds"]).right
    assert judge(block(now), ["Porto", "caller"], []).missing == ("caller",)
    assert judge("", ["Porto"], []).missing == ("Porto",)


def test_what_is_dated_as_past_may_stand_there():
    """`true until` is that; when it was said is not, of a fact or of a quote."""
    over = "Lives in Leeds (true until 20 Feb 2025; said 3 months ago, 1 Jan 2025)"
    planned = "Lives in Leeds (until 20 May 2025; said 3 months ago, 1 Jan 2025)"
    quote = 'Caller: "I live in Leeds (true until I die)." (said 3 months ago, 1 Jan 2025)'
    assert judge(block(over), [], ["Leeds"]).right
    assert judge(block(planned), [], ["Leeds"]).reason == "stale fact"
    assert judge(block(quote), [], ["Leeds"]).reason == "stale quote"
    assert judge(block(quote, planned), ["Porto"], ["Leeds"]).reason == "missing + stale fact + stale quote"


def test_the_result_has_the_agreed_keys(tmp_path):
    """Others read them; a form that was not run has no figure."""
    question = read(written(tmp_path)).questions[0]
    verdicts = [
        judge(block(text), question.must, question.must_not)
        for text in ("Lives in Porto (said today)", "Lives in Leeds (said today)")
    ]
    answers = [Answer(question, {"facts_only": verdict}, {"facts_only": ""}) for verdict in verdicts]
    assert figures_of(answers, "scripted") == {
        "n": 2,
        "facts_only": 0.5,
        "with_graph": None,
        "model": "scripted",
    }
    assert wrong_of(answers) == [
        {"history": "ana", "question": "Where do I live?", "facts_only": "missing + stale fact"}
    ]
    both = [Answer(question, {"facts_only": verdict, "with_graph": verdicts[0]}, {}) for verdict in verdicts]
    assert figures_of(both, "m")["with_graph"] == 1.0


def test_our_own_questions_are_well_formed():
    """At least forty over eight histories, each asking for something that was said before."""
    data = read(DATA)
    script = read_script(script_path(DATA), data)
    assert len(data.questions) >= 40 and len(data.histories) >= 8 and script.keys() == data.histories.keys()
    assert all(one.must and one.asked_at > data.histories[one.history][0].said_at for one in data.questions)
    assert len({(one.history, one.asked_at, one.text) for one in data.questions}) == len(data.questions)
    facts = [fact for learned in script.values() for entry in learned.values() for fact in entry.facts]
    assert all(len(fact.text) <= 200 and 0 <= fact.importance <= 1 for fact in facts)
