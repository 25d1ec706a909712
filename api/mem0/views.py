"""Memories of the persons whom a request names: chosen by its filter, scored, cut into pages."""

from datetime import datetime

from echoic.api.mem0.asker import Asker
from echoic.api.mem0.bodies import ListBody, SearchBody
from echoic.api.mem0.entities import Names
from echoic.api.mem0.faults import invalid
from echoic.api.mem0.filters.conditions import category_test, date_test, metadata_test
from echoic.api.mem0.filters.dates import moment
from echoic.api.mem0.filters.tree import Filter, read_filter
from echoic.api.mem0.memo import Memo, facts_of
from echoic.api.mem0.nearest import Scored, near, vector_of
from echoic.memory.review.people import Person, people_by_id

PAGE = 500
MOST_PEOPLE = 10_000
THRESHOLD = 0.1
NOBODY = "Name a user_id, agent_id, app_id or run_id, in filters."


async def listed(asker: Asker, body: ListBody) -> list[Memo]:
    """The memories that fit, newest first.

    Raises:
        Problem: 400 for a filter that cannot be read or names nobody, 403 for somebody else's memories.
    """
    wanted, at = wanted_by(body), asker.memory.now()
    found = []
    for person in await persons(asker, wanted):
        await asker.see(person)
        found += [one for one in await facts_of(asker.memory, person) if _fits(one, body, wanted, at)]
    return sorted(found, key=lambda one: (one.created_at, one.ref), reverse=True)


async def searched(asker: Asker, body: SearchBody) -> list[Scored]:
    """The memories that fit and are near to the question, the nearest first.

    Of somebody who has turned their memory off nothing is found.

    Raises:
        Problem: as `listed`.
    """
    wanted, memory = wanted_by(body), asker.memory
    at = memory.now() if body.reference_date is None else moment(body.reference_date, "reference_date")
    whose = await persons(asker, wanted)
    vector = await vector_of(memory, body.query)
    least = THRESHOLD if body.threshold is None else body.threshold
    found: list[Scored] = []
    for person in whose:
        await asker.see(person)
        if (await memory.choices.read(person)).memory:
            scored = await near(memory, person, body.query, vector)
            found += [one for one in scored if one[0] >= max(least, 0.0) and _fits(one[1], body, wanted, at)]
    found.sort(key=lambda one: (-one[0], -one[1].ref))
    return [one for one in found if one[0] > 0][: body.most]


def whose(asker: Asker, names: Names) -> str:
    """About whom it is what is added or removed; a person's own key need not name them.

    Raises:
        Problem: 400; nobody is named.
    """
    own = asker.access.user_id
    person = names.person if own is None or names.user_id else own
    if person is None:
        raise invalid(NOBODY)
    return person


async def persons(asker: Asker, wanted: Filter) -> list[str]:
    """Whose memories are looked through: those who are named, if this key may see them; each is written down.

    Raises:
        Problem: 400; nobody is named. 403: somebody is whom this key may not see.
    """
    own = asker.access.user_id
    if own is not None:
        for person in [*wanted.users, own]:
            await asker.about(person, "read")
        return [own]
    if wanted.is_empty:
        raise invalid(NOBODY)
    if wanted.everybody:
        await asker.about_all("look")
        return [one.user_id for one in await everybody(asker)]
    for person in (named := [*wanted.users, *wanted.others]):
        await asker.about(person, "read")
    return named


async def everybody(asker: Asker, *, most: float | None = None) -> list[Person]:
    """Everybody of whom something is known, up to `MOST_PEOPLE` unless it is said otherwise."""
    found: list[Person] = []
    while len(found) < (most or MOST_PEOPLE):
        page = await people_by_id(asker.memory.db, None, found[-1].user_id if found else "", PAGE)
        found += page
        if len(page) < PAGE:
            break
    return found


def wanted_by(body: ListBody) -> Filter:
    """The filter of a request, with what stands beside it.

    Raises:
        Problem: 400; it cannot be read.
    """
    wanted = read_filter(body.whole_filter)
    if body.categories:
        wanted.add(category_test(body.categories))
    if body.metadata:
        wanted.add(metadata_test(body.metadata))
    begin_end = {"gte": body.start_date, "lte": body.end_date}
    if dates := {operator: day for operator, day in begin_end.items() if day is not None}:
        wanted.add(date_test("created_at", dates))
    return wanted


def _fits(one: Memo, body: ListBody, wanted: Filter, at: datetime) -> bool:
    return (bool(body.show_expired) or one.is_live(at)) and wanted.test(one)
