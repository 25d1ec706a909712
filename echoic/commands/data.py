"""Commands about what is remembered of one person: memories, graph, export, erase, flush."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from echoic.commands.options import AsJson, DataDir, User, as_uuid, print_json, print_text, with_memory

if TYPE_CHECKING:
    from echoic.memory.service import Memory


def memories(
    user: User,
    as_json: AsJson = False,
    include_closed: Annotated[
        bool, typer.Option("--all", help="Also facts that are no longer true.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Show what is remembered about one person."""

    async def read(memory: "Memory") -> None:
        from echoic.agent.terminal.formatting import memories_lines
        from echoic.memory.config import load_settings
        from echoic.memory.privacy.export import fact_as_json, json_pieces, turn_as_json

        facts, turns = memory.facts.each(user, include_closed=include_closed), memory.turns.each(user)
        if not as_json:
            async for line in memories_lines(facts, turns, user, load_settings().timezone):
                print_text(line)
            return
        each = {
            "facts": (fact_as_json(fact) async for fact in facts),
            "turns": (turn_as_json(turn) async for turn in turns),
        }
        async for piece in json_pieces({}, each):
            print_text(piece, end="")
        print_text("")

    with_memory(data_dir, user, read)


def graph(
    user: User,
    at: Annotated[str, typer.Option(metavar="DATE", help="As it was then, for instance 2026-03-31.")] = "",
    as_json: AsJson = False,
    dot: Annotated[
        bool, typer.Option("--dot", help="Print a picture for Graphviz: `echoic graph … --dot | dot -Tsvg`.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Show who and what belongs to one person, now or earlier."""
    if as_json and dot:
        raise typer.BadParameter("--json or --dot, not both.")
    from echoic.local.admin.graph_command import graph_text

    print_text(graph_text(user, at, data_dir, "json" if as_json else "dot" if dot else "table"))


def export(user: User, as_json: AsJson = True, data_dir: DataDir = None) -> None:
    """Print all that any store holds about one person, as JSON."""

    async def write(memory: "Memory") -> None:
        from echoic.memory.privacy.export import export_pieces

        async for piece in export_pieces(memory, user):
            print_text(piece, end="")
        print_text("")

    with_memory(data_dir, user, write, every_graph=True)


def erase(
    user: User,
    as_json: AsJson = False,
    shred: Annotated[
        bool,
        typer.Option(
            "--shred", help="Embedded stores: also rewrite the files, so that no raw trace is left."
        ),
    ] = False,
    person: Annotated[
        bool, typer.Option("--person", help="All ids that are linked with this one too (`echoic link`).")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Erase one person from every store, for good."""
    if sys.stdin.isatty() and not yes:
        also = " and every id linked with it" if person else ""
        typer.confirm(
            f"Everything about “{user}”{also} will be erased and cannot be brought back. Go on?",
            abort=True,
            err=True,  # what --json prints may go to a file
        )
    report = with_memory(data_dir, user, lambda memory: _erase(memory, user, shred, person), every_graph=True)
    if as_json:
        print_json(report)
    else:
        typer.echo(f"{_erased(report, user)}{', and rewrote the files' if shred else ''}.")
        for sentence in report["unfinished"]:
            typer.echo(sentence, err=True)
    if report["unfinished"]:
        raise typer.Exit(1)


def flush(
    user: User,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Learn here, and return when it is done; else a worker is told to hurry."
        ),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Learn what one person said, now rather than later."""
    from echoic.workers.flush import flush_user, queue_user

    work = flush_user if wait else queue_user
    typer.echo(with_memory(data_dir, user, lambda memory: work(memory, user), learns=wait))


def undo(
    call: Annotated[
        str, typer.Option("--call", metavar="ID", help="Take back all that was learned in it.")
    ] = "",
    batch: Annotated[
        str, typer.Option("--batch", metavar="ID", help="Take back what one batch or maintenance run did.")
    ] = "",
    maintenance: Annotated[
        str,
        typer.Option(
            "--maintenance", metavar="DATE", help="Take back what the nightly maintenance did then."
        ),
    ] = "",
    user: Annotated[str, typer.Option("--user", metavar="ID", help="Only of this person.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Take back what one call, batch or night did. What was said stays."""
    from echoic.agent.terminal.formatting import count
    from echoic.memory.config import load_settings

    if sum(map(bool, (call, batch, maintenance))) != 1:
        raise typer.BadParameter("Say one of --call, --batch and --maintenance.")
    batch_id = as_uuid(batch, "the history of a fact") if batch else None
    try:
        zone = ZoneInfo(load_settings().timezone)
        night = datetime.fromisoformat(maintenance).replace(tzinfo=zone) if maintenance else None
    except ValueError as exc:
        raise typer.BadParameter("A night is a date such as 2026-11-01.") from exc

    async def take_back(memory: "Memory") -> str:
        from echoic.memory.privacy.undo import undo_batch, undo_call, undo_maintenance

        if night is not None:
            undone = await undo_maintenance(memory, night, night + timedelta(days=1), user)
        elif batch_id is not None:
            undone = await undo_batch(memory, batch_id, user)
        else:
            undone = await undo_call(memory, call, user)
        if not (undone.removed or undone.restored):
            return f"Nothing that this {'call taught' if call else 'did'} is left to take back."
        return f"Took back {count(len(undone.removed), 'fact')}, and restored {len(undone.restored)}."

    typer.echo(with_memory(data_dir, user or None, take_back, every_graph=True))


def diff(
    user: User,
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="For instance 2026-11-01.")] = "",
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="Default: now.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show what changed in what is known about one person."""
    from echoic.agent.terminal.formatting import changes_lines
    from echoic.local.admin.graph_view import moment
    from echoic.memory.config import load_settings
    from echoic.memory.privacy.changes import changes_between
    from echoic.memory.privacy.export import change_as_json

    zone = load_settings().timezone
    try:
        begin = moment(since or "1970-01-02", zone, last=False)
        end = moment(until, zone) if until else datetime.now(UTC)
    except ValueError as exc:
        raise typer.BadParameter("A time is 2026-11-01 or 2026-11-01T18:00.") from exc
    if begin >= end:
        raise typer.BadParameter("--from must be before --to.")
    found = with_memory(data_dir, user, lambda memory: changes_between(memory.db, user, begin, end))
    if as_json:
        print_json([change_as_json(change) for change in found])
    else:
        for line in changes_lines(found, user, zone):
            typer.echo(line)


def _erased(report: dict[str, Any], user: str) -> str:
    from echoic.agent.terminal.formatting import count

    if not any(value for name, value in report.items() if name != "erased_at"):
        return f"Nothing was remembered about “{user}”"
    counts = f"{count(report['turns'], 'turn')} and {count(report['facts'], 'fact')}"
    return f"Erased {counts}{' and the graph' if report['graphs'] else ''} of “{user}”"


async def _erase(memory: "Memory", user: str, shred: bool, person: bool) -> dict[str, Any]:
    from echoic.memory.privacy.erase import erase_person, erase_user

    report = asdict(await (erase_person if person else erase_user)(memory, user))
    if shred:
        from echoic.local.admin.shred import shred as rewrite

        await rewrite(memory.settings)
    return report | {"erased_at": report["erased_at"].isoformat()}
