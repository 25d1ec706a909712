"""Commands that look after the stores: doctor, jobs, backup, maintain, migrate, reembed."""

import asyncio
import signal
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from echoic.commands.options import AsJson, DataDir, as_uuid, print_json, with_memory

if TYPE_CHECKING:
    from echoic.memory.service import Memory
    from echoic.workers.maintenance import Total


def jobs(
    rerun: Annotated[
        str, typer.Option(metavar="ID", help="Try what was given up again: its id, or `all`.")
    ] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List what was given up, with the reason, and try it again."""
    from echoic.agent.terminal.formatting import count
    from echoic.memory.errors import ConfigInvalid
    from echoic.memory.given_up import SAYS, given_up
    from echoic.memory.given_up import rerun as run_again

    if rerun:
        batch_id = None if rerun == "all" else as_uuid(rerun, "`echoic jobs`")
        again = with_memory(data_dir, None, lambda memory: run_again(memory, batch_id))
        if not again and batch_id is not None:
            raise ConfigInvalid(f"Nothing was given up as {batch_id}: `echoic jobs` shows what was.")
        users = count(len({one.user_id for one in again}), "user")
        typer.echo(
            f"Open again: {len(again)} of what was given up, of {users}; a worker takes it next."
            if again
            else "Nothing was given up."
        )
        return
    found = with_memory(data_dir, None, lambda memory: given_up(memory.db, memory.spool))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        when = f"{one.finished_at:%d %b %Y %H:%M}" if one.finished_at else "at an unknown time"
        whose = f"user {one.user_id}" if one.user_id else "nobody knows whose"
        typer.echo(f"{one.batch_id}  {when}  {whose}, {one.turns} {SAYS[one.kind]}: {one.error}")
    typer.echo(f"{len(found)} failed for good.")


def reembed(data_dir: DataDir = None) -> None:
    """Embed everything again with another model. Can be stopped and continued."""
    from echoic.local.command_resources import opened_stores, progress_bar

    with opened_stores(data_dir, "reembed", embed_anew=True) as settings:
        from echoic.agent.terminal.formatting import count
        from echoic.memory.store.reembed import reembed_all

        with progress_bar("Embedding") as on_progress:
            done = asyncio.run(reembed_all(settings, on_progress))
        model = settings.embedding_model
        typer.echo(
            f"{count(done, 'text')} embedded with {model}."
            if done
            else f"Everything is embedded with {model} already."
        )


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database up to this version's schema."""
    from echoic.local.command_resources import opened_stores

    with opened_stores(data_dir, "migrate") as settings:
        from echoic.memory.store.migrate import migrate as run

        typer.echo(f"The database is at schema {asyncio.run(run(settings.database_url.get_secret_value()))}.")


def backup(
    target: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write; with --every, a folder for them.")
    ],
    every: Annotated[
        str,
        typer.Option(metavar="INTERVAL", help="Go on until stopped: 24h, 30m, 7d; the first one at once."),
    ] = "",
    keep: Annotated[int, typer.Option(metavar="N", min=1, help="With --every: how many of them stay.")] = 7,
    data_dir: DataDir = None,
) -> None:
    """Write the data folder into one file, or again and again."""
    from echoic.local.admin.backup import backup as run
    from echoic.local.admin.backup_schedule import backup_for_ever, interval_s
    from echoic.local.command_resources import folder_of
    from echoic.memory.config import load_settings
    from echoic.memory.errors import ConfigInvalid

    if load_settings().database_url.get_secret_value():
        raise ConfigInvalid(
            "A backup is of embedded stores, and ECHOIC_DATABASE_URL names another Postgres: use its own "
            "tools, such as `pg_dump`."
        )
    if not every:
        typer.echo(f"Written to {run(folder_of(data_dir), target)}.")
        return
    every_s, stopped = interval_s(every), Event()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    say = partial(typer.echo, err=True)
    try:
        backup_for_ever(folder_of(data_dir), target, every_s=every_s, keep=keep, say=say, wait=stopped.wait)
    except KeyboardInterrupt:
        sys.exit(0)


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `echoic backup` wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what the data folder remembers now.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a data folder from a backup. One that remembers something is refused."""
    from echoic.local.admin.backup import restore as run
    from echoic.local.command_resources import folder_of

    run(source, folder_of(data_dir), force=force)
    typer.echo(f"Restored into {folder_of(data_dir)}.")


def maintain(
    user: Annotated[str, typer.Option("--user", metavar="ID", help="Only of this person.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Do now what the worker does every night.

    Archive what is too old, and keep once what is said twice.
    """
    from echoic.memory.privacy.maintenance import maintain as run
    from echoic.workers.maintenance import Total, maintain_all

    async def work(memory: "Memory") -> tuple[Total, list[str]]:
        runs: list[str] = []
        if not user:
            total = await maintain_all(
                memory, dry_run=dry_run, tell=lambda one: runs.append(str(one.run_id)) if one.run_id else None
            )
            return total, runs
        total = Total()
        total.add(one := await run(memory, user, dry_run=dry_run))
        total.failed += one.busy
        return total, [str(one.run_id)] if one.run_id else []

    total, runs = with_memory(data_dir, user or None, work, every_graph=True)
    if as_json:
        print_json(asdict(total) | {"runs": runs})
    else:
        typer.echo(_maintained(total, dry_run))
        for run_id in runs:
            typer.echo(f"  echoic undo --batch {run_id}")
    if total.failed:
        raise typer.Exit(1)


def doctor(data_dir: DataDir = None) -> None:
    """Say what is in use, whether it answers, and what to do if not."""
    from echoic.local.admin.doctor import run_doctor

    if not run_doctor(data_dir, typer.echo):
        raise typer.Exit(1)


def _maintained(total: "Total", dry_run: bool) -> str:
    from echoic.agent.terminal.formatting import count

    busy = f" {total.failed} could not be looked at: a worker is learning." if total.failed else ""
    if not total.users:
        return f"There was nothing to do.{busy}"
    counts = (
        f"{count(total.archived, 'fact')} archived, {total.merged} merged into the same ones, "
        f"{count(total.refiled, 'topic')} respelled, {count(total.turns, 'turn')} deleted, "
        f"of {count(total.users, 'user')}."
    )
    return f"{'Would be done: ' if dry_run else ''}{counts}{busy}"
