"""Users: listed, read, exported, erased; their calls and turns."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal, TextIO
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from echoic.api.access.guard import (
    Looks,
    Mind,
    OwnsAccount,
    Reads,
    UserId,
    WritesUnwalled,
)
from echoic.api.paging import CursorText, Limit, cursor_of, cut, read_cursor
from echoic.api.problems import Problem
from echoic.api.schemas.facts import When
from echoic.api.schemas.people import (
    CallAnswer,
    CallPage,
    PeoplePage,
    PersonAnswer,
    PersonCounts,
    TurnAnswer,
    TurnPage,
    UndoneAnswer,
)
from echoic.api.schemas.system import ChangesAnswer, EraseAnswer
from echoic.memory.privacy.changes import Change, changes_between
from echoic.memory.privacy.erase import erase_person, erase_user
from echoic.memory.privacy.export import change_as_json, export_pieces
from echoic.memory.privacy.undo import undo_call
from echoic.memory.review import people
from echoic.memory.review.people import Conversation, Person, PlacedTurn

router = APIRouter(tags=["users"])
Words = Annotated[str | None, Query(max_length=200, description="A part of the text, in either case.")]
PIECE_CHARS = 65_536
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@router.get("/users")
async def list_users(
    who: Looks,
    mind: Mind,
    q: Annotated[str | None, Query(max_length=200, description="A part of the id, in either case.")] = None,
    order: Annotated[
        Literal["user_id", "-latest"], Query(description="`-latest`: who was heard of last.")
    ] = "user_id",
    cursor: CursorText = None,
    limit: Limit = 50,
) -> PeoplePage:
    """Everybody of whom something is remembered."""
    if order == "-latest":
        (before,) = read_cursor("users-latest", cursor, int) or (None,)
        latest = await people.people_by_latest(mind.db, q, before, limit + 1)
        found, following = cut(latest, limit, lambda one: cursor_of("users-latest", one[0]))
        page = [one for _, one in found]
    else:
        (after,) = read_cursor("users", cursor, str) or ("",)
        by_id = await people.people_by_id(mind.db, q, after, limit + 1)
        page, following = cut(by_id, limit, lambda one: cursor_of("users", one.user_id))
    return PeoplePage(items=[PersonAnswer.model_validate(one) for one in page], next=following)


@router.get("/users/{user_id:id}")
async def read_user(user_id: UserId, who: Reads, mind: Mind) -> PersonAnswer:
    """One user, and how much is known of them."""
    return PersonAnswer.model_validate(await _known(mind, user_id))


@router.delete("/users/{user_id:id}")
async def erase_one_user(
    user_id: UserId,
    who: OwnsAccount,
    mind: Mind,
    person: Annotated[bool, Query(description="All ids that are linked with this one too.")] = False,
) -> EraseAnswer:
    """Erase everything about one user from every store, for good, their keys and links included. Safe to
    repeat."""
    return EraseAnswer.model_validate(await (erase_person if person else erase_user)(mind, user_id))


@router.get("/users/{user_id:id}/export", response_class=StreamingResponse)
async def export_one_user(user_id: UserId, who: OwnsAccount, mind: Mind) -> StreamingResponse:
    """Everything that every store holds about one person, as JSON.

    All stores are read before the first byte is sent: the answer is whole, or a problem.
    """
    whole = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed when it is sent
    try:
        async for piece in export_pieces(mind, user_id):
            whole.write(piece)
        whole.seek(0)
    except BaseException:
        whole.close()
        raise
    headers = {"Content-Disposition": 'attachment; filename="echoic-export.json"'}
    return StreamingResponse(_sent(whole), media_type="application/json", headers=headers)


@router.get("/users/{user_id:id}/statistics")
async def read_statistics(user_id: UserId, who: Reads, mind: Mind) -> PersonCounts:
    """How much there is of one user, and of which topics."""
    return PersonCounts.model_validate(await people.statistics_of(mind.db, user_id, mind.now()))


@router.get("/users/{user_id:id}/changes", response_model=ChangesAnswer)
async def list_changes(
    user_id: UserId, who: Reads, mind: Mind, since: When = LONG_AGO, until: When | None = None
) -> Response:
    """What changed in what is known about one person between two times, as `echoic diff --json` shows it."""
    found = await changes_between(mind.db, user_id, since, until or datetime.now(UTC))
    return Response(await asyncio.to_thread(_changes_json, found), media_type="application/json")


@router.get("/users/{user_id:id}/turns")
async def list_turns(
    user_id: UserId, who: Reads, mind: Mind, q: Words = None, cursor: CursorText = None, limit: Limit = 50
) -> TurnPage:
    """What was said, newest first."""
    (before,) = read_cursor("turns", cursor, int) or (None,)
    page, following = cut(await people.turns(mind.db, user_id, q, before, limit + 1), limit, _place_of_turn)
    return _turn_page(page, following)


@router.get("/users/{user_id:id}/turns/{turn_id}")
async def read_turn(user_id: UserId, turn_id: UUID, who: Reads, mind: Mind) -> TurnAnswer:
    """One thing that was said."""
    found = await people.turns_by_id(mind.db, user_id, [turn_id])
    if not found:
        raise Problem(404, "turn-unknown", "There is no such turn of this user.")
    return TurnAnswer.model_validate(asdict(found[0]))


@router.get("/users/{user_id:id}/calls")
async def list_calls(
    user_id: UserId, who: Reads, mind: Mind, cursor: CursorText = None, limit: Limit = 50
) -> CallPage:
    """Calls, the last to begin first."""
    place = read_cursor("calls", cursor, datetime, str)
    found = await people.calls(mind.db, user_id, place and (place[0], place[1]), limit + 1)
    page, following = cut(found, limit, _place_of_call)
    return CallPage(items=[CallAnswer.model_validate(one) for one in page], next=following)


@router.get("/users/{user_id:id}/calls/{call_id:id}/turns")
async def list_call_turns(
    user_id: UserId, call_id: str, who: Reads, mind: Mind, cursor: CursorText = None, limit: Limit = 50
) -> TurnPage:
    """The turns of one call, in its order."""
    (after,) = read_cursor("call-turns", cursor, int) or (None,)
    found = await people.call_turns(mind.db, user_id, call_id, after, limit + 1)
    page, following = cut(found, limit, lambda one: cursor_of("call-turns", one.place))
    return _turn_page(page, following)


@router.post("/users/{user_id:id}/calls/{call_id:id}/undo")
async def undo_one_call(user_id: UserId, call_id: str, who: WritesUnwalled, mind: Mind) -> UndoneAnswer:
    """Take back what one call taught, and open again what it ended; what was said stays."""
    undone = await undo_call(mind, call_id, user_id)
    return UndoneAnswer(removed=sorted(undone.removed), restored=sorted(undone.restored))


def _changes_json(found: Sequence[Change]) -> str:
    return ChangesAnswer(items=[change_as_json(change) for change in found]).model_dump_json()


async def _known(mind: Mind, user_id: str) -> Person:
    found = await people.person(mind.db, user_id)
    if found is None:
        raise Problem(404, "user-unknown", "Nothing is known about this user.")
    return found


async def _sent(whole: TextIO) -> AsyncIterator[str]:
    """A file that has no name, a piece at a time; gone when it was sent, or when nobody reads on."""
    with whole:
        while piece := whole.read(PIECE_CHARS):
            yield piece


def _turn_page(page: list[PlacedTurn], following: str | None) -> TurnPage:
    return TurnPage(items=[TurnAnswer.model_validate(asdict(one.turn)) for one in page], next=following)


def _place_of_turn(one: PlacedTurn) -> str:
    return cursor_of("turns", one.place)


def _place_of_call(one: Conversation) -> str:
    return cursor_of("calls", one.began_at, one.call_id)
