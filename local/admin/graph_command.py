"""`echoic graph`: opens what it needs, reads, and gives the text to print."""

import asyncio
import json
from pathlib import Path
from typing import Literal

from echoic.local.admin.graph_dot import dot_lines
from echoic.local.admin.graph_view import graph_lines, graphs_as_json, moment, read_graphs
from echoic.local.command_resources import opened_stores
from echoic.memory.errors import ConfigInvalid
from echoic.memory.identity.ids import check_user_id

Form = Literal["table", "json", "dot"]


def graph_text(user_id: str, at: str, data_dir: Path | None, form: Form) -> str:
    """One person's graph as text.

    Args:
        at: a date or time, as it was then; empty: as it is now.

    Raises:
        ConfigInvalid: `at` is no date, the user id cannot be one, or the graph is off or not named.
        StoreUnavailable: a store does not answer.
    """
    check_user_id(user_id)
    with opened_stores(data_dir, "commands", every_graph=True) as settings:
        try:
            when = moment(at, settings.timezone) if at else None
        except ValueError as exc:
            raise ConfigInvalid(
                f"--at {at!r} is no date of the calendar: write it as 2026-03-31 or 2026-03-31T18:00."
            ) from exc
        graphs = asyncio.run(read_graphs(settings, user_id, when))
        if form == "json":
            return json.dumps(graphs_as_json(graphs, user_id, when), ensure_ascii=False)
        lines = (
            dot_lines(graphs, settings.timezone)
            if form == "dot"
            else graph_lines(graphs, user_id, when, settings.timezone)
        )
        return "\n".join(lines).rstrip()
