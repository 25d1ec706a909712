"""The command line: `echoic --help`. The commands themselves are in `echoic/commands/`."""

import os
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from dotenv import load_dotenv

from echoic.commands import administration, backfill, calls, data, links, models, serving, settings
from echoic.commands.options import PlainCommand
from echoic.commands.variables import misspelt
from echoic.memory.errors import ConfigInvalid, MemoryFault

app = typer.Typer(
    name="echoic",
    help="A voice agent that remembers its callers. Start with `echoic talk`; `echoic dev` lets you speak.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # frames and colours are in the way of whoever reads it in a file or a pipe
)
model_app = typer.Typer(
    help="Model files of this machine, and the local language model.", no_args_is_help=True
)
app.add_typer(model_app, name="model")
keys_app = typer.Typer(help="Keys for the memory API.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
link_app = typer.Typer(help="One person with several ids: phone, web, device.", no_args_is_help=True)
app.add_typer(link_app, name="link")
settings_app = typer.Typer(help="What was set over the memory API.", no_args_is_help=True)
app.add_typer(settings_app, name="settings")

for command in (
    calls.talk,
    calls.dev,
    calls.run,
    calls.worker,
    serving.api,
    serving.mcp,
    data.memories,
    data.graph,
    data.export,
    data.erase,
    data.flush,
    data.undo,
    data.diff,
    administration.jobs,
    administration.doctor,
    administration.backup,
    administration.restore,
    administration.maintain,
    administration.migrate,
    administration.reembed,
):
    app.command(cls=PlainCommand)(command)
app.command("import", cls=PlainCommand)(backfill.import_file)
model_app.command("list", cls=PlainCommand)(models.model_list)
model_app.command("pull", cls=PlainCommand)(models.model_pull)
model_app.command("status", cls=PlainCommand)(models.model_status)
model_app.command("remove", cls=PlainCommand)(models.model_remove)
model_app.command("clean", cls=PlainCommand)(models.model_clean)
model_app.command("try", cls=PlainCommand)(models.model_try)
keys_app.command("add", cls=PlainCommand)(serving.keys_add)
keys_app.command("list", cls=PlainCommand)(serving.keys_list)
keys_app.command("revoke", cls=PlainCommand)(serving.keys_revoke)
link_app.command("add", cls=PlainCommand)(links.link_add)
link_app.command("list", cls=PlainCommand)(links.link_list)
link_app.command("remove", cls=PlainCommand)(links.link_remove)
settings_app.command("list", cls=PlainCommand)(settings.settings_list)
settings_app.command("unset", cls=PlainCommand)(settings.settings_unset)
settings_app.command("rotate", cls=PlainCommand)(settings.settings_rotate)
settings_app.command("key", cls=PlainCommand)(settings.settings_key)


def main() -> None:
    """Run one command.

    Our faults end in one sentence on standard error and exit code 1, wrong usage in exit code 2.
    """
    if sys.platform == "win32":
        _fail("Windows itself is not supported: run Echoic in WSL 2, or on Linux or macOS.")
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a file is UTF-8 as JSON is, and a terminal what it can show
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")
    warnings.simplefilter("ignore")  # of other people's packages, between the words of a talk
    try:
        _read_dotenv()
        app()
    except MemoryFault as exc:
        _fail(str(exc))
    except OSError as exc:
        _fail(
            "The system refused: "
            f"{exc.strerror or type(exc).__name__}{f' ({exc.filename})' if exc.filename else ''}."
        )
    except Exception as exc:  # a defect: its text may hold somebody's words, so only its kind is shown
        if os.environ.get("ECHOIC_DEBUG"):
            raise
        _fail(
            f"Echoic met a fault it does not know ({type(exc).__name__}). ECHOIC_DEBUG=1 shows where; please "
            "report it."
        )


def _read_dotenv() -> None:
    """Of the folder one is in, if it still exists: `.env` counts where the environment says nothing.

    Raises:
        ConfigInvalid: it holds what no variable can.
    """
    try:
        load_dotenv(Path(".env"))
    except ValueError as exc:
        raise ConfigInvalid(
            ".env in this folder is not UTF-8, or holds NUL: save it as UTF-8, or move it away."
        ) from exc


@app.callback(invoke_without_command=True)
def _options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if show_version:
        try:
            typer.echo(f"echoic {version('echoic')}")
        except PackageNotFoundError:
            typer.echo("echoic, from a source tree that is not installed")
        raise typer.Exit
    for sentence in misspelt(os.environ):
        typer.echo(sentence, err=True)


def _fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(1)
