"""What all commands share: options, memory opened for one piece of work, and printing."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from echoic.memory.service import Memory

T = TypeVar("T")
DEFAULT_USER = "me"

User = Annotated[
    str, typer.Option("--user", metavar="ID", help="Whose memory: any name or id, up to 200 characters.")
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of the embedded stores, spool and models. Default: the user's data directory.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")
]


class PlainCommand(TyperCommand):
    """A command that says how it is used without the framework's own signs and names of types."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as exc:
            exc.message = exc.message.removeprefix("Value error, ")
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            found = [one.get_help_record(ctx) for one in self.get_params(ctx) if one.param_type_name == kind]
            if rows := [(name.partition(" <")[0], said) for name, said in filter(None, found)]:
                with formatter.section(title):
                    formatter.write_dl(rows)


def with_memory(
    data_dir: Path | None,
    user: str | None,
    work: "Callable[[Memory], Awaitable[T]]",
    *,
    learns: bool = False,
    every_graph: bool = False,
) -> T:
    """Open what `work` needs, do it, and close it; `learns` opens the language model too, `every_graph` one
    that is turned off."""
    with ExitStack() as stack:
        from echoic.local.command_resources import opened_model, opened_stores, with_model
        from echoic.memory.identity.ids import check_user_id
        from echoic.memory.service import open_memory

        if user is not None:
            check_user_id(user)
        settings = stack.enter_context(opened_stores(data_dir, "commands", every_graph=every_graph))
        if learns:
            settings = with_model(settings, stack.enter_context(opened_model(settings)))

        async def run() -> T:
            async with open_memory(settings) as memory:
                return await work(memory)

        return asyncio.run(run())


def phone_ids(data_dir: Path | None) -> Callable[[str], str | None]:
    """The user id of whoever calls from a number; None for what is no number of one subscriber."""
    from echoic.agent.config import load_agent_settings
    from echoic.local.command_resources import folder_of
    from echoic.memory.identity.phone import open_phone_key, phone_user

    settings = load_agent_settings()
    key = open_phone_key(settings, folder_of(data_dir))
    return lambda number: phone_user(number, key=key, region=settings.phone_region)


def as_uuid(name: str, where: str) -> UUID:
    """An id as a person gives it.

    Raises:
        typer.BadParameter: it is none; `where` says who shows them.
    """
    try:
        return UUID(name)
    except ValueError as exc:
        raise typer.BadParameter(f"{name!r} is no id: {where} shows them.") from exc


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    print_text(json.dumps(value, ensure_ascii=False, default=str))


def print_text(text: str, end: str = "\n") -> None:
    """Text on standard output, whatever its encoding."""
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    print(text, end=end)
