"""`echoic graph`: who and what one person's graph knows, and what is true of them, now or earlier."""

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.cells import cell_len, set_cell_size

from echoic.memory.config import MemorySettings
from echoic.memory.errors import ConfigInvalid
from echoic.memory.graph.backend import open_backend
from echoic.memory.graph.types import Entity, Relation, relation_as_json
from echoic.memory.review.graph import UserGraph, graphs_of
from echoic.memory.store.database import Database
from echoic.memory.text.dates.last_day import last_day
from echoic.memory.text.dates.spoken import day

COLUMN_CELLS = 40
"""Widest a column of the table may be, but for the last one."""


async def read_graphs(settings: MemorySettings, user_id: str, at: datetime | None) -> list[UserGraph]:
    """The graphs of a person, one for each agent; none for somebody the graph knows nothing of.

    Args:
        at: as it was then; None: as it is now.

    Raises:
        ConfigInvalid: the graph is off, or its server is not named, or refuses us.
        StoreUnavailable: Postgres or the graph server does not answer.
    """
    backend = open_backend(settings)
    if backend is None:
        raise ConfigInvalid(
            "The graph is off, and nothing was ever written to one: ECHOIC_GRAPH=on turns it on."
        )
    db = Database(settings.database_url.get_secret_value(), pool_size=1, timeout_s=settings.store_timeout_s)
    try:
        return list(await graphs_of(db, backend, user_id, at))
    finally:
        await db.close()
        await backend.close()


def moment(text: str, timezone: str, *, last: bool = True) -> datetime:
    """`2026-03-31` (the end of that day there, or its beginning) or `2026-03-31T18:00`, as a time.

    Raises:
        ValueError: it is neither, or lies outside the calendar.
    """
    zone = ZoneInfo(timezone)
    try:
        asked = date.fromisoformat(text)
    except ValueError:
        asked = None
    try:
        if asked is None:
            when = datetime.fromisoformat(text)
            return (when if when.tzinfo else when.replace(tzinfo=zone)).astimezone(UTC)
        begin = datetime.combine(asked + timedelta(days=last), time.min, zone).astimezone(UTC)
        return begin - datetime.resolution if last else begin  # a day may end with an hour that comes twice
    except OverflowError as exc:
        raise ValueError("outside the calendar") from exc


def graph_lines(
    graphs: Sequence[UserGraph], user_id: str, at: datetime | None, timezone: str
) -> Iterator[str]:
    """Each graph as two tables, made for a terminal: nothing in them can move its cursor."""
    zone = ZoneInfo(timezone)
    when = f" on {day(at, zone)}" if at else ""
    if not any(graph.entities or graph.relations for graph in graphs):
        yield f"The graph knows nothing about “{printable(user_id)}”{when}{'' if at else ' yet'}."
    for graph in graphs:
        if not graph.entities and not graph.relations:
            continue
        stand = f"was{when}" if at else "is now"
        yield f"What “{printable(user_id)}” told {printable(graph.agent_id)}, as it {stand}:"
        yield ""
        yield from table([("NAME", "KIND", "ABOUT"), *map(_entity_row, graph.entities)])
        yield ""
        yield from table(
            [
                ("FROM", "RELATION", "TO", "TRUE", "IN WORDS"),
                *(_relation_row(one, zone) for one in graph.relations),
            ]
        )
        yield ""


def graphs_as_json(graphs: Sequence[UserGraph], user_id: str, at: datetime | None) -> dict[str, Any]:
    """As `echoic graph --json` prints it."""
    return {
        "user_id": user_id,
        "at": at and at.isoformat(),
        "graphs": [
            {
                "agent_id": graph.agent_id,
                "entities": [_entity_as_json(entity) for entity in graph.entities],
                "relations": [relation_as_json(relation) for relation in graph.relations],
            }
            for graph in graphs
        ],
    }


def lasted(relation: Relation, zone: ZoneInfo) -> str:
    """`since 3 Mar 2026`, `3 Mar 2026 to 5 May 2026`; `said …` where nobody said since when."""
    since = (
        f"since {day(relation.valid_from, zone)}"
        if relation.valid_from
        else f"said {day(relation.said_at, zone)}"
    )
    if relation.valid_until is None:
        return since
    until = last_day(relation.valid_until, zone)
    return (
        f"{day(relation.valid_from, zone)} to {until}" if relation.valid_from else f"{since}, until {until}"
    )


def printable(text: str) -> str:
    """`text` in one line, without control characters and lone surrogates."""
    line = " ".join(text.split())
    return (
        line
        if line.isprintable()
        else "".join(one for one in line if unicodedata.category(one) not in ("Cc", "Cs"))
    )


def table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Columns as wide as what stands in them, the last one as it is; wide characters count as two."""
    widths = [min(COLUMN_CELLS, max(map(cell_len, column))) for column in list(zip(*rows, strict=True))[:-1]]
    for row in rows:
        cells = [_fitted(text, width) for text, width in zip(row, widths, strict=False)]
        yield "  " + "  ".join([*cells, row[-1]]).rstrip()


def _entity_row(entity: Entity) -> tuple[str, ...]:
    return printable(entity.name), printable(", ".join(entity.labels)), printable(entity.summary)


def _relation_row(relation: Relation, zone: ZoneInfo) -> tuple[str, ...]:
    ends = printable(relation.source), printable(relation.name), printable(relation.target)
    return *ends, lasted(relation, zone), printable(relation.text)


def _entity_as_json(entity: Entity) -> dict[str, Any]:
    return {
        "id": str(entity.entity_id),
        "name": entity.name,
        "labels": list(entity.labels),
        "summary": entity.summary,
    }


def _fitted(text: str, cells: int) -> str:
    return set_cell_size(text, cells) if cell_len(text) <= cells else set_cell_size(text, cells - 1) + "…"
