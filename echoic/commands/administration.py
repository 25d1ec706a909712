"""Commands that look after the stores and models: doctor, jobs, backup, restore, migrate, reembed, model."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from echoic.commands.options import AsJson, DataDir, print_json, with_memory

if TYPE_CHECKING:
    from echoic.memory.service import Memory


def jobs(
    rerun: Annotated[
        str, typer.Option(metavar="ID", help="Try a failed batch again: its id, or `all`.")
    ] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List what could not be learned, or not enter the graph, and try it again."""
    from echoic.memory.store.batches import dead

    if rerun:
        batch_id = _batch_id(rerun)
        users = with_memory(data_dir, None, lambda memory: _rerun(memory, batch_id))
        typer.echo(
            f"Open again: what {len(users)} user{'' if len(users) == 1 else 's'} said; a worker takes it "
            "next."
        )
        return
    batches = with_memory(data_dir, None, lambda memory: dead(memory.db))
    if as_json:
        print_json([asdict(batch) for batch in batches])
        return
    for batch in batches:
        what = (
            f"{batch.turns} turns" if batch.kind == "learn" else f"{batch.turns} facts or turns for the graph"
        )
        typer.echo(
            f"{batch.batch_id}  {batch.finished_at:%d %b %Y %H:%M}  user {batch.user_id}, {what}: "
            f"{batch.error}"
        )
    typer.echo(f"{len(batches)} failed for good.")


def reembed(data_dir: DataDir = None) -> None:
    """Embed everything again after the embedding model was changed; can be stopped and continued."""
    from echoic.local.command_resources import opened_stores, progress_bar

    with opened_stores(data_dir, "reembed") as settings:
        from echoic.memory.store.reembed import reembed_all

        with progress_bar("Embedding") as on_progress:
            count = asyncio.run(reembed_all(settings, on_progress))
        typer.echo(f"{count} texts embedded with {settings.embedding_model}.")


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database up to this version's schema."""
    from echoic.local.command_resources import opened_stores

    with opened_stores(data_dir, "migrate") as settings:
        from echoic.memory.store.migrate import migrate as run

        typer.echo(f"The database is at schema {asyncio.run(run(settings.database_url.get_secret_value()))}.")


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    data_dir: DataDir = None,
) -> None:
    """Write the embedded stores, spool included, into one file."""
    from echoic.local.admin.backup import backup as run
    from echoic.local.command_resources import folder_of

    typer.echo(f"Written to {run(folder_of(data_dir), target)}.")


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `echoic backup` wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what the data folder remembers now.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a data folder from a backup; one that remembers something is refused."""
    from echoic.local.admin.backup import restore as run
    from echoic.local.command_resources import folder_of

    run(source, folder_of(data_dir), force=force)
    typer.echo(f"Restored into {folder_of(data_dir)}.")


def doctor(data_dir: DataDir = None) -> None:
    """Say what is in use, whether it answers, and what to do if not."""
    from echoic.local.admin.doctor import run_doctor

    if not run_doctor(data_dir, typer.echo):
        raise typer.Exit(1)


def model_pull(data_dir: DataDir = None) -> None:
    """Download a local language model (Qwen2.5, 1.1 GB): resumable, checked by its SHA-256."""
    from echoic.local.command_resources import folder_of, progress_bar
    from echoic.local.llm.model_files import pull

    with progress_bar("Downloading") as on_progress:
        path = pull(folder_of(data_dir), on_progress)
    typer.echo(f"The model is at {path}; `echoic talk` uses it from now on.")


def _batch_id(name: str) -> UUID | None:
    try:
        return None if name == "all" else UUID(name)
    except ValueError as exc:
        raise typer.BadParameter(f"{name!r} is no batch id; `echoic jobs` lists them.") from exc


async def _rerun(memory: "Memory", batch_id: UUID | None) -> list[str]:
    from echoic.memory.store.batches import rerun

    users = await rerun(memory.db, batch_id)
    for user_id in users:
        await memory.jobs.enqueue_learn(user_id, hurry=True)
    return users
