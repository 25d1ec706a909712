"""One memory: what a program tells is recalled in a call, and what was said in a call is in its profile."""

import json
from typing import Any

from echoic.memory.types import Caller
from tests.api.memobase.conftest import Program

PHONE = "phone:of-gus"


async def test_a_call_of_the_same_person_recalls_what_a_program_told(program: Program, memory) -> None:
    """Under a linked id, each sentence once, before anything is learned."""
    user_id = await program.introduce()
    await memory.links.add(user_id, PHONE, made_by="a test")
    await program.tell(user_id, "My dog is called Biscuit", "I play the oboe")
    call = await memory.open_call(Caller(PHONE, "echoic", "a call"))
    for asked, told in (
        ("What is my dog called?", "My dog is called Biscuit"),
        ("Which instrument do I play?", "I play the oboe"),
    ):
        block = (await call.recall(asked, budget_s=5)).block
        assert block.count(told) == 1
    await call.end()


async def test_a_program_reads_what_was_said_in_a_call(program: Program, memory, learner) -> None:
    """In profile, events and context; the buffer and the blobs are the program's own."""
    await program.configure()
    user_id = await program.introduce()
    await memory.links.add(user_id, PHONE, made_by="a test")
    call = await memory.open_call(Caller(PHONE, "echoic", "a call"))
    await call.record("1", "user", "Hello, I'm Gus")
    await call.end()
    await learner.learn(PHONE)
    (slot,) = (await program.ask("GET", f"/users/profile/{user_id}"))["profiles"]
    assert slot["content"] == "Is called Gus"
    assert len((await program.ask("GET", f"/users/event/{user_id}"))["events"]) == 1
    assert "Is called Gus" in (await program.ask("GET", f"/users/context/{user_id}"))["context"]
    assert (await program.ask("GET", f"/users/blobs/{user_id}/chat"))["ids"] == []
    await program.ask("DELETE", f"/users/profile/{user_id}/{slot['id']}")
    assert (await program.ask("GET", f"/users/profile/{user_id}"))["profiles"] == []


async def test_a_phone_whose_memory_is_off_is_in_no_profile(program: Program, memory, learner) -> None:
    """Nor in a context, where it would answer what is spoken of; the program's own stays."""
    user_id = await program.introduce()
    await memory.links.add(user_id, PHONE, made_by="a test")
    call = await memory.open_call(Caller(PHONE, "echoic", "a call"))
    await call.record("1", "user", "Hello, I'm Gus")
    await call.end()
    await learner.learn(PHONE)
    chats = json.dumps([{"role": "user", "content": "Is called Gus"}])
    asked: list[dict[str, Any]] = [{}, {"chats_str": chats}]
    url = f"/users/context/{user_id}"
    assert all(["Gus" in (await program.ask("GET", url, params=one))["context"] for one in asked])
    choices = await memory.choices.read(PHONE)
    await memory.choices.change(PHONE, {"memory": False}, version=choices.version)
    assert not any(["Gus" in (await program.ask("GET", url, params=one))["context"] for one in asked])
    assert (await program.ask("GET", f"/users/profile/{user_id}"))["profiles"] == []
