"""Blobs and their buffer."""

import asyncio
import json

from echoic.memory.store.jobs import learn_job_id
from tests.api.memobase.conftest import Program


async def insert(program: Program, user_id: str, kind: str, **body: object) -> str:
    found = await program.ask("POST", f"/blobs/insert/{user_id}", json={"blob_type": kind, **body})
    return str(found["id"])


async def capacity(program: Program, user_id: str, status: str, kind: str = "chat") -> list[str]:
    path = f"/users/buffer/capacity/{user_id}/{kind}"
    found: list[str] = (await program.ask("GET", path, params={"status": status}))["ids"]
    return found


async def test_a_document_is_kept_and_not_learned(program: Program, model) -> None:
    """It waits for ever; a flush of it does nothing."""
    user_id = await program.introduce()
    letter, note = {"content": "Hello world"}, {"summary": "Says hello"}
    doc = await insert(program, user_id, "doc", blob_data=letter | {"type": "doc"}, fields={"from": "happy"})
    summary = await insert(program, user_id, "summary", blob_data=note)
    found = await program.ask("GET", f"/blobs/{user_id}/{doc}")
    assert (found["blob_type"], found["blob_data"], found["fields"]) == ("doc", letter, {"from": "happy"})
    assert (await program.ask("GET", f"/blobs/{user_id}/{summary}"))["blob_data"] == note
    assert await capacity(program, user_id, "idle", "doc") == [doc]
    assert await program.ask("POST", f"/users/buffer/{user_id}/doc") is None
    assert await program.ask("POST", f"/users/buffer/{user_id}/doc?wait_process=True") == []
    assert model.requests == []
    assert (await program.ask("GET", f"/users/blobs/{user_id}/doc"))["ids"] == [doc]
    await program.ask("DELETE", f"/blobs/{user_id}/{doc}")
    await program.ask("GET", f"/blobs/{user_id}/{doc}", errno=404)
    await program.ask("DELETE", f"/blobs/{user_id}/{doc}")


async def test_messages_come_back_as_they_were_told(program: Program) -> None:
    """With names and dates, also dates that no calendar has."""
    user_id = await program.introduce()
    said = [
        {"role": "user", "content": "Hello world", "alias": "Gus", "created_at": "2025-01-14"},
        {"role": "assistant", "content": "hi", "alias": None, "created_at": "in the year 32637"},
        {"role": "user", "content": "And again", "alias": None, "created_at": "32637-01-01T00:00:00"},
        {"role": "user", "content": "And last", "alias": None, "created_at": "9999-12-31T23:59:59-14:00"},
    ]
    blob = await insert(program, user_id, "chat", blob_data={"messages": said}, fields={"a": 1})
    found = await program.ask("GET", f"/blobs/{user_id}/{blob}")
    assert (found["blob_data"]["messages"], found["fields"]) == (said, {"a": 1})


async def test_blobs_are_listed_page_by_page(program: Program) -> None:
    """The oldest first."""
    user_id = await program.introduce()
    made = [(await program.tell(user_id, f"Sentence {number}"))["id"] for number in range(3)]
    path = f"/users/blobs/{user_id}/chat"
    pages = [await program.ask("GET", path, params={"page": page, "page_size": 2}) for page in range(3)]
    assert [page["ids"] for page in pages] == [made[:2], made[2:], []]


async def test_blobs_told_one_after_the_other_are_learned_together(program: Program, worker, model) -> None:
    """As a wrapped OpenAI client tells them, an exchange at a time: one event, one question to the model."""
    user_id = await program.introduce()
    for words in ("Hello, I'm Gus", "I live in Porto", "I like tea"):
        await program.tell(user_id, words)
    (learned,) = await program.flush(user_id)
    assert learned["event_id"]
    assert len(model.requests) == 1
    asked = json.dumps(model.requests[0])
    assert all(words in asked for words in ("I'm Gus", "Porto", "tea"))


async def test_blobs_that_come_at_once_are_one_conversation(program: Program, worker, memory) -> None:
    """Each message has a place of its own, and each blob its messages, in their order."""
    user_id = await program.introduce()
    told = [(f"First {number}", f"Second {number}") for number in range(5)]
    found = await asyncio.gather(*(program.tell(user_id, *words) for words in told))
    assert len(await program.flush(user_id)) == 1
    turns = await memory.turns.list(user_id)
    assert sorted(turn.position for turn in turns) == list(range(10))
    for words, blob in zip(told, found, strict=True):
        kept = await program.ask("GET", f"/blobs/{user_id}/{blob['id']}")
        assert [one["content"] for one in kept["blob_data"]["messages"]] == list(words)


async def test_what_was_said_on_other_days_is_another_conversation(program: Program, worker: None) -> None:
    """Sessions that are imported one after the other do not run into each other."""
    user_id = await program.introduce()
    for day in ("2023-05-01", "2023-06-01"):
        said = [{"role": "user", "content": f"It is the {day}", "created_at": f"{day}T10:00:00Z"}]
        await insert(program, user_id, "chat", blob_data={"messages": said})
    assert len(await program.flush(user_id)) == 2


