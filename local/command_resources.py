"""What a command needs open: settings with addresses that answer, the chosen model, and a bar for what takes
long."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import SecretStr

from echoic.local.llm.models import ModelChoice, choose_model, open_model
from echoic.local.paths import data_dir as chosen_or_default
from echoic.local.servers.graph_server import holds_graph, open_graph
from echoic.local.servers.stores import open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.errors import ConfigInvalid
from echoic.memory.observe.logs import log_to
from echoic.memory.settings.overrides import with_stored


def folder_of(data_dir: Path | None) -> Path:
    """The data folder: the one that is named here, in the settings, or the user's own."""
    return chosen_or_default(data_dir or load_settings().data_dir)


@contextmanager
def opened_stores(
    data_dir: Path | None, log_name: str, *, every_graph: bool = False, embed_anew: bool = False
) -> Iterator[MemorySettings]:
    """The settings with addresses in them: those of the environment, or of embedded stores that run while the
    block does; and with what was set over the memory API.

    Args:
        log_name: this process logs to `logs/<log_name>.log` in the data folder.
        every_graph: also a graph that was written before `ECHOIC_GRAPH` was turned off: for whoever must
            leave nothing out.
        embed_anew: an embedding model that was set over the API counts before everything is embedded with it.

    Raises:
        ConfigInvalid, StoreUnavailable, SchemaMismatch: with a sentence for the user.
    """
    folder = folder_of(data_dir)
    settings = load_settings(data_dir=folder)
    log_to(folder / "logs" / f"{log_name}.log")
    database, redis = (
        bool(settings.database_url.get_secret_value()),
        bool(settings.redis_url.get_secret_value()),
    )
    if database != redis:
        raise ConfigInvalid(
            "Set both ECHOIC_DATABASE_URL and ECHOIC_REDIS_URL, or neither: then Echoic starts its own."
        )
    with ExitStack() as opened:
        if not database:
            stores = opened.enter_context(open_stores(folder))
            addresses = {
                "database_url": SecretStr(stores.database_url),
                "redis_url": SecretStr(stores.redis_url),
            }
            settings = settings.model_copy(update=addresses)
        settings = asyncio.run(with_stored(settings, embed_anew=embed_anew))
        settings = _with_graph_on(settings, folder, database) if every_graph else settings
        yield settings if database else opened.enter_context(_opened_graph(settings, folder))


@contextmanager
def _opened_graph(settings: MemorySettings, folder: Path) -> Iterator[MemorySettings]:
    """With the address of an embedded graph server, if the graph is on and none is named."""
    if settings.graph == "off" or _names_a_graph(settings):
        yield settings
        return
    with open_graph(folder) as url:
        yield settings.model_copy(update={"falkordb_url": SecretStr(url)})


def _with_graph_on(settings: MemorySettings, folder: Path, elsewhere: bool) -> MemorySettings:
    is_somewhere = _names_a_graph(settings) or (not elsewhere and holds_graph(folder))
    return settings.model_copy(update={"graph": "on"}) if is_somewhere else settings


def _names_a_graph(settings: MemorySettings) -> bool:
    return bool(settings.falkordb_url.get_secret_value() or settings.neo4j_url)


@contextmanager
def opened_model(settings: MemorySettings) -> Iterator[ModelChoice]:
    """The language model that is named or found, served while the block runs.

    Raises:
        ConfigInvalid, ModelUnavailable: what is named does not exist or does not answer.
    """
    folder = folder_of(settings.data_dir)
    with open_model(choose_model(settings, folder), folder) as choice:
        yield choice


def with_model(settings: MemorySettings, choice: ModelChoice) -> MemorySettings:
    """The settings as a worker needs them: with the chosen model, or with learning off if it is too weak."""
    if choice.kind == "quote":
        return settings
    if not choice.can_extract:
        return settings.model_copy(update={"extractor": "off"})
    return settings.model_copy(
        update={"llm_url": choice.url, "llm_api_key": SecretStr(choice.api_key), "llm_model": choice.model}
    )


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, if that is a terminal; called with what is done and what there is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
