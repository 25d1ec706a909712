"""Which call a session belongs to. Nothing of a call is kept on an agent: one agent may serve many calls."""

from typing import Any
from weakref import WeakKeyDictionary

from echoic.agent.call.call import Call
from echoic.agent.call.prefetch import Prefetch

_calls: WeakKeyDictionary[Any, Call] = WeakKeyDictionary()


def bind(session: Any, call: Call) -> None:
    """This session is this call from now on: its replies are given the call's memory."""
    _calls[session] = call


def attach(session: Any, call: Call, prefetch: Prefetch | None = None) -> None:
    """As `bind`; the session's words are stored, looked up ahead and logged too."""
    bind(session, call)
    session.on("speech_created", call.on_speech)
    for listener in (call.capture, prefetch, call.turn_log):
        if listener is not None:
            listener.listen(session)


def detach(session: Any) -> None:
    """The session is remembered no longer; its call stays as it is."""
    _calls.pop(session, None)


def call_of(session: Any) -> Call | None:
    """The session's call; None for a session that is not remembered."""
    return _calls.get(session) if session is not None else None
