"""One whole path: a user, what they said, and what is known of it."""

from tests.api.memobase.conftest import Program, new_id


async def test_what_a_user_says_becomes_profile_event_and_context(program: Program, worker: None) -> None:
    """From the first blob to a prompt, through one flush."""
    await program.configure()
    user_id = await program.introduce(test=1)
    assert (await program.ask("GET", f"/users/{user_id}"))["data"] == {"test": 1}
    blob = await program.tell(user_id, "Hello, I'm Gus")
    assert blob["chat_results"] == []
    idle = f"/users/buffer/capacity/{user_id}/chat"
    assert (await program.ask("GET", idle, params={"status": "idle"}))["ids"] == [blob["id"]]

    (learned,) = await program.flush(user_id)
    assert (await program.ask("GET", idle, params={"status": "done"}))["ids"] == [blob["id"]]
    (profile,) = (await program.ask("GET", f"/users/profile/{user_id}"))["profiles"]
    assert learned["add_profiles"] == [profile["id"]]
    assert profile["content"] == "Is called Gus"
    assert profile["attributes"] == {"topic": "basic_info", "sub_topic": "name"}
    (event,) = (await program.ask("GET", f"/users/event/{user_id}"))["events"]
    assert event["id"] == learned["event_id"]
    assert event["event_data"]["profile_delta"][0]["content"] == "Is called Gus"
    assert "Is called Gus" in event["event_data"]["event_tip"]
    context = (await program.ask("GET", f"/users/context/{user_id}"))["context"]
    assert "- basic_info::name: Is called Gus" in context
    assert await program.flush(user_id) == []


async def test_reads_wait_for_a_flush_that_runs(program: Program, worker: None) -> None:
    """Who flushes without waiting, and looks at once, sees what was told."""
    user_id = await program.introduce()
    await program.tell(user_id, "Hello, I'm Gus")
    assert await program.flush(user_id, sync=False) is None
    assert len((await program.ask("GET", f"/users/event/{user_id}"))["events"]) == 1


async def test_nobody_is_read(program: Program) -> None:
    """Somebody unknown has no profile, and is not found; a new user's context is a frame."""
    nobody = new_id()
    await program.ask("GET", f"/users/{nobody}", errno=404)
    assert await program.ask("GET", f"/users/profile/{nobody}") == {"profiles": []}
    user_id = await program.introduce()
    assert "## " in (await program.ask("GET", f"/users/context/{user_id}"))["context"]
