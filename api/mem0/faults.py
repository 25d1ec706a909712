"""Errors as Mem0's clients read them: JSON with a `detail`, and the status that each exception has."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from echoic.api.problems import Problem, mistakes, of_fault
from echoic.memory.errors import MemoryFault

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Mem0Route(APIRoute):
    """A route whose refusals are Mem0's, and not problems as the house's own."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_as_mem0(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem as exc:
                return answer(exc)
            except MemoryFault as exc:
                return answer(of_fault(exc))
            except RequestValidationError as exc:
                return answer(invalid(_first(exc)))
            except HTTPException as exc:
                return JSONResponse({"detail": exc.detail}, exc.status_code, exc.headers)

        return handle_as_mem0


def answer(problem: Problem) -> Response:
    """The problem in Mem0's form: what the house calls 422 is 400 there."""
    status = 400 if problem.status == 422 else problem.status
    return JSONResponse({"detail": problem.detail, "code": problem.name}, status, problem.headers)


def invalid(detail: str) -> Problem:
    """The request is wrong: `ValidationError` at the client."""
    return Problem(400, "invalid-request", detail)


def unknown(what: str = "memory") -> Problem:
    """There is no such thing, or it is somebody else's: `MemoryNotFoundError` at the client."""
    return Problem(404, f"{what}-unknown", f"There is no such {what}.")


def _first(exc: RequestValidationError) -> str:
    """Where it is wrong, and how; never the value."""
    found = mistakes(exc)[0]
    place = ".".join(str(part) for part in found["loc"] if part not in ("body", "query", "path"))
    return f"{place}: {found['msg']}" if place else str(found["msg"])
