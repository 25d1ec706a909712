"""Whether it runs and whether it can answer, for whoever watches over it; and its metrics."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from echoic.api.access.guard import Looks, Mind
from echoic.api.schemas.common import PROBLEMS
from echoic.api.schemas.system import PartState, Ready
from echoic.memory.errors import MemoryFault

router = APIRouter(tags=["health"])
PATIENCE_S = 2.0


@router.get("/livez")
async def is_alive() -> dict[str, bool]:
    """200 while the process runs."""
    return {"alive": True}


@router.get("/readyz", responses={503: {"model": Ready}})
async def is_ready(mind: Mind, response: Response) -> Ready:
    """200 while Postgres answers; names each part that does not. The others can be missed for a while."""
    postgres, redis, graph = await asyncio.gather(
        _state(mind.db.ping()),
        _state(mind.jobs.depth()),
        _state(mind.graph.ping()) if mind.graph is not None else _off(),
    )
    response.status_code = 200 if postgres == "ok" else 503
    return Ready(ready=postgres == "ok", parts={"postgres": postgres, "redis": redis, "graph": graph})


@router.get("/metrics", response_class=PlainTextResponse, responses=PROBLEMS)
async def read_metrics(who: Looks) -> Response:
    """This process's series, for Prometheus; it sends its key as any other."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def _off() -> PartState:
    return "off"


async def _state(asked: Awaitable[object]) -> PartState:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await asked
    except (MemoryFault, TimeoutError):
        return "failed"
    return "ok"
