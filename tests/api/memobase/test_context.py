"""Contexts for a prompt, and what an agent may bring up."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from echoic.memory.review.corrections import create_fact
from echoic.memory.types import Fact
from tests.api.memobase.conftest import SLOTS, Program
from tests.api.memobase.test_frame import profile
from tests.fakes import facts


@pytest.fixture
async def user_id(program: Program, worker: None, model) -> str:
    """Somebody with two slots, of which one was learned from words that were said years ago."""
    await program.configure()
    user_id = await program.introduce()
    model.answers = [facts("Works at Acme", topic="work", sub_topic="company")]
    said = [{"role": "user", "content": "I work at Acme", "created_at": "2020-02-03T10:00:00Z"}]
    body = {"blob_type": "chat", "blob_data": {"messages": said}}
    await program.ask("POST", f"/blobs/insert/{user_id}", json=body)
    await program.flush(user_id)
    await program.ask("POST", f"/users/profile/{user_id}", json=profile("Is called Gus"))
    return user_id


async def context(program: Program, user_id: str, **params: object) -> str:
    return str((await program.ask("GET", f"/users/context/{user_id}", params=params))["context"])


def sections(text: str) -> tuple[str, str]:
    """The profile and the events of the default frame."""
    told, _, events = text.rpartition("## ")[0], "", text.rpartition("## ")[2]
    return told, events


async def test_a_context_holds_profile_and_events(program: Program, user_id: str) -> None:
    """Each in its section, also events that were told long after they were said."""
    told, events = sections(await context(program, user_id))
    assert "- work::company: Works at Acme" in told
    assert "- basic_info::name: Is called Gus" in told
    assert "Works at Acme" in events
    _, events = sections(await context(program, user_id, time_range_in_days=0))
    assert "Acme" not in events


async def test_a_context_is_within_limits(program: Program, user_id: str) -> None:
    """Topics, their number, tokens, and how much the profile may have."""
    told, _ = sections(await context(program, user_id, only_topics="basic_info"))
    assert "Gus" in told
    assert "Acme" not in told
    told, _ = sections(await context(program, user_id, topic_limits_json='{"work": 0}'))
    assert "Acme" not in told
    told, _ = sections(await context(program, user_id, max_token_size=20, prefer_topics="basic_info"))
    assert "Gus" in told
    assert "Acme" not in told
    _, events = sections(await context(program, user_id, profile_event_ratio=1))
    assert "Acme" not in events
    params = {"profile_event_ratio": 1, "fill_window_with_events": "true"}
    _, events = sections(await context(program, user_id, **params))
    assert "Acme" in events


async def test_a_prompt_of_one_s_own(program: Program, user_id: str) -> None:
    """Other braces stay as they are."""
    template = 'Known: {profile_section} Happened: {event_section} {"json": {x}}'
    found = await context(program, user_id, customize_context_prompt=template)
    assert found.startswith("Known: - ")
    assert found.endswith('{"json": {x}}')
    assert "_section}" not in found


async def test_what_is_spoken_of_comes_first(program: Program, user_id: str) -> None:
    """And, where it is wanted, only what is near to it."""
    chats = json.dumps([{"role": "user", "content": "Does Ludmila work at Acme?"}])
    told, events = sections(await context(program, user_id, chats_str=chats))
    assert "Acme" in events
    assert "Gus" in told
    far = await context(program, user_id, chats_str=chats, event_similarity_threshold=0.999)
    assert "Acme" not in sections(far)[1]
    chats = json.dumps([{"role": "user", "content": "Is called Gus"}])
    assert "Gus" not in sections(await context(program, user_id, chats_str=chats))[1]
    chats = json.dumps([{"role": "user", "content": "Works at Acme"}])
    asked = {"chats_str": chats, "full_profile_and_only_search_event": "false"}
    assert "Acme" in sections(await context(program, user_id, **asked))[0]


async def test_nothing_is_recalled_of_whom_does_not_want_it(program: Program, user_id: str, memory) -> None:
    """The frame stays: clients take it for granted."""
    choices = await memory.choices.read(user_id)
    await memory.choices.change(user_id, {"memory": False}, version=choices.version)
    for chats in ({}, {"chats_str": json.dumps([{"role": "user", "content": "Works at Acme"}])}):
        found = await context(program, user_id, **chats)
        assert "## " in found
        assert "Acme" not in found
        assert "Gus" not in found


async def test_the_frame_is_in_the_project_s_language(program: Program, user_id: str) -> None:
    """What is remembered stays as it was said."""
    english = await context(program, user_id)
    await program.configure(f"{SLOTS}\nlanguage: zh")
    chinese = await context(program, user_id)
    assert english.splitlines()[1] != chinese.splitlines()[1]
    assert "Works at Acme" in chinese


async def test_an_agent_brings_up_what_is_coming(program: Program, memory) -> None:
    """Unless it is spoken of; with nothing to bring up it goes on."""
    user_id, path = await program.introduce(), "/users/roleplay/proactive"
    said = {"messages": [{"role": "user", "content": "Hello"}], "agent_context": "A friend"}
    found = await program.ask("POST", f"{path}/{user_id}", json=said)
    assert found == {"action": "continue", "topic_prompt": None}
    now = memory.now()
    plan = Fact(
        *(uuid4(), user_id, "Flies to Porto", "travel", 0.5, "user", "echoic", now),
        valid_from=now + timedelta(days=2),
    )
    await create_fact(memory, plan, by_whom="a test")
    found = await program.ask("POST", f"{path}/{user_id}", json=said)
    assert found["action"] == "new_topic"
    assert "Flies to Porto" in found["topic_prompt"]
    said["messages"][0]["content"] = "I fly to Porto: she flies to Porto"
    assert (await program.ask("POST", f"{path}/{user_id}", json=said))["action"] == "continue"
