"""Commands of what is set in the database: settings list, unset, rotate, key."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from echoic.commands.options import AsJson, DataDir, print_json, with_memory
from echoic.memory.errors import ConfigInvalid

if TYPE_CHECKING:
    from echoic.memory.service import Memory
    from echoic.memory.settings.system import SystemSettings


def settings_list(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List what can be set over the memory API. Secrets are not shown."""

    async def read(memory: "Memory") -> "SystemSettings":
        from echoic.memory.config import load_settings
        from echoic.memory.settings.system import read_system

        return await read_system(memory.db, load_settings())

    found = with_memory(data_dir, None, read)
    if as_json:
        print_json([asdict(one) for one in found.settings])
        return
    for one in found.settings:
        shown = ("•••" if one.set else "") if one.secret else one.value
        typer.echo(f"{one.name:<21} {one.source:<12} {shown}")
    if found.vectors.waits:
        typer.echo(found.vectors.sentence)


def settings_unset(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="As `echoic settings list` shows them.")],
    data_dir: DataDir = None,
) -> None:
    """Take back what was set: the environment counts again."""
    from echoic.memory.settings.kinds import KIND_OF

    if unknown := sorted(set(names) - set(KIND_OF)):
        raise ConfigInvalid(
            f"{unknown[0]!r} cannot be set in the database: `echoic settings list` shows what can."
        )

    async def unset(memory: "Memory") -> bool:
        from echoic.memory.config import load_settings
        from echoic.memory.settings.system import change_system, read_system

        base = load_settings()
        before = await read_system(memory.db, base)
        await change_system(memory.db, base, dict.fromkeys(names), version=before.version)
        return any(one.name in names and one.source == "database" for one in before.settings)

    if with_memory(data_dir, None, unset):
        typer.echo("Taken back; agents use it from the next call on, worker and API when they start again.")
    else:
        typer.echo(f"{'It was not' if len(names) == 1 else 'None of these was'} set in the database.")


def settings_rotate(data_dir: DataDir = None) -> None:
    """Encrypt every secret with the first key of ECHOIC_SETTINGS_KEY."""

    async def rotate(memory: "Memory") -> int:
        from echoic.memory.config import load_settings
        from echoic.memory.settings.system import rotate

        return await rotate(memory.db, load_settings())

    count = with_memory(data_dir, None, rotate)
    typer.echo(
        f"Secrets encrypted with the first key: {count}; the others can go."
        if count
        else "No secret is stored."
    )


def settings_key() -> None:
    """Print a new key for ECHOIC_SETTINGS_KEY."""
    from echoic.memory.settings.vault import new_key

    typer.echo(new_key())
