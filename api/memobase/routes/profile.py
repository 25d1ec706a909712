"""A profile: read, added to, changed; and a text from which it is learned."""

from fastapi import APIRouter

from echoic.api.memobase import blobs, profile
from echoic.api.memobase.asked import FromQuery
from echoic.api.memobase.asker import Id, Reads, Writes, WritesUnwalled
from echoic.api.memobase.bodies import BlobBody, ImportBody, ProfileBody
from echoic.api.memobase.frame import Frame, MemobaseRoute, ok, unknown
from echoic.api.memobase.learning import flush, wait_flushed, wait_learned

router = APIRouter(route_class=MemobaseRoute)


@router.get("/users/profile/{user_id}")
async def memobase_profile(about: Reads, asked: FromQuery, topk: int | None = None) -> Frame:
    """Slots with what stands in them."""
    limits, near = asked.limits(slots=topk, tokens=asked.max_token_size), asked.spoken_of()
    await wait_flushed(about)
    found = await profile.profiles(about, limits, near)
    return ok({"profiles": [profile.answer(one, about.user_id) for one in found]})


@router.post("/users/profile/{user_id}")
async def memobase_add_profile(about: Writes, body: ProfileBody) -> Frame:
    """Put a text into a slot, beside what stands there."""
    if not await about.exists():
        raise unknown()
    return ok({"id": await profile.add(about, body)})


@router.put("/users/profile/{user_id}/{profile_id}")
async def memobase_update_profile(about: Writes, profile_id: Id, body: ProfileBody) -> Frame:
    """A slot says this from now on."""
    await profile.update(about, profile_id, body)
    return ok()


@router.delete("/users/profile/{user_id}/{profile_id}")
async def memobase_delete_profile(about: Writes, profile_id: Id) -> Frame:
    """Forget what stands in a slot."""
    await profile.remove(about, profile_id)
    return ok()


@router.post("/users/profile/import/{user_id}")
async def memobase_import(about: WritesUnwalled, body: ImportBody) -> Frame:
    """Learn from a text, as if this person said it; answers when it is learned."""
    if not await about.exists():
        raise unknown()
    said = {"messages": [{"role": "user", "content": body.context}]}
    await blobs.insert(about, BlobBody(blob_type="chat", blob_data=said))
    await wait_learned(about, (await flush(about)).turn_ids)
    return ok()
