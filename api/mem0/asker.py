"""Who asks over Mem0's interface: the house's keys, roles, trail and wall; the person is named in a body."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from echoic.api.access.guard import Gate, Permission, sent_key
from echoic.api.access.keys import Access
from echoic.api.access.wall import ONLY
from echoic.memory.identity.ids import check_user_id
from echoic.memory.service import Memory
from echoic.memory.store.queries import query


class Asker:
    """Whoever sent a request, and what they may do."""

    def __init__(self, request: Request, gate: Gate, access: Access, memory: Memory) -> None:
        self.request, self.access, self.memory = request, access, memory
        self._gate = gate

    async def about(self, person: str, needs: Permission, *, walled: bool = True) -> None:
        """From here on the request is about this person; it is written down.

        Args:
            walled: Postgres shows this person's rows only, until somebody else is named.

        Raises:
            Problem: 403.
            ConfigInvalid: this is nobody's id.
        """
        check_user_id(person)
        ONLY.set(None)  # the trail is nobody's in particular
        await self._gate.allow(self.access, self.request, needs, person)
        ONLY.set(person if walled else None)

    async def see(self, person: str) -> None:
        """Postgres shows this person's rows only; they were found out to be among those that may be seen."""
        ONLY.set(person)

    async def about_all(self, needs: Permission) -> None:
        """The request is about everybody; it is written down.

        Raises:
            Problem: 403.
        """
        ONLY.set(None)
        await self._gate.allow(self.access, self.request, needs, None)

    async def owner_of(self, memory_id: UUID, needs: Permission) -> str | None:
        """Whose fact or turn this is, once they may do this to that person.

        None: there is none, or it is not theirs to see: the two look alike.
        """
        own = self.access.user_id
        ONLY.set(own)
        owner = await self.memory.db.run(
            lambda connection: connection.fetchval(query("owner_of_memory"), memory_id)
        )
        if owner is None or own not in (None, owner):
            await (self.about(own, needs) if own else self.about_all(needs))
            return None
        await self.about(str(owner), needs)
        return str(owner)


async def asker(request: Request) -> Asker:
    """Raises Problem: 401 without a valid key, 429 for one that asks too often."""
    gate: Gate = request.app.state.gate
    # `X-API-Key` is that of Mem0's self-hosted server
    key = sent_key(request.headers) or request.headers.get("X-API-Key")
    access = await gate.identify(request, key)
    return Asker(request, gate, access, request.app.state.memory)


Asks = Annotated[Asker, Depends(asker)]
