"""Users: introduced, written over, listed, erased."""

from echoic.memory.privacy.export import export_user
from tests.api.memobase.conftest import Program, new_id
from tests.api.memobase.test_frame import profile


async def test_a_user_is_what_a_program_says(program: Program) -> None:
    """Data are kept as they are sent, whole, and replaced."""
    user_id = new_id()
    body = {"id": user_id, "data": {"name": "Gus", "more": {"list": [1, None]}}}
    assert await program.ask("POST", "/users", json=body) == {"id": user_id}
    await program.ask("POST", "/users", errno=500, json=body)
    found = await program.ask("GET", f"/users/{user_id}")
    assert (found["data"], found["id"]) == (body["data"], None)
    assert found["created_at"].endswith("Z") or "+" in found["created_at"]
    assert await program.ask("PUT", f"/users/{user_id}", json={"data": {"a": 1}}) == {"id": user_id}
    assert (await program.ask("GET", f"/users/{user_id}"))["data"] == {"data": {"a": 1}}


async def test_an_unknown_user_is_not_found(program: Program) -> None:
    """In the frame: Memobase's client makes the user then."""
    nobody = new_id()
    for method, options in (("GET", {}), ("PUT", {"json": {}}), ("DELETE", {})):
        await program.ask(method, f"/users/{nobody}", errno=404, **options)


async def test_an_erased_user_leaves_nothing_and_may_come_again(
    program: Program, worker: None, memory
) -> None:
    """Their data, documents, words and slots go; the same id begins anew."""
    user_id = await program.introduce(name="Gus")
    await program.tell(user_id, "Hello, I'm Gus")
    doc = {"blob_type": "doc", "blob_data": {"content": "A letter"}}
    await program.ask("POST", f"/blobs/insert/{user_id}", json=doc)
    await program.flush(user_id)
    exported = await export_user(memory, user_id)
    assert exported["introduction"][0]["told"] == {"name": "Gus"}
    assert exported["documents"][0]["told"] == {"content": "A letter"}
    await program.ask("DELETE", f"/users/{user_id}")
    await program.ask("GET", f"/users/{user_id}", errno=404)
    await program.ask("POST", "/users", json={"id": user_id})
    assert (await program.ask("GET", f"/users/{user_id}"))["data"] is None
    for kind in ("chat", "doc"):
        assert (await program.ask("GET", f"/users/blobs/{user_id}/{kind}"))["ids"] == []
    assert (await program.ask("GET", f"/users/profile/{user_id}"))["profiles"] == []
    await program.tell(user_id, "Hello, I'm Gus again")
    assert len(await program.flush(user_id)) == 1


async def test_users_are_listed(program: Program) -> None:
    """By what is asked, page by page; `count` is of all that match."""
    made = [await program.introduce(number=number) for number in range(3)]
    for topic in ("work", "pets"):
        await program.ask("POST", f"/users/profile/{made[1]}", json=profile("Something", topic=topic))
    await program.ask("POST", f"/users/profile/{made[2]}", json=profile("Something"))

    async def listed(**params: object) -> tuple[list[str], int]:
        found = await program.ask("GET", "/project/users", params=params)
        return [one["id"] for one in found["users"]], found["count"]

    assert await listed() == (made[::-1], 3)
    assert await listed(order_desc=False, limit=2) == (made[:2], 3)
    assert await listed(limit=2, offset=2) == (made[:1], 3)
    assert (await listed(order_by="profile_count"))[0][:2] == [made[1], made[2]]
    assert await listed(search=made[0][5:20]) == (made[:1], 1)
    assert await listed(search="%") == ([], 0)
    (one,) = (await program.ask("GET", "/project/users", params={"search": made[1]}))["users"]
    assert (one["profile_count"], one["event_count"], one["additional_fields"]) == (2, 0, {"number": 1})
    answer = await program.http.get("/api/v1/project/users?order_by=name")
    assert answer.status_code == 422