async def test_what_nobody_flushes_is_learned_after_a_while(program: Program, memory) -> None:
    """A worker is told to, once nothing more has come for as long as the house waits."""
    user_id = await program.introduce()
    await program.tell(user_id, "Hello, I'm Gus")
    assert await memory.jobs.of_user(user_id) == [learn_job_id(user_id)]
    assert await memory.jobs.overdue_s() == 0
    await program.flush(user_id, sync=False)
    assert await memory.jobs.of_user(user_id) == [learn_job_id(user_id)]
    assert await memory.jobs.overdue_s() > 0


async def test_a_full_buffer_is_flushed(program: Program, worker: None, memory) -> None:
    """Within the request when it waits."""
    user_id = await program.introduce()
    long = "I like tea and I like coffee. " * 20
    most = 2 + memory.settings.learn_tokens * 4 // len(long)
    answers = [
        await program.tell(user_id, f"{number}: {long}", params={"wait_process": True})
        for number in range(most)
    ]
    assert answers[0]["chat_results"] == [] and any(one["chat_results"] for one in answers)
    assert await capacity(program, user_id, "done")


async def test_a_full_buffer_is_flushed_behind_who_does_not_wait(
    program: Program, worker: None, memory
) -> None:
    user_id = await program.introduce()
    long = "I like tea and I like coffee. " * 20
    most = 2 + memory.settings.learn_tokens * 4 // len(long)
    for number in range(most):
        assert (await program.tell(user_id, f"{number}: {long}"))["chat_results"] == []
    async with asyncio.timeout(30):
        while not await capacity(program, user_id, "done"):
            await asyncio.sleep(0.1)


async def test_a_blob_s_words_can_be_taken_back(program: Program, worker: None) -> None:
    """Before they are learned nothing is learned of them; afterwards what was learned stays."""
    user_id = await program.introduce()
    early = (await program.tell(user_id, "A mistake"))["id"]
    await program.ask("DELETE", f"/blobs/{user_id}/{early}")
    assert await program.flush(user_id) == []
    late = (await program.tell(user_id, "Hello, I'm Gus"))["id"]
    assert len(await program.flush(user_id)) == 1
    await program.ask("DELETE", f"/blobs/{user_id}/{late}")
    await program.ask("GET", f"/blobs/{user_id}/{late}", errno=404)
    assert len((await program.ask("GET", f"/users/profile/{user_id}"))["profiles"]) == 1


async def test_a_failure_of_the_model_is_told_and_loses_nothing(program: Program, worker, model) -> None:
    """The flush says so; what was told waits."""
    user_id = await program.introduce()
    model.answers = ["no JSON at all"] * 10
    blob = await program.tell(user_id, "Hello, I'm Gus")
    await program.ask("POST", f"/users/buffer/{user_id}/chat?wait_process=true", errno=500)
    assert await capacity(program, user_id, "processing") == [blob["id"]]
    await program.ask("GET", f"/users/profile/{user_id}")


async def test_without_a_worker_a_flush_says_so(program: Program, monkeypatch) -> None:
    """It is stored, and learned by the next one; reads wait no longer than they may."""
    monkeypatch.setattr("echoic.api.memobase.learning.SYNC_S", 0.3)
    monkeypatch.setattr("echoic.api.memobase.learning.READS_S", 0.5)
    user_id = await program.introduce()
    blob = await program.tell(user_id, "Hello, I'm Gus")
    await program.ask("POST", f"/users/buffer/{user_id}/chat?wait_process=true", errno=504)
    assert await capacity(program, user_id, "processing") == [blob["id"]]
    assert (await program.ask("GET", f"/users/profile/{user_id}"))["profiles"] == []


async def test_nobody_is_kept_who_does_not_want_to_be(program: Program, memory) -> None:
    """Neither words nor documents, and the program hears of it."""
    user_id = await program.introduce()
    await memory.consents.write(user_id, "off")
    for kind, data in (
        ("chat", {"messages": [{"role": "user", "content": "Hello"}]}),
        ("doc", {"content": "Hello"}),
    ):
        body = {"blob_type": kind, "blob_data": data}
        await program.ask("POST", f"/blobs/insert/{user_id}", errno=409, json=body)
        assert (await program.ask("GET", f"/users/blobs/{user_id}/{kind}"))["ids"] == []


async def test_a_number_that_no_store_holds_is_refused(program: Program, memory) -> None:
    """Nothing is told to be stored that waits on the disk for ever."""
    user_id = await program.introduce()
    body = '{"blob_type": "chat", "fields": {"x": 1e400}, "blob_data": {"messages": [%s]}}'
    content = body % json.dumps({"role": "user", "content": "Hello, I'm Gus"})
    headers = {"Content-Type": "application/json"}
    answer = await program.http.post(f"/api/v1/blobs/insert/{user_id}", content=content, headers=headers)
    assert answer.status_code == 422 and "number" in answer.text
    assert not memory.spool.waiting
