"""Reading conversations in LoCoMo's format, and counting what was found. The conversation here is made up."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from echoic.memory.types import Item
from evals.locomo import Answer, first_turns, recall_at, report_of
from evals.locomo_data import dialog_ids, read

SAMPLE = {
    "sample_id": "made-up",
    "conversation": {
        "speaker_a": "Ana",
        "speaker_b": "Ben",
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ana", "dia_id": "D1:1", "text": "I bought a violin."},
            {"speaker": "Ben", "dia_id": "D1:2", "text": "Look!", "blip_caption": "a photo of a cello"},
        ],
        "session_2_date_time": "9:05 am on 1 June, 2023",
        "session_2": [{"speaker": "Ben", "dia_id": "D2:01", "text": "Hello again."}],
        "session_3_date_time": "9:05 am on 2 June, 2023",
    },
    "observation": {
        "session_1_observation": {
            "Ana": [["Ana bought a violin.", "D1:1"]],
            "Ben": [["Ben has a cello.", ["D1:2", "D9:9"]]],
        }
    },
    "qa": [
        {"question": "What did Ana buy?", "answer": "a violin", "evidence": ["D1:1"], "category": 4},
        {"question": "Who plays?", "answer": "both", "evidence": ["D1:1; D1:2"], "category": 1},
        {
            "question": "What did Ben sell?",
            "adversarial_answer": "a cello",
            "evidence": ["D2:1"],
            "category": 5,
        },
        {"question": "Why?", "answer": "?", "evidence": ["D"], "category": 3},
        {"question": "When?", "answer": "?", "evidence": [], "category": 2},
    ],
}


def test_a_conversation_is_read(tmp_path: Path) -> None:
    """Turns with speaker, caption and date; facts with turns and questions with evidence that exist."""
    path = tmp_path / "made-up.json"
    path.write_text(json.dumps([SAMPLE]))
    (conversation,) = read(path)
    assert [turn.text for turn in conversation.turns] == [
        "Ana: I bought a violin.",
        "Ben: Look! [a photo of a cello]",
        "Ben: Hello again.",
    ]
    assert conversation.turns[0].said_at == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    assert [turn.dialog_id for turn in conversation.turns] == ["D1:1", "D1:2", "D2:1"]
    assert [fact.dialog_ids for fact in conversation.observations] == [("D1:1",), ("D1:2",)]
    assert [sorted(question.evidence) for question in conversation.questions] == [
        ["D1:1"],
        ["D1:1", "D1:2"],
        ["D2:1"],
    ]
    assert conversation.left_out == 2


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (["D8:6; D9:17"], ("D8:6", "D9:17")),
        (["D9:1 D4:4 D4:6"], ("D9:1", "D4:4", "D4:6")),
        (["D:11:26", "D30:05"], ("D11:26", "D30:5")),
        ("D1:3, D1:3", ("D1:3",)),
        (["D", "", None], ()),
        (None, ()),
    ],
)
def test_evidence_is_read_as_it_comes(evidence: object, expected: tuple[str, ...]) -> None:
    """The data has several spellings, and entries that name nothing."""
    assert dialog_ids(evidence) == expected


@pytest.mark.parametrize("content", ['{"a": 1}', "[1]", '[{"qa": []}]', "not json"])
def test_another_file_is_refused_with_a_sentence(tmp_path: Path, content: str) -> None:
    """Not with a traceback of the parser."""
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r".+"):
        read(path)


def test_a_fact_counts_as_its_first_three_turns() -> None:
    """Each turn once, where it is named first."""
    a, b, c, d = (uuid4() for _ in range(4))
    assert first_turns([item("turn", a), item("fact", b, a, c, d), item("turn", d)]) == [a, b, c, d]
    assert first_turns([item("fact", a, b, c, d)]) == [a, b, c]


def test_recall_is_the_share_of_the_evidence() -> None:
    """Among the first 5, 10 and 20 turns."""
    ranking = [f"D1:{number}" for number in range(1, 31)]
    assert recall_at(ranking, {"D1:1", "D1:7", "D1:15", "D1:25"}) == (0.25, 0.5, 0.75)
    assert recall_at([], {"D1:1"}) == (0.0, 0.0, 0.0)


def test_the_report_has_the_agreed_keys() -> None:
    """Others read them."""
    report = report_of(
        [Answer(4, (0.0, 1.0, 1.0), 10.0, 5.0), Answer(1, (0.5, 0.5, 0.5), 20.0, 6.0)], left_out=2
    )
    assert report["questions"] == 2
    assert report["recall_at"] == {"5": 0.25, "10": 0.75, "20": 0.75}
    assert report["hit_at"] == {"5": 0.5, "10": 1.0, "20": 1.0}
    assert report["by_category"]["4"]["recall_at"]["10"] == 1.0
    assert {"p50_ms", "p95_ms", "embedding_p50_ms"} <= report.keys()


def item(kind: str, *turn_ids: UUID) -> Item:
    return Item(kind=kind, id=uuid4(), text="", said_at=datetime.now(UTC), turn_ids=turn_ids)  # type: ignore[arg-type]
