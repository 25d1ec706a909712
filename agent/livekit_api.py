"""What differs between livekit-agents 1.5 and 2.0, and the private names that Echoic needs of either.

The rest of `agent` names no version. `make test-livekits` runs the same agents on five of them.
"""

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

import livekit.agents
from livekit.agents import Agent, llm
from livekit.agents.voice import SpeechHandle, agent_activity, room_io

from echoic.memory.errors import ConfigInvalid

LiveSession = getattr(livekit.agents, "LiveSession", livekit.agents.AgentSession)
"""The session's class: `AgentSession` until 1.8, `LiveSession` since 2.0."""
OLDEST, TOO_NEW = (1, 5), (3, 0)


def check_version(installed: str | None = None) -> None:
    """Raises ConfigInvalid, with a sentence, unless this livekit-agents is one that Echoic was tried with."""
    found = installed or version("livekit-agents")
    if not OLDEST <= tuple(int(part) for part in found.split(".")[:2]) < TOO_NEW:
        raise ConfigInvalid(
            f"Echoic works with livekit-agents 1.5 to 2.x, and {found} is installed: "
            "`pip install 'livekit-agents>=1.5,<3'`."
        )


def current_session(agent: Agent) -> Any:
    """The session on whose behalf this code runs; None outside of one.

    One agent may serve several sessions (since 2.0): which of them is meant is known by the task alone.
    """
    activity = agent_activity._AgentActivityContextVar.get(None)
    if (session := getattr(activity, "session", None)) is not None:
        return session
    with contextlib.suppress(RuntimeError):
        return agent.session
    return None


def current_speech() -> SpeechHandle | None:
    """The reply that this code makes, or that called the tool it runs in; None outside of one."""
    return agent_activity._SpeechHandleContextVar.get(None)


def conversation_of(session: Any) -> list[llm.ChatItem]:
    """The items that the session's agent works on, as a list of our own."""
    return list(_items(session))


def said_by(agent: Agent) -> set[str]:
    """Ids of the messages that an agent object still holds; none since 2.0, where sessions hold them."""
    if not hasattr(agent, "update_chat_ctx"):
        return set()
    held = (
        item for item in agent.chat_ctx.items if item.type != "message" or item.role in ("user", "assistant")
    )
    return {item.id for item in held}


def unsaid(session: Any, items: Sequence[llm.ChatItem], since: datetime) -> frozenset[str]:
    """Ids of what an application has put into a reply's context in its agent's name, as LiveKit shows it for
    what was looked up: the session has not said it. What is older than the session may have been said."""
    said, began = {item.id for item in session.history.items}, since.timestamp()
    return frozenset(item.id for item in items if item.id not in said and item.created_at >= began)


async def take_out(session: Any, is_gone: Callable[[llm.ChatItem], bool]) -> None:
    """Remove items from the conversation that LiveKit keeps and hands from agent to agent."""
    agent = session.current_agent
    if hasattr(agent, "update_chat_ctx"):  # until 1.8 each agent has its own
        context = agent.chat_ctx.copy()
        context.items = [item for item in context.items if not is_gone(item)]
        await agent.update_chat_ctx(context)
    else:
        items = _items(session)
        items[:] = [item for item in items if not is_gone(item)]
    session.history.items[:] = [item for item in session.history.items if not is_gone(item)]


async def start_session(session: Any, agent: Agent, context: llm.ChatContext | None, **options: Any) -> None:
    """Start a session whose conversation began before: until 1.8 the agent is made with it, since 2.0 the
    session is given it."""
    if context is not None and hasattr(agent, "update_chat_ctx"):
        await agent.update_chat_ctx(context)
    elif context is not None:
        options["chat_ctx"] = context
    await session.start(agent, **options)


def room_io_of(session: Any) -> room_io.RoomIO | None:
    """What joins the session to its room; None for a session without one."""
    try:
        found: room_io.RoomIO = session.room_io
    except (AttributeError, RuntimeError):
        return None
    return found


def takes_key_terms(session: Any) -> bool:
    """Whether the session's ears can be told which words to expect: since livekit-agents 1.8, by some
    providers."""
    ears = getattr(session, "stt", None)
    with contextlib.suppress(RuntimeError):  # not started
        ears = session.current_agent.stt or ears
    return hasattr(session, "keyterms") and getattr(getattr(ears, "capabilities", None), "keyterms", False)


def realtime_session(session: Any) -> llm.RealtimeSession | None:
    """The model session of an agent that has no `llm_node`: speech goes in, and speech comes out."""
    return getattr(getattr(session, "_activity", None), "realtime_llm_session", None)


def realtime_instructions(session: Any) -> str:
    """What the session's agent tells its speech-to-speech model: `Instructions` in the model's own way."""
    told = getattr(session._activity, "_render_realtime_instructions", str)
    return str(told(session.current_agent.instructions))


def cpu_share(interval_s: float) -> float:
    """Share of this machine's or container's processors that was in use during the next `interval_s`."""
    try:
        from livekit.agents.utils.hw import get_cpu_monitor
    except ImportError:  # 2.0 measures in its Rust core and shows nobody
        import psutil

        return float(psutil.cpu_percent(interval_s)) / 100
    return get_cpu_monitor().cpu_percent(interval_s)


def _items(session: Any) -> list[llm.ChatItem]:
    try:
        agent = session.current_agent
    except RuntimeError:
        return []  # not started, or over
    if hasattr(agent, "update_chat_ctx"):
        return list(agent.chat_ctx.items)
    activity = getattr(session, "_activity", None)
    items: list[llm.ChatItem] = (getattr(activity, "_chat_ctx", None) or session.history).items
    return items
