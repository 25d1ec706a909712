"""The command that brings in what other systems remember: import."""

import json
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

import typer

from echoic.commands.options import DataDir, phone_ids, with_memory

if TYPE_CHECKING:
    from echoic.memory.backfill.backfill import Imported
    from echoic.memory.backfill.entries import Refused
    from echoic.memory.service import Memory

ENDING = ".rejected.jsonl"


def import_file(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON, JSON Lines or CSV, as the other system exports it.")
    ],
    format_: Annotated[
        Literal["auto", "json", "csv", "retell", "vapi", "twilio", "mem0", "memobase"],
        typer.Option(
            "--format",
            metavar="auto|json|csv|retell|vapi|twilio|mem0|memobase",
            help="Whose export it is. auto looks at each record.",
        ),
    ] = "auto",
    user: Annotated[
        str, typer.Option("--user", metavar="ID", help="Whose records are that name nobody.")
    ] = "",
    agent: Annotated[
        str,
        typer.Option("--agent", metavar="ID", help="The agent it was said to. Default: ECHOIC_AGENT_ID."),
    ] = "",
    data_dir: DataDir = None,
) -> None:
    """Bring in conversations and facts of other systems, with dates.

    Safe to repeat, also after it was stopped half-way: each turn and fact is stored once. What cannot be
    used is written to FILE.rejected.jsonl, a reason in each line. A worker learns from it afterwards, a bit
    at a time, behind whoever calls now.
    """

    async def run(memory: "Memory") -> "Imported":
        from echoic.local.command_resources import progress_bar
        from echoic.memory.backfill.backfill import Backfill
        from echoic.memory.backfill.entries import Given
        from echoic.memory.backfill.export_file import read_file

        agent_id = agent or memory.settings.agent_id
        given = Given(agent_id, user, memory.settings.timezone, phone_ids(data_dir))
        entries = read_file(source, format_, given)
        with Rejected(source) as rejected, progress_bar("Importing") as on_progress:
            return await Backfill(memory, agent_id, rejected.write).run(entries, on_progress)

    from echoic.agent.terminal.formatting import count

    report = with_memory(data_dir, user or None, run)
    typer.echo(
        f"Taken in {report.seconds:.1f} s: {count(report.turns, 'turn')} and {count(report.facts, 'fact')}. "
        f"There before: {report.known:,}. Nobody's words: {count(report.left_out, 'part')}."
    )
    for reason, times in report.refused.most_common():
        typer.echo(f"Not taken, {times:,}: {reason}.", err=True)
    if report.refused:
        typer.echo(f"They are in {source}{ENDING}.", err=True)
        raise typer.Exit(1)


class Rejected:
    """The file beside an import in which stands what was not taken; there is none if all was."""

    def __init__(self, source: Path) -> None:
        self._path = source.with_name(source.name + ENDING)
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "Rejected":
        self._path.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, one: "Refused") -> None:
        """Add a record with the reason."""
        from echoic.memory.disk.files import own_file

        if self._file is None:  # private: it holds people's words
            self._file = own_file(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        line = json.dumps({"reason": one.reason, "record": one.record}, ensure_ascii=False, default=str)
        self._file.write(f"{line}\n".encode(errors="backslashreplace"))
