"""Keys for this API: made, listed, revoked, by who may operate the system."""

from dataclasses import asdict
from uuid import UUID

from fastapi import APIRouter

from echoic.api.access.guard import Mind, Operates
from echoic.api.access.keys import add_key, list_keys, revoke_key
from echoic.api.problems import Problem
from echoic.api.schemas.settings import KeyAnswer, KeyCreate, KeyMade, KeysAnswer

router = APIRouter(prefix="/keys", tags=["keys"])
DAY_S = 86_400.0


@router.get("", name="list_keys")
async def list_all_keys(who: Operates, mind: Mind) -> KeysAnswer:
    """All keys, oldest first, revoked ones included; not the keys themselves."""
    return KeysAnswer(items=[KeyAnswer.model_validate(one) for one in await list_keys(mind.db)])


@router.post("", status_code=201, name="add_key")
async def make_key(body: KeyCreate, who: Operates, mind: Mind) -> KeyMade:
    """Make a key. It is shown in this answer and never again: it is stored as a hash."""
    valid_s = body.valid_days * DAY_S if body.valid_days else None
    key, made = await add_key(mind.db, body.name, body.role, body.user_id, valid_s=valid_s)
    return KeyMade(key=key, **asdict(made))


@router.delete("/{key_id}", status_code=204, name="revoke_key")
async def end_key(key_id: UUID, who: Operates, mind: Mind) -> None:
    """Refuse a key from now on; one's own too."""
    if not await revoke_key(mind.db, key_id):
        raise Problem(404, "key-unknown", "There is no such key.")
