"""The guard of every route: whose key, which role, whose memory; each answer, also a refusal, is noted."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal
from urllib.parse import unquote

from fastapi import Depends, Header, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from echoic.api.access.keys import DEVELOPMENT, Access, KeyRole, find_key
from echoic.api.access.limits import RateLimit
from echoic.api.access.trail import note
from echoic.api.access.wall import ONLY
from echoic.api.problems import Problem
from echoic.memory.identity.ids import check_user_id
from echoic.memory.service import Memory
from echoic.memory.text.words import clean

Permission = Literal["self", "look", "read", "write", "link", "account", "operate"]
"""self: who one is; look: over all users; read, write: one person's memory; link: say who is one person;
account: export and erase them; operate: the system."""

ROLES: dict[KeyRole, frozenset[Permission]] = {
    "admin": frozenset({"self", "look", "read", "write", "link", "account", "operate"}),
    "service": frozenset({"self", "look", "read", "write", "link"}),
    "user": frozenset({"self", "read", "write", "account"}),
}
"""A key of the role `user` may do this to its own person, and nothing to others."""

PREFIX = "/v1"
USER_HEADER = "Echoic-User"
GREETING = 100
"""Sockets at once whose first message, with the key, has not come yet."""
_bearer = HTTPBearer(auto_error=False, description="A key made by `echoic keys add`.")


class Gate:
    """What all guards of one app share."""

    def __init__(self, memory: Memory, rate_per_minute: int, *, development: bool = False) -> None:
        self._memory, self._development = memory, development
        self._limit = RateLimit(rate_per_minute)
        self.greeting = asyncio.Semaphore(GREETING)

    async def admit(
        self,
        request: HTTPConnection,
        key: str | None,
        needs: Permission,
        whose: "Callable[[Access], str | None] | None" = None,
    ) -> Access:
        """Who asks, if they may.

        Args:
            whose: about whom it is, where the path does not say it.

        Raises:
            Problem: 401, 403 or 429.
            StoreUnavailable: nobody can be known, or the trail cannot be written: nobody is let in.
        """
        access = await self.identify(request, key)
        user_id = whose(access) if whose else request.path_params.get("user_id")
        await self.allow(access, request, needs, user_id)
        return access

    async def identify(self, request: HTTPConnection, key: str | None) -> Access:
        """Whose key it is, whatever it may do.

        Raises:
            Problem: 401 or 429.
            StoreUnavailable: nobody can be known.
        """
        access = await self._known(key)
        if access is None:
            self.doubt(request)
            headers = {"WWW-Authenticate": "Bearer"}
            detail = "Send `Authorization: Bearer KEY` with a valid key; `echoic keys add` makes one."
            raise Problem(401, "key-needed", detail, headers=headers)
        if access.key_id is None:
            self.doubt(request)
        else:
            self._slow_down(str(access.key_id))
        return access

    async def allow(
        self,
        access: Access,
        request: HTTPConnection,
        needs: Permission,
        user_id: str | None,
        action: str = "",
    ) -> None:
        """Return when they may do this to that person (None: nobody in particular), and it is written down.

        Args:
            action: as the trail is to have it; by default the route.

        Raises:
            Problem: 403.
            StoreUnavailable: the trail cannot be written: nobody is let in.
        """
        allowed = needs in ROLES[access.role] and (needs == "self" or access.user_id in (None, user_id))
        action, whose = action or _route_of(request), user_id and clean(user_id)
        await note(self._memory.db, access.key_id, access.name, action, whose, allowed)
        if not allowed:
            raise Problem(403, "not-allowed", f"A key of the role `{access.role}` may not do this here.")

    async def _known(self, key: str | None) -> Access | None:
        if key is None and self._development:
            return DEVELOPMENT
        return await find_key(self._memory.db, clean(key)) if key else None

    def doubt(self, request: HTTPConnection) -> None:
        """Count a request that proves nothing against its address.

        Raises:
            Problem: 429; too many come from there.
        """
        self._slow_down(f"address:{request.client.host if request.client else '?'}")

    def _slow_down(self, name: str) -> None:
        if wait_s := self._limit.take(name):
            headers = {"Retry-After": str(math.ceil(wait_s))}
            raise Problem(429, "too-many-requests", "This key asks too often: wait.", headers=headers)

    async def still_admits(self, key: str | None) -> bool:
        """For what lasts: whether the key that was let in would be let in now."""
        return await self._known(key) is not None


def sent_key(headers: Headers) -> str | None:
    """The key of a request: `Bearer KEY`, or `Token KEY` as clients of Mem0 have it."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() or None if scheme.lower() in ("bearer", "token") else None


