"""Commands that take calls: talk, dev, run, worker."""

import asyncio
import signal
import sys
import threading
from contextlib import ExitStack, suppress
from typing import Annotated

import typer

from echoic.commands.options import DEFAULT_USER, AsJson, DataDir, User


def talk(user: User = DEFAULT_USER, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Talk to an agent that remembers you: typed, or through a pipe."""
    # 3 s, which pass while the stores start
    threading.Thread(target=_get_ready, name="import", daemon=True).start()
    from echoic.local.command_resources import opened_model, opened_stores
    from echoic.local.dev.background_worker import learner_beside
    from echoic.memory.identity.ids import check_user_id

    check_user_id(user)
    with ExitStack() as stack:
        settings = stack.enter_context(opened_stores(data_dir, "talk"))
        choice = stack.enter_context(opened_model(settings))
        learning = stack.enter_context(learner_beside(settings, choice))
        from echoic.agent.config import load_agent_settings
        from echoic.agent.terminal.talk import converse
        from echoic.agent.terminal.terminal import Terminal, restored_terminal

        agent_settings = load_agent_settings()
        if choice.context_tokens is not None:
            shown = min(choice.context_tokens, agent_settings.context_tokens)
            agent_settings = agent_settings.model_copy(update={"context_tokens": shown})
        terminal = Terminal(quiet=as_json)
        for line in (
            f"You are “{user}”; --user NAME makes you somebody else.",
            choice.label,
            learning,
            "/help lists the commands.",
        ):
            terminal.hint(line)
        with restored_terminal():
            asyncio.run(converse(user, settings, agent_settings, choice, terminal, as_json=as_json))
        if terminal.interactive:
            terminal.stream("\n")  # the shell's prompt begins on a line of its own


def run(
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND", help="What to run, such as `python src/agent.py dev`."),
    ],
    data_dir: DataDir = None,
) -> None:
    """Run an agent of your own beside stores that remember."""
    from echoic.local.dev.run_command import run_command

    raise typer.Exit(run_command(command, data_dir, lambda line: typer.echo(line, err=True)))


def worker(
    data_dir: DataDir = None,
    burst: Annotated[bool, typer.Option("--burst", help="Learn what waits now, then stop.")] = False,
    until_eof: Annotated[
        bool, typer.Option("--until-eof", hidden=True, help="Stop when standard input ends.")
    ] = False,
) -> None:
    """Learn facts in the background, until stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while _work(data_dir, burst, until_eof):
        typer.echo("Other settings count now.", err=True)


def _work(data_dir: DataDir, burst: bool, until_eof: bool) -> bool:
    """Work with the settings of now; returns whether others count since."""
    from echoic.local.command_resources import opened_model, opened_stores, with_model
    from echoic.local.dev.background_worker import standard_input_ended
    from echoic.local.llm.models import ONE_AT_A_TIME

    with opened_stores(data_dir, "worker") as settings, opened_model(settings) as choice:
        from echoic.memory.settings.overrides import wait_changed
        from echoic.workers.main import run_worker

        typer.echo(
            choice.label
            if choice.can_extract
            else f"No facts are learned ({choice.why_not}); turns are only indexed.",
            err=True,
        )

        async def work() -> bool:
            if until_eof and choice.kind in ONE_AT_A_TIME:
                await standard_input_ended()
            ended = standard_input_ended() if until_eof else None
            changed = None if until_eof or burst else wait_changed(settings)
            return await run_worker(with_model(settings, choice), burst=burst, until=ended, changed=changed)

        return asyncio.run(work())


def dev(
    data_dir: DataDir = None,
    port: Annotated[
        int,
        typer.Option(
            metavar="PORT", min=0, max=65535, help="Port of the page to join by; 0 takes a free one."
        ),
    ] = 0,
) -> None:
    """Take calls on this machine, until Ctrl-C.

    Starts stores, LiveKit server, agent and worker, and prints how to join.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from echoic.local.dev.command import run_dev

    run_dev(data_dir, port, typer.echo)


def _get_ready() -> None:
    from echoic.agent.commands.warm import warm

    warm()
    with suppress(ImportError):  # said again, where it is needed
        import livekit.agents  # noqa: F401
