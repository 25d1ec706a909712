"""What a profile's configuration says: of a file, of variables, and of what was set; and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoic.memory.errors import ConfigInvalid
from echoic.memory.profile.reorganise import merged
from echoic.memory.profile.slots import PLAIN, configured, parsed, unified
from echoic.workers.evidence.operations import TOPICS, schema
from echoic.workers.evidence.reading import read_answer
from echoic.workers.learn.prompt import SYSTEM
from echoic.workers.learn.slots import asked_of, instructions

MEMOBASE = """
language: en
profile_strict_mode: false
additional_user_profiles:
  - topic: Work Life
    description: how they earn their living
    sub_topics:
      - Company
      - name: Job Title
        description: what they are called there
        update_description: keep the newest only
  - topic: work life
    sub_topics: [salary]
event_tags: [theme, {name: mood, description: how they feel}]
"""


def test_memobases_file_is_read_as_it_is():
    """Names are unified, a topic that is named twice has the slots of both, unknown keys are nobody's."""
    profile = parsed(MEMOBASE)
    assert [sub.name for sub in profile.topics["work_life"].sub_topics] == ["company", "job_title", "salary"]
    assert profile.slot("work_life", "job_title").update_description == "keep the newest only"
    asked = asked_of(profile)
    assert (
        asked.topics == ("work_life", *TOPICS) and asked.sub_topics == () and asked.tags == ("theme", "mood")
    )


def test_a_variable_counts_before_the_file(tmp_path, monkeypatch):
    """And what it does not name stays as the file has it."""
    file = tmp_path / "profile.yaml"
    file.write_text("profile_strict_mode: true\nmax_profile_subtopics: 3\n")
    monkeypatch.setenv("ECHOIC_MAX_PROFILE_SUBTOPICS", "4")
    monkeypatch.setenv("ECHOIC_ADDITIONAL_USER_PROFILES", '[{"topic": "pets", "sub_topics": ["dog"]}]')
    found = configured(file)
    assert (found.profile_strict_mode, found.max_profile_subtopics) == (True, 4)
    assert found.has("pets", "dog") and not found.has("pets", "cat")


def test_what_is_overwritten_stands_alone():
    """Echoic's own topics go, but for the two that mean something to it."""
    profile = parsed(
        "overwrite_user_profiles: [{topic: health, sub_topics: [allergies]}]\nprofile_strict_mode: true"
    )
    asked = asked_of(profile)
    assert asked.topics == ("health", "assistant", "promises") and asked.sub_topics == ("allergies",)
    found = schema(1, 0, 4, asked=asked)["properties"]["operations"]["items"]["properties"]
    assert found["sub_topic"]["enum"] == ["allergies", ""] and "health" in found["topic"]["enum"]


def test_without_a_configuration_nothing_else_is_asked():
    """What a model reads and may answer is byte for byte what its grade was made with."""
    assert asked_of(PLAIN).sub_topics is None and instructions(PLAIN) == ""
    assert schema(3, 2, 4) == schema(3, 2, 4, asked=asked_of(PLAIN)) and "slot" not in SYSTEM


def test_tags_and_slots_are_read_from_an_answer():
    """Of tags those that were asked for; a value that says nothing is none."""
    asked = asked_of(parsed(MEMOBASE))
    answer = {
        "operations": [{"fact": "Works at Acme", "topic": "work_life", "sub_topic": " Company "}],
        "tags": {"mood": "happy", "theme": " ", "other": "x"},
    }
    read = read_answer(answer, 1, 0, asked)
    assert read.operations[0].sub_topic == "company" and read.tags == {"mood": "happy"}


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "- a",
        "just words",
        "profile_strict_mode: perhaps",
        "additional_user_profiles: 3",
        "additional_user_profiles: [{sub_topics: [a]}]",
        "event_tags: [{description: nameless}]",
        "max_profile_subtopics: 0",
        "a: &a [1, 2]\nb: [*a, *a]",
        "x: " + "[" * 5_000,
        "!!python/object/apply:os.system ['true']",
    ],
)
def test_what_is_no_configuration_is_refused(text):
    """In a sentence, whatever it is."""
    with pytest.raises(ConfigInvalid):
        parsed(text)


names = st.text("abcdef", min_size=1, max_size=3)


@given(
    st.dictionaries(names, st.tuples(st.integers(1, 5), st.integers(0, 7)), max_size=12),
    st.sets(names, max_size=4),
    st.integers(1, 6),
)
def test_a_topic_is_brought_down_to_size(sizes, fixed, most):
    """What is left is about half, nothing configured goes, and every slot goes into one that stays."""
    slots = {name: (count, np.eye(8, dtype=np.float32)[at]) for name, (count, at) in sizes.items()}
    into = merged(slots, fixed & set(slots), most)
    left = set(slots) - set(into)
    assert not set(into) & fixed and set(into.values()) <= left
    if len(slots) <= most:
        assert not into
    else:
        assert len(left) <= max(most // 2 + 1, len(fixed & set(slots)) or 1)


def test_names_are_unified():
    assert unified("  Job  Title ") == "job_title"
