"""Every error as a problem (RFC 9457): a status, a name that does not change, and a sentence without words of
anybody."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from echoic.memory.errors import (
    ConfigInvalid,
    MemoryFault,
    ModelUnavailable,
    SchemaMismatch,
    StoreRefused,
    StoreUnavailable,
    UserUnknown,
)
from echoic.memory.profile.episodes import EpisodeUnknown
from echoic.memory.profile.profile import SlotUnknown
from echoic.memory.review.corrections import FactChanged, FactUnknown, KeyReused, NotRemembered
from echoic.memory.settings.links import TooManyIds
from echoic.memory.settings.model_files import ModelFileFixed, ModelFileUnknown
from echoic.memory.settings.personal import SettingsChanged
from echoic.memory.settings.providers import NameTaken, ProviderActive, ProviderUnknown
from echoic.memory.settings.vault import SecretUnreadable, VaultLocked

log = logging.getLogger("echoic.api")
MEDIA = "application/problem+json"
RETRY_S = "2"
OPENAI_PATHS = ("/v1/chat/completions", "/v1/models")
NO_OBJECT = ("missing", "model_attributes_type", "dict_type")
NO_JSON = "Send a JSON object, and the header Content-Type: application/json"
"""What a body is that FastAPI has not read: without that header it takes JSON for some text."""

FAULTS: tuple[tuple[type[MemoryFault], int, str], ...] = (
    (FactUnknown, 404, "fact-unknown"),
    (UserUnknown, 404, "user-unknown"),
    (SlotUnknown, 404, "slot-unknown"),
    (EpisodeUnknown, 404, "episode-unknown"),
    (ProviderUnknown, 404, "provider-unknown"),
    (ModelFileUnknown, 404, "model-unknown"),
    (FactChanged, 412, "changed-meanwhile"),
    (SettingsChanged, 412, "changed-meanwhile"),
    (ProviderActive, 409, "provider-active"),
    (NameTaken, 409, "name-taken"),
    (TooManyIds, 409, "too-many-ids"),
    (ModelFileFixed, 409, "model-fixed"),
    (VaultLocked, 409, "settings-key-needed"),
    (SecretUnreadable, 409, "secret-unreadable"),
    (NotRemembered, 409, "not-remembered"),
    (KeyReused, 422, "idempotency-key-reused"),
    (ConfigInvalid, 422, "not-acceptable-value"),
    (StoreRefused, 422, "store-refused"),
    (ModelUnavailable, 503, "model-unavailable"),
    (StoreUnavailable, 503, "store-unavailable"),
    (SchemaMismatch, 503, "schema-mismatch"),
    (MemoryFault, 500, "memory-fault"),
)
"""What memory raises -> what that is over HTTP; the first that fits counts."""


class Problem(Exception):
    """The request cannot be answered as it was asked."""

    def __init__(
        self, status: int, name: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(name)
        self.status, self.name, self.detail, self.headers, self.more = status, name, detail, headers, more


def answer(problem: Problem, path: str = "") -> Response:
    """The problem as a response; on a path of OpenAI's, also as its clients read it."""
    body = {
        "type": f"urn:echoic:problem:{problem.name}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }
    if path in OPENAI_PATHS:
        where = [f"{one['at']}: {one['problem']}" for one in problem.more.get("errors", ())[:3]]
        message = " ".join([problem.detail, "; ".join(where)]).strip()  # their clients show nothing else
        body["error"] = {"message": message, "type": problem.name, "code": problem.name, "param": None}
    return JSONResponse(body, problem.status, problem.headers, media_type=MEDIA)


def of_fault(fault: MemoryFault) -> Problem:
    """A fault of memory as a problem."""
    status, name = next((status, name) for kind, status, name in FAULTS if isinstance(fault, kind))
    headers = {"Retry-After": RETRY_S} if status == 503 else None
    return Problem(status, name, str(fault), headers=headers)


def of_invalid(exc: RequestValidationError | ValidationError) -> Problem:
    """A request that does not fit as a problem: where, and what should be there; never what was."""
    detail = "The request does not fit its description."
    return Problem(422, "invalid-request", detail, errors=misfits(exc))


def mistakes(exc: RequestValidationError | ValidationError) -> list[dict[str, Any]]:
    """What does not fit, one by one: `type`, `loc` and `msg`, as Pydantic has them, without the values."""
    found = [{name: one[name] for name in ("type", "loc", "msg")} for one in exc.errors()]
    for one in found:
        if one["type"] == "json_invalid" or (one["loc"] == ("body",) and one["type"] in NO_OBJECT):
            one |= {"loc": one["loc"][:1], "msg": NO_JSON}
    return found


def misfits(exc: RequestValidationError | ValidationError) -> list[dict[str, str]]:
    """The same: `at` which place, and the `problem`."""
    return [{"at": ".".join(map(str, one["loc"])), "problem": one["msg"]} for one in mistakes(exc)]


def answer_with_problems(app: FastAPI) -> None:
    """Have the app answer every error that reaches it as a problem."""
    app.add_exception_handler(Problem, _of_ours)
    app.add_exception_handler(MemoryFault, _of_memory)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(Exception, _of_defect)


async def _of_ours(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Problem)
    return answer(exc, request.scope["path"])


async def _of_memory(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, MemoryFault)
    return answer(of_fault(exc), request.scope["path"])


async def _of_http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    headers = dict(exc.headers) if exc.headers else None
    name = HTTPStatus(exc.status_code).phrase.lower().replace(" ", "-")
    return answer(Problem(exc.status_code, name, str(exc.detail), headers=headers), request.scope["path"])


async def _of_validation(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    return answer(of_invalid(exc), request.scope["path"])


async def _of_defect(request: Request, exc: Exception) -> Response:
    """Its text may hold somebody's words, so only its kind is told."""
    log.error("api.defect", extra={"error": type(exc).__name__})
    detail = f"Echoic met a fault it does not know ({type(exc).__name__})."
    return answer(Problem(500, "defect", detail), request.scope["path"])
