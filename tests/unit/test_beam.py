"""Reading chats in BEAM's format, and counting what was found. The chat here is made up."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evals.beam import Answer, report_of
from evals.beam_data import Chat, Probe, read


def turn(number: int, content: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "role": "assistant" if number % 2 else "user", "content": content, **more}


CHAT = [
    {
        "batch_number": 1,
        "turns": [
            [turn(0, "I live in Porto. ->-> 1,1", time_anchor="March-15-2024"), turn(1, "A fine town.")],
            [turn(2, "My sister plays the violin. ->-> 1,2"), turn(3, "Lovely.")],
        ],
    },
    {"batch_number": 2, "turns": [[turn(4, "I moved to Lyon.", time_anchor="April-05-2024")]]},
]
QUESTIONS = {
    "knowledge_update": [
        {
            "question": "Where do I live?",
            "source_chat_ids": {"original_info": [0], "updated_info": [4]},
        }
    ],
    "event_ordering": [{"question": "What did I tell you?", "source_chat_ids": [[0, 2], 99]}],
    "information_extraction": [{"question": "Where was it said?", "source_chat_ids": [99]}],
    "abstention": [{"question": "What is my dog called?"}],
}


def chat(folder: Path) -> Chat:
    below = folder / "100K-1"
    below.mkdir()
    (below / "chat.json").write_text(json.dumps(CHAT))
    (below / "probing_questions.json").write_text(json.dumps(QUESTIONS))
    (found,) = read(folder)
    return found


def test_a_chat_is_read(tmp_path: Path) -> None:
    """Each batch is a session of its day, and what the generator noted behind a turn was not said."""
    conversation = chat(tmp_path).conversation
    assert conversation.name == "100K-1"
    assert [said.text for said in conversation.turns][:2] == ["I live in Porto.", "A fine town."]
    assert [said.session for said in conversation.turns] == [1, 1, 1, 1, 2]
    assert [said.by_first_speaker for said in conversation.turns] == [True, False, True, False, True]
    assert conversation.turns[4].said_at == datetime(2024, 4, 5, tzinfo=UTC)


def test_questions_know_their_turns(tmp_path: Path) -> None:
    """Evidence in any nesting; one whose turns are all missing is left out, unless it has no answer."""
    found = chat(tmp_path)
    update, order, unanswerable = found.probes
    assert (update.original, update.updated) == (frozenset({"0"}), frozenset({"4"}))
    assert (update.evidence, order.evidence) == (frozenset({"0", "4"}), frozenset({"0", "2"}))
    assert (unanswerable.ability, unanswerable.evidence) == ("abstention", frozenset())
    assert found.conversation.left_out == 1


@pytest.mark.parametrize("broken", ["[]", "[{}]", '[{"turns": [[{"id": 0}]]}]'])
def test_another_format_is_refused(tmp_path: Path, broken: str) -> None:
    """A sentence, not a traceback."""
    (tmp_path / "chat.json").write_text(broken)
    with pytest.raises(ValueError, match="not in BEAM's format"):
        read(tmp_path)
    with pytest.raises(ValueError, match="no chat"):
        read(tmp_path / "nowhere")


def test_what_is_counted(tmp_path: Path) -> None:
    """Evidence among the first ten; a change above what was told first; scores with and without an answer."""
    probes = chat(tmp_path).probes
    answers = [
        Answer(probes[0], ("4", "2", "0"), 5.0),
        Answer(probes[1], (*map(str, range(100, 110)), "0"), 3.0),
        Answer(probes[2], ("1",), 4.0),
    ]
    report = report_of(answers, [])
    assert (report["questions"], report["recall_at_10"], report["hit_at_10"]) == (2, 0.5, 0.5)
    assert report["by_ability"]["knowledge_update"]["recall_at_10"] == 1.0
    assert (report["changed"], report["updated_above"]) == (1, 1.0)
    told = {"questions": 1, "answerable": 4.0, "not_answerable": 4.0, "margin": 0.0, "told_apart": 0.5}
    assert report["abstention"] == told


@pytest.mark.parametrize(
    ("ranking", "above"), [(("4", "0"), True), (("4",), True), (("0", "4"), False), (("2",), False)]
)
def test_a_change_that_is_not_found_is_not_above(ranking: tuple[str, ...], above: bool) -> None:
    probe = Probe("knowledge_update", "Where?", frozenset({"0", "4"}), frozenset({"0"}), frozenset({"4"}))
    assert replace(Answer(probe, (), 0.0), ranking=ranking).updated_above is above


@pytest.mark.parametrize(
    ("original", "updated", "changed"), [("0", "4", True), ("0", "0", False), ("", "4", False)]
)
def test_what_one_turn_tells_has_not_changed(original: str, updated: str, changed: bool) -> None:
    """Where BEAM names the same turn twice, none can stand above the other."""
    probe = Probe("knowledge_update", "Where?", frozenset("04"), frozenset(original), frozenset(updated))
    assert probe.changed is changed
