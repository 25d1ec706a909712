"""What all commands share: options, memory opened for one piece of work, and printing."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

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


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    print_text(json.dumps(value, ensure_ascii=False, default=str))


def print_text(text: str, end: str = "\n") -> None:
    """Text on standard output, whatever its encoding."""
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    print(text, end=end)
