"""The frame of every answer: `data`, `errno` and `errmsg`, with the status 200 also where it failed.

Other statuses are for what no route was asked: 401 without a valid key, 429, and 422 where a request cannot
be read.
"""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from echoic.api.access.guard import Gate, sent_key
from echoic.api.problems import Problem, mistakes, of_fault
from echoic.memory.errors import MemoryFault

log = logging.getLogger("echoic.api")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Frame = dict[str, Any]
PREFIX = "/api/v1"
REAL = (401, 408, 413, 429)
"""Statuses that are sent as such."""
ERRNO = {412: 409, 422: 400}
"""What the house says -> what Memobase says."""


def ok(data: Any = None) -> Frame:
    """An answer; what it holds is a dict, a list or nothing, or the Python client takes it for broken."""
    return {"data": data, "errno": 0, "errmsg": ""}


def failed(errno: int, detail: str) -> Problem:
    """A refusal with this number."""
    return Problem(errno, "memobase", detail)


def unknown(what: str = "user") -> Problem:
    """There is no such thing."""
    return failed(404, f"There is no such {what}.")


def route_of(request: Request) -> str:
    """Which one it is, without the ids in its path."""
    return PREFIX + str(request.scope["route"].path_format).removeprefix(PREFIX)


class MemobaseRoute(APIRoute):
    """A route whose refusals stand in the frame, and that reads nothing before it knows who asks."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_in_frame(request: Request) -> Response:
            try:
                gate: Gate = request.app.state.gate
                request.state.access = await gate.identify(request, sent_key(request.headers))
                return await handle(request)
            except Problem as exc:
                return _refused(request, exc)
            except MemoryFault as exc:
                return _refused(request, of_fault(exc))
            except RequestValidationError as exc:
                return _misfit(request, exc)
            except HTTPException as exc:
                return _refused(request, failed(exc.status_code, str(exc.detail)))
            except Exception as exc:  # its text may hold somebody's words
                log.error("memobase.defect", extra={"error": type(exc).__name__})
                detail = f"Echoic met a fault it does not know ({type(exc).__name__})."
                return _refused(request, failed(500, detail))

        return handle_in_frame


def _refused(request: Request, problem: Problem) -> Response:
    errno = ERRNO.get(problem.status, problem.status)
    log.info("memobase.refused", extra={"route": route_of(request), "errno": errno})
    body = {"data": None, "errno": errno, "errmsg": problem.detail}
    return JSONResponse(body, problem.status if problem.status in REAL else 200, problem.headers)


def _misfit(request: Request, exc: RequestValidationError) -> Response:
    """As FastAPI has it, without the values."""
    log.info("memobase.refused", extra={"route": route_of(request), "errno": 422})
    return JSONResponse({"detail": mistakes(exc)}, 422)
