"""Who asks over Memobase's interface, about whom: the house's keys, roles, trail and wall."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from pydantic import AfterValidator

from echoic.api.access.guard import Gate, Permission
from echoic.api.access.keys import Access
from echoic.api.access.wall import ONLY
from echoic.api.memobase.frame import route_of
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.queries import query
from echoic.memory.types import Caller


def _of_version_4_or_5(value: UUID) -> UUID:
    """Memobase's clients take no other."""
    if value.version not in (4, 5):
        raise ValueError("a UUID of version 4 or 5")
    return value


Id = Annotated[UUID, AfterValidator(_of_version_4_or_5)]


@dataclass(frozen=True, slots=True)
class Asker:
    """Whoever sent a request, and the memory that they may ask."""

    access: Access
    memory: Memory


@dataclass(frozen=True, slots=True)
class About(Asker):
    """The same, where it is about one person."""

    user_id: str
    give_back: Callable[[], None]
    """Gives back the place of this request: to be called before it waits, so that others are answered."""

    @property
    def caller(self) -> Caller:
        """The person as the house's own agent knows them."""
        settings = self.memory.settings
        return Caller(self.user_id, settings.agent_id, "memobase", settings.timezone)

    async def reader(self) -> Caller:
        """The same with their other ids, without those whose memory was turned off."""
        return replace(self.caller, also=await self.memory.links.read_along(self.user_id))

    async def write(self, name: str, *args: object) -> Any:
        """Run a query that changes what is kept of this person: nothing of it after they were erased."""

        async def change(connection: Connection) -> Any:
            await connection.execute(query("lock_user_shared"), self.user_id)
            return await connection.fetchval(query(name), self.user_id, *args)

        return await self.memory.db.transaction(change)

    async def exists(self) -> bool:
        """Whether this person was introduced, or anything is known of them."""
        asked = self.memory.db.run(lambda connection: connection.fetchval(query("user_exists"), self.user_id))
        return bool(await asked)


async def admitted(request: Request, needs: Permission, user_id: str | None) -> Asker:
    """Whoever asks, if they may do this to that person; `MemobaseRoute` has found out whose key it is.

    Raises:
        Problem: 403.
    """
    gate: Gate = request.app.state.gate
    access: Access = request.state.access
    await gate.allow(access, request, needs, user_id, f"{request.method} {route_of(request)}")
    return Asker(access, request.app.state.memory)


class Guard:
    """A route's dependency: lets in who may do this to all there is."""

    def __init__(self, needs: Permission) -> None:
        self.needs = needs

    async def __call__(self, request: Request) -> Asker:
        return await admitted(request, self.needs, None)


class GuardOfOne:
    """The same for the person whom the path names.

    `walled=False` is for work that leaves the person's own rows.
    """

    def __init__(self, needs: Permission, *, walled: bool = True) -> None:
        self.needs, self.walled = needs, walled

    async def __call__(self, request: Request, user_id: Id) -> About:
        who = await admitted(request, self.needs, str(user_id))
        ONLY.set(str(user_id) if self.walled else None)
        return About(who.access, who.memory, str(user_id), request.scope["echoic.give_back"])


Looks = Annotated[Asker, Depends(Guard("look"))]
Operates = Annotated[Asker, Depends(Guard("operate"))]
Reads = Annotated[About, Depends(GuardOfOne("read"))]
Writes = Annotated[About, Depends(GuardOfOne("write"))]
WritesUnwalled = Annotated[About, Depends(GuardOfOne("write", walled=False))]
OwnsAccount = Annotated[About, Depends(GuardOfOne("account", walled=False))]