def _route_of(request: HTTPConnection) -> str:
    prefix = PREFIX if request.scope["path"].startswith(f"{PREFIX}/") else ""  # the route knows it not
    method = request.scope.get("method", "WEBSOCKET")
    return f"{method} {prefix}{request.scope['route'].path_format.removeprefix(PREFIX)}"


class Guard:
    """A route's dependency: lets in who may do this, and gives who it is.

    `walled=False` is for work that leaves the person's own rows, such as erasing them.
    """

    def __init__(self, needs: Permission, *, walled: bool = True) -> None:
        self.needs, self.walled = needs, walled

    async def __call__(
        self,
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Access:
        gate: Gate = request.app.state.gate
        access = await gate.admit(request, bearer.credentials if bearer else None, self.needs)
        if (user_id := request.path_params.get("user_id")) is not None:
            check_user_id(user_id)
            if self.walled:
                ONLY.set(user_id)
        return access


class Speaker(Guard):
    """The same where a header names the person: a key for one person need not name them again."""

    async def __call__(
        self,
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
        user_id: Annotated[
            str | None,
            Header(alias=USER_HEADER, description="Whose memory: any id; beyond ASCII percent-encoded."),
        ] = None,
    ) -> Access:
        named = id_in_header(user_id) if user_id else None
        gate: Gate = request.app.state.gate
        key = bearer.credentials if bearer else None
        access = await gate.admit(request, key, self.needs, lambda access: named or access.user_id)
        whose = named or access.user_id
        if whose is not None:
            check_user_id(whose)
            ONLY.set(whose)
        return replace(access, user_id=whose)


def id_in_header(sent: str) -> str:
    """The id that a header holds, percent-encoded: headers have no agreed encoding, and two ids are never to
    become one person.

    Raises:
        Problem: 422; it is not encoded.
    """
    try:
        if sent.isascii():
            return unquote(sent, errors="strict")
    except UnicodeDecodeError:
        pass
    raise Problem(422, "id-not-encoded", "An id beyond ASCII is sent percent-encoded, as UTF-8.")


def memory_of(request: Request) -> Memory:
    """The memory that this app serves."""
    memory: Memory = request.app.state.memory
    return memory


Mind = Annotated[Memory, Depends(memory_of)]
IsKnown = Annotated[Access, Depends(Guard("self"))]
Looks = Annotated[Access, Depends(Guard("look"))]
Reads = Annotated[Access, Depends(Guard("read"))]
ReadsUnwalled = Annotated[Access, Depends(Guard("read", walled=False))]
Speaks = Annotated[Access, Depends(Speaker("write"))]
Joins = Annotated[Access, Depends(Guard("link", walled=False))]
Writes = Annotated[Access, Depends(Guard("write"))]
WritesUnwalled = Annotated[Access, Depends(Guard("write", walled=False))]
OwnsAccount = Annotated[Access, Depends(Guard("account", walled=False))]
Operates = Annotated[Access, Depends(Guard("operate"))]


class _Segment(StringConvertor):
    """One segment of a path, in which an id may have a slash: `api/edge.py` has left that as `%2F`."""

    def convert(self, value: str) -> str:
        return unquote(value)


register_url_convertor("id", _Segment())
UserId = Annotated[
    str, Path(description="Whose memory: any id; a slash in it is written `%2F`.", examples=["maya"])
]
