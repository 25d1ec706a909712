"""Whether the memory answers; nobody needs a key to ask."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from echoic.api.memobase.frame import ok
from echoic.memory.errors import MemoryFault
from echoic.memory.service import Memory

router = APIRouter()


@router.get("/healthcheck")
async def memobase_health(request: Request) -> JSONResponse:
    """200 while Postgres answers."""
    memory: Memory = request.app.state.memory
    try:
        await memory.db.ping()
    except MemoryFault as exc:
        return JSONResponse({"data": None, "errno": 500, "errmsg": str(exc)}, 500)
    return JSONResponse(ok())
