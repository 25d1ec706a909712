"""The command line: each command opens what it needs, calls one function, and says what came of it."""

import asyncio
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar
from uuid import UUID

import typer
from dotenv import load_dotenv

from memory.errors import MemoryFault

if TYPE_CHECKING:
    from memory.service import Memory

T = TypeVar("T")
DEFAULT_USER = "me"

app = typer.Typer(
    name="echoic",
    help="A voice agent that remembers its callers. Start with `echoic talk`, or `echoic dev` to speak with it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
model_app = typer.Typer(help="The local language model.", no_args_is_help=True)
app.add_typer(model_app, name="model")

User = Annotated[str, typer.Option("--user", metavar="ID", help="Whose memory: any name or id, up to 200 characters.")]
DataDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the embedded stores, spool and models. Default: the user's data directory.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]


def main() -> None:
    """Run one command. Our faults end in one sentence on standard error and exit code 1, wrong usage in exit code 2."""
    if sys.platform == "win32":
        _fail("Windows itself is not supported: run Echoic in WSL 2, or on Linux or macOS.")
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - until the end
    load_dotenv(Path.cwd() / ".env")  # counts where the environment says nothing
    warnings.simplefilter("ignore")  # of other people's packages, between the words of a talk
    try:
        app()
    except MemoryFault as exc:
        _fail(str(exc))
    except OSError as exc:
        _fail(f"The system refused: {exc.strerror or type(exc).__name__}{f' ({exc.filename})' if exc.filename else ''}.")
    except Exception as exc:  # a defect: its text may hold somebody's words, so only its kind is shown
        if os.environ.get("ECHOIC_DEBUG"):
            raise
        _fail(f"Echoic met a fault it does not know ({type(exc).__name__}). ECHOIC_DEBUG=1 shows where; please report it.")


@app.callback(invoke_without_command=True)
def _options(show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if show_version:
        try:
            typer.echo(f"echoic {version('echoic')}")
        except PackageNotFoundError:
            typer.echo("echoic, from a source tree that is not installed")
        raise typer.Exit


@app.command()
def talk(user: User = DEFAULT_USER, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Talk to an agent that remembers you: typed here, or one line a turn through a pipe."""
    threading.Thread(target=_import_livekit, name="import", daemon=True).start()  # 3 s, which pass while the stores start
    from local.learner import learner_beside
    from local.opened import opened_model, opened_stores
    from memory.service import check_user_id

    check_user_id(user)
    with ExitStack() as stack:
        settings = stack.enter_context(opened_stores(data_dir, "talk"))
        choice = stack.enter_context(opened_model(settings))
        learning = stack.enter_context(learner_beside(os.path.abspath(__file__), settings, choice))
        from agent.config import load_agent_settings
        from agent.talk import converse
        from agent.terminal import Terminal, restored_terminal

        agent_settings = load_agent_settings()
        if choice.context_tokens is not None:
            shown = min(choice.context_tokens, agent_settings.context_tokens)
            agent_settings = agent_settings.model_copy(update={"context_tokens": shown})
        terminal = Terminal(quiet=as_json)
        for line in (f"You are “{user}”; --user NAME makes you somebody else.", choice.label, learning, "/help lists the commands."):
            terminal.hint(line)
        with restored_terminal():
            asyncio.run(converse(user, settings, agent_settings, choice, terminal, as_json=as_json))
        if terminal.interactive:
            terminal.stream("\n")  # the shell's prompt begins on a line of its own


@app.command()
def worker(
    data_dir: DataDir = None,
    burst: Annotated[bool, typer.Option("--burst", help="Learn what waits now, then stop.")] = False,
    until_eof: Annotated[bool, typer.Option("--until-eof", hidden=True, help="Stop when standard input ends.")] = False,
) -> None:
    """Learn facts from what was said, in the background, until stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from local.learner import standard_input_ended
    from local.models import ONE_AT_A_TIME
    from local.opened import opened_model, opened_stores, with_model

    with opened_stores(data_dir, "worker") as settings, opened_model(settings) as choice:
        from workers.main import run_worker

        typer.echo(choice.label if choice.can_extract else f"No facts are learned ({choice.why_not}); turns are only indexed.", err=True)
        settings = with_model(settings, choice)

        async def work() -> None:
            if until_eof and choice.kind in ONE_AT_A_TIME:
                await standard_input_ended()
            ended = standard_input_ended() if until_eof else None
            await run_worker(settings, burst=burst, until=ended)

        asyncio.run(work())


@app.command()
def dev(
    data_dir: DataDir = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page to join by; 0 takes a free one.")] = 0,
) -> None:
    """Take calls on this machine: stores, LiveKit server, agent and worker, until Ctrl-C. Prints how to join."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from local.dev import run_dev

    run_dev(os.path.abspath(__file__), data_dir, port, typer.echo)


@app.command()
def memories(
    user: User,
    as_json: AsJson = False,
    include_closed: Annotated[bool, typer.Option("--all", help="Also facts that are no longer true.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show what is remembered about one person."""

    async def read(memory: "Memory") -> tuple[Any, Any]:
        return await memory.facts.list(user, include_closed=include_closed), await memory.turns.list(user)

    facts, turns = _with_memory(data_dir, user, read)
    if as_json:
        from memory.account import fact_as_json, turn_as_json

        _print_json({"facts": [fact_as_json(fact) for fact in facts], "turns": [turn_as_json(turn) for turn in turns]})
    else:
        from agent.told import memories_lines
        from memory.config import load_settings

        for line in memories_lines(facts, turns, user, load_settings().timezone):
            typer.echo(line)


@app.command()
def graph(
    user: User,
    at: Annotated[str, typer.Option(metavar="DATE", help="As it was then, for instance 2026-03-31.")] = "",
    as_json: AsJson = False,
    dot: Annotated[bool, typer.Option("--dot", help="Print a picture for Graphviz: `echoic graph … --dot | dot -Tsvg`.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show who and what belongs to one person, and how, now or at an earlier time."""
    if as_json and dot:
        raise typer.BadParameter("--json or --dot, not both.")
    from local.graph_command import graph_text

    _print(graph_text(user, at, data_dir, "json" if as_json else "dot" if dot else "table"))


@app.command()
def export(user: User, as_json: AsJson = True, data_dir: DataDir = None) -> None:
    """Print everything that every store holds about one person, as JSON."""
    from memory.account import export_user

    _print_json(_with_memory(data_dir, user, lambda memory: export_user(memory, user), every_graph=True))


@app.command()
def erase(
    user: User,
    as_json: AsJson = False,
    shred: Annotated[bool, typer.Option("--shred", help="Embedded stores: also rewrite the files, so that no raw trace is left.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Erase one person from every store, for good."""
    if sys.stdin.isatty() and not yes:
        typer.confirm(f"Everything about “{user}” will be erased and cannot be brought back. Go on?", abort=True)
    report = _with_memory(data_dir, user, lambda memory: _erase(memory, user, shred), every_graph=True)
    if as_json:
        _print_json(report)
    else:
        known = f"{report['turns']} turns and {report['facts']} facts{' and the graph' if report['graphs'] else ''} of “{user}”"
        typer.echo(f"Erased {known}{', and rewrote the files' if shred else ''}.")
        for sentence in report["unfinished"]:
            typer.echo(sentence, err=True)
    if report["unfinished"]:
        raise typer.Exit(1)


@app.command()
def flush(
    user: User,
    wait: Annotated[bool, typer.Option("--wait", help="Learn here, and return when it is done; else a worker is told to hurry.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Learn what one person said, now rather than later."""
    from workers.flush import flush_user

    typer.echo(_with_memory(data_dir, user, lambda memory: flush_user(memory, user, wait=wait), learns=True))


@app.command()
def jobs(
    rerun: Annotated[str, typer.Option(metavar="ID", help="Try a failed batch again: its id, or `all`.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List what could not be learned, or not enter the graph, and try it again."""
    from memory.batches import dead

    if rerun:
        batch_id = _batch_id(rerun)
        users = _with_memory(data_dir, None, lambda memory: _rerun(memory, batch_id))
        typer.echo(f"Open again: what {len(users)} user{'' if len(users) == 1 else 's'} said; a worker takes it next.")
        return
    batches = _with_memory(data_dir, None, lambda memory: dead(memory.db))
    if as_json:
        _print_json([asdict(batch) for batch in batches])
        return
    for batch in batches:
        what = f"{batch.turns} turns" if batch.kind == "learn" else f"{batch.turns} facts or turns for the graph"
        typer.echo(f"{batch.batch_id}  {batch.finished_at:%d %b %Y %H:%M}  user {batch.user_id}, {what}: {batch.error}")
    typer.echo(f"{len(batches)} failed for good.")


@app.command()
def reembed(data_dir: DataDir = None) -> None:
    """Embed everything again after the embedding model was changed; can be stopped and continued."""
    from local.opened import opened_stores, progress_bar

    with opened_stores(data_dir, "reembed") as settings:
        from memory.reembed import reembed_all

        with progress_bar("Embedding") as on_progress:
            count = asyncio.run(reembed_all(settings, on_progress))
        typer.echo(f"{count} texts embedded with {settings.embedding_model}.")


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database up to this version's schema."""
    from local.opened import opened_stores

    with opened_stores(data_dir, "migrate") as settings:
        from memory.migrate import migrate as run

        typer.echo(f"The database is at schema {asyncio.run(run(settings.database_url.get_secret_value()))}.")


@app.command()
def backup(target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")], data_dir: DataDir = None) -> None:
    """Write the embedded stores, spool included, into one file."""
    from local.backup import backup as run
    from local.opened import folder_of

    typer.echo(f"Written to {run(folder_of(data_dir), target)}.")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `echoic backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what the data folder remembers now.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a data folder from a backup; one that remembers something is refused."""
    from local.backup import restore as run
    from local.opened import folder_of

    run(source, folder_of(data_dir), force=force)
    typer.echo(f"Restored into {folder_of(data_dir)}.")


@app.command()
def doctor(data_dir: DataDir = None) -> None:
    """Say what is in use, whether it answers, and what to do if not."""
    from local.doctor import run_doctor

    if not run_doctor(data_dir, typer.echo):
        raise typer.Exit(1)


@model_app.command("pull")
def model_pull(data_dir: DataDir = None) -> None:
    """Download a local language model (Qwen2.5, 1.1 GB): resumable, checked by its SHA-256."""
    from local.model_files import pull
    from local.opened import folder_of, progress_bar

    with progress_bar("Downloading") as on_progress:
        path = pull(folder_of(data_dir), on_progress)
    typer.echo(f"The model is at {path}; `echoic talk` uses it from now on.")


def _with_memory(
    data_dir: Path | None, user: str | None, work: "Callable[[Memory], Awaitable[T]]", *, learns: bool = False, every_graph: bool = False
) -> T:
    """Open what `work` needs, do it, and close it; `learns` opens the language model too, `every_graph` one that is turned off."""
    with ExitStack() as stack:
        from local.opened import opened_model, opened_stores, with_model
        from memory.service import check_user_id, open_memory

        if user is not None:
            check_user_id(user)
        settings = stack.enter_context(opened_stores(data_dir, "commands", every_graph=every_graph))
        if learns:
            settings = with_model(settings, stack.enter_context(opened_model(settings)))

        async def run() -> T:
            async with open_memory(settings) as memory:
                return await work(memory)

        return asyncio.run(run())


def _batch_id(name: str) -> UUID | None:
    try:
        return None if name == "all" else UUID(name)
    except ValueError as exc:
        raise typer.BadParameter(f"{name!r} is no batch id; `echoic jobs` lists them.") from exc


async def _rerun(memory: "Memory", batch_id: UUID | None) -> list[str]:
    from memory.batches import rerun

    users = await rerun(memory.db, batch_id)
    for user_id in users:
        await memory.jobs.enqueue_learn(user_id, hurry=True)
    return users


async def _erase(memory: "Memory", user: str, shred: bool) -> dict[str, Any]:
    from memory.account import erase_user

    report = asdict(await erase_user(memory, user))
    if shred:
        from local.shred import shred as rewrite

        await rewrite(memory.settings)
    return report | {"erased_at": report["erased_at"].isoformat()}


def _import_livekit() -> None:
    try:
        import livekit.agents  # noqa: F401
    except ImportError:
        return  # said again, where it is needed


def _print_json(value: Any) -> None:
    _print(json.dumps(value, ensure_ascii=False, default=str))


def _print(text: str) -> None:
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    print(text)


def _fail(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
