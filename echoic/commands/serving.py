"""Commands that serve memory to other programs: api, mcp, and keys for them."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from echoic.commands.options import AsJson, DataDir, as_uuid, print_json, with_memory
from echoic.memory.errors import ConfigInvalid

if TYPE_CHECKING:
    from echoic.api.channels.voice_notes import Hear
    from echoic.memory.service import Memory

DAY_S = 86_400.0


def api(
    data_dir: DataDir = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; default: ECHOIC_API_HOST.")
    ] = "",
    port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65535, help="0 takes a free one; default: ECHOIC_API_PORT."),
    ] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Nobody needs a key; on this machine's own address only.")
    ] = False,
    memobase: Annotated[
        bool, typer.Option("--memobase", help="Answer Memobase's clients, and nobody else.")
    ] = False,
) -> None:
    """Serve the memory API, and the page."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        from echoic.api.server import serve
    except ImportError as exc:
        raise ConfigInvalid(f'The API needs more packages ({exc.name}): pip install "echoic[api]".') from exc
    from echoic.api.config import load_api_settings
    from echoic.local.command_resources import folder_of, opened_stores
    from echoic.local.llm.shelf import Shelf

    chosen = {"host": host} if host else {}
    settings = load_api_settings(**chosen, **({} if port is None else {"port": port}))
    with opened_stores(data_dir, "api", every_graph=True) as stores, ExitStack() as opened:
        folder = folder_of(stores.data_dir)
        hear = opened.enter_context(_ears(folder)) if settings.whatsapp_token.get_secret_value() else None
        served = serve(
            *(stores, settings),
            development=dev,
            say=partial(typer.echo, err=True),
            shelf=Shelf(folder, settings=stores),
            hear=hear,
            memobase_alone=memobase,
        )
        asyncio.run(served)


@contextmanager
def _ears(folder: Path) -> Iterator["Hear"]:
    """The ears of this machine, for voice notes.

    Raises:
        ConfigInvalid: their packages are missing.
        ModelUnavailable: they did not start.
    """
    from echoic.agent.config import load_agent_settings
    from echoic.local.speech.notes import hear_note
    from echoic.local.speech.plugins import open_local_speech

    with open_local_speech(folder, load_agent_settings().language) as speech:
        yield partial(hear_note, speech)


def mcp(
    user: Annotated[
        str,
        typer.Option(
            metavar="ID", envvar="ECHOIC_MCP_USER", help="Whose memory the client on the other end sees."
        ),
    ] = "",
    http: Annotated[
        bool,
        typer.Option("--http", help="Serve clients over HTTP, at /mcp; the key says whose memory it is."),
    ] = False,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="With --http; default: ECHOIC_API_HOST.")] = "",
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="With --http; 0 takes a free one; default: ECHOIC_API_PORT.",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Serve memory to MCP clients: one, or many with --http."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from echoic.local.command_resources import opened_stores
    from echoic.memory.identity.ids import check_user_id

    if not http and not user:
        raise ConfigInvalid("Say whose memory this is: --user ID, or ECHOIC_MCP_USER; or --http for many.")
    if not http:
        check_user_id(user)
    try:
        from echoic.api.mcp.stdio import serve_stdio
        from echoic.api.server import serve_mcp
    except ImportError as exc:
        raise ConfigInvalid(f'MCP needs more packages ({exc.name}): pip install "echoic[mcp]".') from exc
    with opened_stores(data_dir, "mcp", every_graph=True) as stores:
        if not http:
            asyncio.run(serve_stdio(stores, user))
            return
        from echoic.api.config import load_api_settings

        chosen = {"host": host} if host else {}
        settings = load_api_settings(**chosen, **({} if port is None else {"port": port}))
        asyncio.run(serve_mcp(stores, settings, say=partial(typer.echo, err=True)))


def keys_add(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Whose key, or for what: it stands in the audit trail.")
    ],
    role: Annotated[
        Literal["admin", "service", "user"],
        typer.Option(
            metavar="admin|service|user",
            help="admin: everything; service: read and change memories; user: one person's own.",
        ),
    ] = "service",
    user: Annotated[str, typer.Option(metavar="ID", help="The person of a key of the role user.")] = "",
    days: Annotated[
        int,
        typer.Option(metavar="DAYS", min=0, max=36_500, help="How long it is valid; 0: until it is revoked."),
    ] = 0,
    data_dir: DataDir = None,
) -> None:
    """Make a key, and print it. It is stored as a hash, and cannot be shown again."""

    async def add(memory: "Memory") -> str:
        from echoic.api.access.keys import add_key

        key, _ = await add_key(memory.db, name, role, user or None, valid_s=days * DAY_S or None)
        return key

    typer.echo(with_memory(data_dir, None, add))


def keys_list(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the keys: whose, until when; not the keys themselves."""

    async def read(memory: "Memory") -> list[dict[str, object]]:
        from echoic.api.access.keys import list_keys

        return [asdict(key) for key in await list_keys(memory.db)]

    found = with_memory(data_dir, None, read)
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("There are no keys: `echoic keys add` makes one.")
    for key in found:
        whose = f" of {key['user_id']}" if key["user_id"] else ""
        ends = f", until {key['expires_at']:%d %b %Y}" if key["expires_at"] else ""
        gone = ", revoked" if key["revoked_at"] else ""
        typer.echo(f"{key['key_id']}  {key['role']}{whose}  {key['name']}{ends}{gone}")


def keys_revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="As `echoic keys list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Refuse a key from now on."""
    key_id = as_uuid(key, "`echoic keys list`")

    async def revoke(memory: "Memory") -> bool:
        from echoic.api.access.keys import revoke_key

        return await revoke_key(memory.db, key_id)

    if not with_memory(data_dir, None, revoke):
        raise ConfigInvalid(f"There is no key {key_id}: `echoic keys list` shows them.")
    typer.echo("Revoked.")
