"""Commands of model files and of the local language model: model list, pull, status, remove, clean, try."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echoic.commands.options import AsJson, DataDir, print_json
from echoic.memory.errors import ConfigInvalid

if TYPE_CHECKING:
    from echoic.local.llm.shelf import Shelf
    from echoic.memory.model_verdict import Verdict
    from echoic.memory.settings.model_files import ModelFile


def model_list(
    check: Annotated[bool, typer.Option("--check", help="Read every byte, and say what is damaged.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List every model file, its size, and whether it is here."""
    from echoic.local.command_resources import folder_of
    from echoic.local.llm.shelf import Shelf

    files = Shelf(folder_of(data_dir)).files(check=check)
    if as_json:
        print_json([asdict(one) for one in files])
        return
    for one in files:
        typer.echo(f"{one.name:<28} {_state(one):<22} {one.purpose}")


def model_status(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `echoic model list` names it.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Read every byte that is here: is it whole, its hash, what uses it."""
    with _shelf(data_dir) as shelf:
        found = [one for one in shelf.files(check=True) if one.name == name or (one.size and not name)]
        if not found:
            raise ConfigInvalid(f"There is no model file {name!r}: `echoic model list` names them.")
        hashes = {one.name: shelf.hashes(one.name) for one in found}
    if as_json:
        told = [dict(zip(("files", "trusted"), hashes[one.name], strict=True)) for one in found]
        print_json([asdict(one) | more for one, more in zip(found, told, strict=True)])
        return
    for one in found:
        made = f", vectors of {one.dimensions}" if one.dimensions else ""
        typer.echo(f"{one.name}: {_state(one)}{made}; used by: {one.used_by or 'nothing'}")
        _tell_hashes(*hashes[one.name])


def model_clean(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, data_dir: DataDir = None
) -> None:
    """Remove broken downloads and pulled files that nothing uses. Asks first."""
    with _shelf(data_dir) as shelf:
        found = shelf.leftovers()
        for name, why in found:
            typer.echo(f"{name:<28} {why}")
        if not found:
            typer.echo("There is nothing to remove.")
        elif yes or typer.confirm(f"Remove {'it' if len(found) == 1 else 'them'}?"):
            typer.echo(_freed(sum(shelf.remove(name) for name, _ in found)))


def model_remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `echoic model list` names it.")],
    data_dir: DataDir = None,
) -> None:
    """Remove a model file that was pulled or put here."""
    from echoic.local.command_resources import folder_of
    from echoic.local.llm.shelf import Shelf
    from echoic.memory.settings.model_files import ModelFileFixed, ModelFileUnknown

    try:
        freed = Shelf(folder_of(data_dir)).remove(name)
    except ModelFileUnknown as exc:
        raise ConfigInvalid(f"There is no model file {name!r}: `echoic model list` names them.") from exc
    except ModelFileFixed as exc:
        raise ConfigInvalid(f"{name} belongs to an installed package: pip removes it.") from exc
    typer.echo(_freed(freed))


def model_pull(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="multilingual-e5-small, bge-m3 (embedding), piper:VOICE (speech, such as "
            "piper:de_DE-thorsten-medium), each also with @sha256:…; without a name, a language model.",
        ),
    ] = "",
    data_dir: DataDir = None,
) -> None:
    """Download a model: resumable, checked by its SHA-256.

    Without a name Qwen2.5 (1.1 GB), which replies.
    """
    from echoic.local.command_resources import folder_of, progress_bar
    from echoic.local.llm.hub import pull_from_hub
    from echoic.local.llm.model_files import pull
    from echoic.local.llm.shelf import Shelf
    from echoic.memory.embedding.hub_models import hub_model

    folder = folder_of(data_dir)
    with progress_bar("Downloading") as on_progress:
        path = pull_from_hub(folder, name, on_progress) if name else pull(folder, on_progress)
    if not name:
        typer.echo(f"The model is at {path}; `echoic talk` uses it from now on.")
        return
    _tell_hashes(*Shelf(folder).hashes(name))
    if hub_model(name):
        typer.echo(f"To embed with it: ECHOIC_EMBEDDING_MODEL={name}, then `echoic reembed`.")
    else:
        typer.echo("Calls without keys speak with it from now on.")


def model_try(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Try how well the language model learns facts."""
    from echoic.local.command_resources import opened_model, opened_stores, progress_bar, with_model

    with opened_stores(data_dir, "model-try") as settings, opened_model(settings) as choice:
        from echoic.memory.service import open_memory
        from echoic.workers.choose_extractor import is_configured
        from echoic.workers.learn.grades import graded
        from echoic.workers.model.chat import ChatModel

        settings = with_model(settings, choice)
        if settings.extractor == "off" or not is_configured(settings):
            raise ConfigInvalid(f"Nothing here could learn facts: {choice.why_not or choice.label}.")

        async def run() -> "Verdict":
            model = ChatModel(settings)
            try:
                async with open_memory(settings) as memory:
                    return await graded(memory, model, anew=True, on_progress=on_progress)
            finally:
                await model.close()

        with progress_bar("Trying") as on_progress:
            trial = asyncio.run(run())
    if as_json:
        print_json(asdict(trial))
        return
    for skill, (right, count) in trial.skills.items():
        typer.echo(f"{skill:<10} {right:>2} of {count}")
    typer.echo(f"calls tools {'yes' if trial.tools else 'no'}")
    typer.echo(f"Grade `{trial.grade}`: {trial.sentence}.")


@contextmanager
def _shelf(data_dir: Path | None) -> Iterator["Shelf"]:
    """With what the settings use, those in the database included; stores that were never made stay unmade."""
    from echoic.local.command_resources import folder_of, opened_stores
    from echoic.local.llm.shelf import Shelf
    from echoic.memory.config import load_settings
    from echoic.memory.settings.overrides import stored_vectors

    folder, settings = folder_of(data_dir), load_settings()
    if not settings.database_url.get_secret_value() and not (folder / "postgres").exists():
        yield Shelf(folder, settings=settings)
        return
    with opened_stores(data_dir, "model") as settings:
        yield Shelf(folder, settings=settings, vectors=asyncio.run(stored_vectors(settings)))


def _tell_hashes(files: dict[str, str], trusted: str) -> None:
    for file, sha256 in files.items():
        typer.echo(f"    sha256:{sha256}  {file}")
    if trusted:
        typer.echo(f"    {trusted}")


def _freed(size: int) -> str:
    return f"{size / 1e6:,.0f} MB are free again."


def _state(one: "ModelFile") -> str:
    if not one.present:
        return f"unfinished, {one.size / 1e6:,.1f} MB" if one.size else "not here"
    said = {True: "whole", False: "damaged", None: "here"}[one.sha256_ok]
    return f"{said}, {(one.size or 0) / 1e6:,.1f} MB"
