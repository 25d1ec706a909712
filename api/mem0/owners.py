"""Whose memories are looked up, removed and erased: the persons of the house as Mem0's entities."""

from math import inf
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from echoic.api.mem0 import edits
from echoic.api.mem0.asker import Asker
from echoic.api.mem0.entities import ANY, KINDS, Names, entity_of, names_in, person_of
from echoic.api.mem0.faults import invalid, unknown
from echoic.api.mem0.memo import Memo
from echoic.api.mem0.views import everybody, whose
from echoic.memory.privacy.erase import erase_user
from echoic.memory.review import people


async def one_memory(who: Asker, memory_id: str, *, writes: bool = False) -> Memo:
    """Raises Problem: 400; it is no UUID. 404: there is none, or it is not theirs to see."""
    found_id = read_id(memory_id)
    person = await who.owner_of(found_id, "write" if writes else "read")
    if person is None:
        raise unknown()
    return await edits.found(who.memory, person, found_id)


async def forget_named(who: Asker, names: Names) -> int:
    """Raises Problem: 400; nobody is named."""
    person = whose(who, names)
    await who.about(person, "write")
    return await edits.forget_all(who.memory, person, names)


async def forget_everybody(who: Asker, names: Names) -> None:
    """`*`: all of a kind. For a person's own key that is this person.

    Raises:
        Problem: 400; somebody is named beside it. 403: this key may not.
    """
    named = {kind: name for kind in KINDS if (name := getattr(names, f"{kind}_id"))}
    if set(named.values()) != {ANY}:
        raise invalid("`*` stands alone: with a name beside it, it is not clear whose memories are meant.")
    kinds = list(named)
    if who.access.user_id is None:
        await who.about_all("operate")
    for one in await entities(who, most=inf):
        if one["type"] in kinds:
            await forget_named(who, names_in({f"{one['type']}_id": one["name"]}))


async def entities(who: Asker, *, most: float | None = None) -> list[dict[str, Any]]:
    """Persons as Mem0's entities: everybody, or for a person's own key that person.

    Raises:
        Problem: 403.
    """
    own = who.access.user_id
    if own is None:
        await who.about_all("look")
        return [_entity(one) for one in await everybody(who, most=most)]
    await who.about(own, "read")
    mine = await people.person(who.memory.db, own)
    return [_entity(mine)] if mine else []


def _entity(one: people.Person) -> dict[str, Any]:
    kind, name = entity_of(one.user_id)
    at = one.last_at.isoformat() if one.last_at else None
    return {
        "id": str(uuid5(NAMESPACE_URL, one.user_id)),
        "name": name,
        "type": kind,
        "total_memories": one.facts,
        "created_at": at,
        "updated_at": at,
        "metadata": None,
        "owner": "echoic",
    }


async def erase(who: Asker, kind: str, name: str) -> dict[str, str]:
    """Raises Problem: 400; there is no such kind. 403: this key may not erase them."""
    matching = next((one for one in KINDS if one == kind), None)
    if matching is None:
        raise invalid(f"A type is one of {', '.join(KINDS)}.")
    person = person_of(matching, name)
    await who.about(person, "account", walled=False)
    await erase_user(who.memory, person)
    return {"message": "Entity deleted successfully!"}


def read_id(text: str) -> UUID:
    """Raises Problem: 400; it is no UUID."""
    try:
        return UUID(text)
    except ValueError:
        raise invalid("An id of a memory or event is a UUID.") from None
