"""Blobs told, read and deleted; the buffer that they wait in, and its flush."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from echoic.api.memobase import blobs
from echoic.api.memobase.asker import About, Id, Reads, Writes, WritesUnwalled
from echoic.api.memobase.bodies import BlobBody, BlobType
from echoic.api.memobase.frame import Frame, MemobaseRoute, ok, unknown
from echoic.api.memobase.learning import flush, flush_full, wait_learned
from echoic.memory.store.queries import query

router = APIRouter(route_class=MemobaseRoute)
Stage = Literal["idle", "processing", "failed", "done"]
Results = list[dict[str, Any]]
MOST = 10_000


# unwalled: while a store is away, what this writes sets off the replay of everybody's turns
@router.post("/blobs/insert/{user_id}")
async def memobase_insert(about: WritesUnwalled, body: BlobBody, wait_process: bool = False) -> Frame:
    """Durable when this answers; what waits is learned once it is much, or after a while."""
    blob_id = await blobs.insert(about, body)
    learned: Results = []
    if body.blob_type == "chat" and (full := await flush_full(about)) and wait_process:
        learned = await wait_learned(about, full.turn_ids)
    return ok({"id": blob_id, "chat_results": learned})


@router.get("/blobs/{user_id}/{blob_id}")
async def memobase_get_blob(about: Reads, blob_id: Id) -> Frame:
    """What was told."""
    blob = await blobs.read(about, blob_id)
    if blob is None:
        raise unknown("blob")
    return ok(blob.answer())


@router.delete("/blobs/{user_id}/{blob_id}")
async def memobase_delete_blob(about: Writes, blob_id: Id) -> Frame:
    """Forget its words."""
    await blobs.delete(about, blob_id)
    return ok()


@router.get("/users/blobs/{user_id}/{kind}")
async def memobase_list_blobs(
    about: Reads,
    kind: BlobType,
    page: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    page_size: Annotated[int, Query(ge=0)] = 10,
) -> Frame:
    """Ids of what was told, the oldest first."""
    size = min(page_size, MOST)
    return ok({"ids": await _ids(about, "blobs_page", kind, size, page * size)})


@router.get("/users/buffer/capacity/{user_id}/{kind}")
async def memobase_capacity(about: Reads, kind: BlobType, status: Stage = "processing") -> Frame:
    """How far learning is with what was told; documents wait for ever."""
    if kind == "chat":
        return ok({"ids": await _ids(about, "blobs_at_stage", status)})
    return ok({"ids": await _ids(about, "blobs_page", kind, MOST, 0) if status == "idle" else []})


@router.post("/users/buffer/{user_id}/{kind}")
async def memobase_flush(about: WritesUnwalled, kind: BlobType, wait_process: bool = False) -> Frame:
    """Have what was told learned now; with `wait_process` this answers when it is."""
    if kind != "chat":
        return ok([] if wait_process else None)
    found = await flush(about)
    if not found.turn_ids:
        return ok([])
    return ok(await wait_learned(about, found.turn_ids) if wait_process else None)


async def _ids(about: About, name: str, *args: object) -> list[str]:
    rows = await about.memory.db.run(lambda connection: connection.fetch(query(name), about.user_id, *args))
    return [row["id"] for row in rows]
