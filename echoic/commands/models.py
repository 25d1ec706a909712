"""Commands of model files and of the local language model: model list, pull, remove, try."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from echoic.commands.options import AsJson, DataDir, print_json
from echoic.memory.errors import ConfigInvalid

if TYPE_CHECKING:
    from echoic.memory.model_verdict import Verdict
    from echoic.memory.settings.model_files import ModelFile


def model_list(
    check: Annotated[bool, typer.Option("--check", help="Read every byte, and say what is damaged.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List every model file of this machine: what it is for, its size, whether it is there and whole."""
    from echoic.local.command_resources import folder_of
    from echoic.local.llm.shelf import Shelf

    files = Shelf(folder_of(data_dir)).files(check=check)
    if as_json:
        print_json([asdict(one) for one in files])
        return
    for one in files:
        typer.echo(f"{one.name:<28} {_state(one):<22} {one.purpose}")


def model_remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `echoic model list` names it.")],
    data_dir: DataDir = None,
) -> None:
    """Remove a model file that was pulled or put here, with what a broken download left of it."""
    from echoic.local.command_resources import folder_of
    from echoic.local.llm.shelf import Shelf
    from echoic.memory.settings.model_files import ModelFileFixed, ModelFileUnknown

    try:
        freed = Shelf(folder_of(data_dir)).remove(name)
    except ModelFileUnknown as exc:
        raise ConfigInvalid(f"There is no model file {name!r}: `echoic model list` names them.") from exc
    except ModelFileFixed as exc:
        raise ConfigInvalid(f"{name} belongs to an installed package: pip removes it.") from exc
    typer.echo(f"{freed / 1e6:,.0f} MB are free again.")


def model_pull(data_dir: DataDir = None) -> None:
    """Download a local language model (Qwen2.5, 1.1 GB): resumable, checked by its SHA-256."""
    from echoic.local.command_resources import folder_of, progress_bar
    from echoic.local.llm.model_files import pull

    with progress_bar("Downloading") as on_progress:
        path = pull(folder_of(data_dir), on_progress)
    typer.echo(f"The model is at {path}; `echoic talk` uses it from now on.")


def model_try(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Try how well the language model learns facts, in a few short conversations."""
    from echoic.local.command_resources import opened_model, opened_stores, progress_bar, with_model

    with opened_stores(data_dir, "model-try") as settings, opened_model(settings) as choice:
        from echoic.memory.service import open_memory
        from echoic.workers.choose_extractor import is_configured
        from echoic.workers.learn.grades import graded
        from echoic.workers.model.chat import ChatModel

        settings = with_model(settings, choice)
        if settings.extractor == "off" or not is_configured(settings):
            raise ConfigInvalid(f"There is no language model that could learn facts ({choice.label}).")

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


def _state(one: "ModelFile") -> str:
    if not one.present:
        return "not here"
    said = {True: "whole", False: "damaged", None: "here"}[one.sha256_ok]
    return f"{said}, {(one.size or 0) / 1e6:,.1f} MB"
