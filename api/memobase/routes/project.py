"""The project: its configuration, and what it used."""

from fastapi import APIRouter

from echoic.api.memobase import project
from echoic.api.memobase.asker import Looks, Operates
from echoic.api.memobase.bodies import ConfigBody
from echoic.api.memobase.frame import Frame, MemobaseRoute, ok

router = APIRouter(route_class=MemobaseRoute)


@router.get("/project/profile_config")
async def memobase_get_config(who: Operates) -> Frame:
    """Which slots profiles have, and how events are tagged, as it was set."""
    return ok({"profile_config": await project.configuration(who.memory)})


@router.post("/project/profile_config")
async def memobase_set_config(who: Operates, body: ConfigBody) -> Frame:
    """Set it for every process, from the next batch on."""
    await project.configure(who.memory, body.profile_config or "")
    return ok()


@router.get("/project/billing")
async def memobase_billing(who: Looks) -> Frame:
    """Tokens of this month."""
    return ok(await project.billing(who.memory))


@router.get("/project/usage")
async def memobase_usage(who: Looks, last_days: int = 7) -> Frame:
    """What was told, by day, today first."""
    return ok(await project.usage(who.memory, last_days))
