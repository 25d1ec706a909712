"""Commands for one person with several ids: link add, list, remove."""

from typing import TYPE_CHECKING, Annotated

import typer

from echoic.commands.options import AsJson, DataDir, phone_ids, print_json, print_text, with_memory
from echoic.memory.errors import ConfigInvalid

if TYPE_CHECKING:
    from pathlib import Path

    from echoic.memory.service import Memory

TEL = "tel:"
BY_HAND = "command line"
One = Annotated[str, typer.Argument(metavar="ID", help="A user id, or tel:+4930… for who calls from there.")]
Other = Annotated[str, typer.Argument(metavar="OTHER", help="Another id of the same person.")]


def link_add(one: One, other: Other, data_dir: DataDir = None) -> None:
    """Say that two ids are one person.

    From the next call on, each is told what the other said. Nothing is moved or merged: `echoic link remove`
    makes both what they were. Be sure that they are the same person.
    """

    async def add(memory: "Memory") -> bool:
        from echoic.memory.settings.links import LinkStore

        return await LinkStore(memory.db).add(*_ids(one, other, data_dir=data_dir), made_by=BY_HAND)

    made = with_memory(data_dir, None, add)
    typer.echo("Linked: one person from their next call on." if made else "They were linked already.")


def link_list(one: One, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show all ids of one person, and who linked them when."""

    async def read(memory: "Memory") -> tuple[list[str], list[dict[str, object]]]:
        from dataclasses import asdict

        from echoic.memory.settings.links import LinkStore

        store, (user_id,) = LinkStore(memory.db), _ids(one, data_dir=data_dir)
        return list(await store.ids(user_id)), [asdict(link) for link in await store.of(user_id)]

    ids, links = with_memory(data_dir, None, read)
    if as_json:
        print_json({"ids": ids, "links": links})
        return
    for link in links:
        print_text(
            f"{link['user_id']}  {link['other_id']}  since {link['made_at']:%d %b %Y}, by {link['made_by']}"
        )
    print_text(f"{len(ids)} ids, one person." if links else "Linked with no other id.")


def link_remove(one: One, other: Other, data_dir: DataDir = None) -> None:
    """Take a link back: each has again what was said under it."""

    async def remove(memory: "Memory") -> tuple[bool, bool]:
        from echoic.memory.settings.links import LinkStore

        store, (first, second) = LinkStore(memory.db), _ids(one, other, data_dir=data_dir)
        return await store.remove(first, second), second in await store.ids(first)

    removed, still = with_memory(data_dir, None, remove)
    if not removed:
        raise ConfigInvalid("These two are not linked with each other: `echoic link list ID` shows who is.")
    typer.echo("Unlinked." if not still else "Unlinked; other links still make them one person.")


def _ids(*ids: str, data_dir: "Path | None") -> tuple[str, ...]:
    return tuple(_user(one, data_dir) if one.startswith(TEL) else one for one in ids)


def _user(number: str, data_dir: "Path | None") -> str:
    found = phone_ids(data_dir)(number.removeprefix(TEL))
    if found is None:
        raise ConfigInvalid("A number is +, country and number, of one subscriber: tel:+4930123456.")
    return found
