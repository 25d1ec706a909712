"""Users: introduced, read, written over and erased; and a list of them."""

import json
from typing import Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Query, Request

from echoic.api.access.wall import ONLY
from echoic.api.memobase.asker import Looks, OwnsAccount, Reads, Writes, admitted
from echoic.api.memobase.bodies import Data, UserBody
from echoic.api.memobase.frame import Frame, MemobaseRoute, failed, ok, unknown
from echoic.memory.privacy.erase import erase_user
from echoic.memory.store.queries import query
from echoic.memory.text.words import clean

router = APIRouter(route_class=MemobaseRoute)
PROJECT = "__root__"
"""There is one, called as at a Memobase of one's own."""
MOST = 1_000


@router.post("/users")
async def memobase_add_user(request: Request, body: UserBody) -> Frame:
    """Somebody new, with an id that is given or made."""
    user_id = body.id or uuid4()
    who = await admitted(request, "write", str(user_id))
    ONLY.set(str(user_id))
    args = str(user_id), json.dumps(body.data)
    if not await who.memory.db.run(lambda connection: connection.fetchval(query("add_user"), *args)):
        raise failed(500, "There is a user of this id.")
    return ok({"id": user_id})


@router.get("/users/{user_id}")
async def memobase_get_user(about: Reads) -> Frame:
    """What was told when they were introduced."""
    row = await about.memory.db.run(lambda connection: connection.fetchrow(query("user_row"), about.user_id))
    if row is None:
        raise unknown()
    data = json.loads(row["data"]) if row["data"] else None
    return ok({"data": data, "id": None, "created_at": row["created_at"], "updated_at": row["updated_at"]})


@router.put("/users/{user_id}")
async def memobase_put_user(about: Writes, data: Data) -> Frame:
    """Other data; whatever is sent is kept as it is."""
    if await about.write("put_user_data", json.dumps(data)) is None:
        raise unknown()
    return ok({"id": about.user_id})


@router.delete("/users/{user_id}")
async def memobase_delete_user(about: OwnsAccount) -> Frame:
    """Erase everything about them from every store, for good."""
    if not await about.exists():
        raise unknown()
    await erase_user(about.memory, about.user_id)
    return ok()


@router.get("/project/users")
async def memobase_list_users(
    who: Looks,
    search: str = "",
    order_by: Literal["updated_at", "profile_count", "event_count"] = "updated_at",
    order_desc: bool = True,
    limit: int = Query(10, ge=0),
    offset: int = Query(0, ge=0),
) -> Frame:
    """Users who were introduced, and those whose ids look like theirs."""
    args = clean(search).lower() or None, order_by, order_desc, min(limit, MOST), min(offset, 2**31)
    rows = await who.memory.db.run(lambda connection: connection.fetch(query("users_listed"), *args))
    users: list[dict[str, Any]] = [
        {
            "id": row["user_id"],
            "project_id": PROJECT,
            "additional_fields": json.loads(row["data"]) if row["data"] else None,
            **{name: row[name] for name in ("created_at", "updated_at", "profile_count", "event_count")},
        }
        for row in rows
    ]
    return ok({"users": users, "count": rows[0]["every"] if rows else 0})
