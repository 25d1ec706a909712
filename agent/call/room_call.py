"""One call in a room: who is there, what is known, and the session that hears and speaks."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from livekit import rtc
from livekit.agents import AgentSession, JobContext
from livekit.agents.voice.room_io import RoomOptions

from echoic.agent.assistant import MemoryAgent
from echoic.agent.call.call import Call
from echoic.agent.call.callers import Callers
from echoic.agent.call.capture import Capture
from echoic.agent.call.key_terms import KeyTerms
from echoic.agent.call.prefetch import Prefetch
from echoic.agent.call.registry import attach
from echoic.agent.call.telemetry import open_tracing
from echoic.agent.call.turn_log import TurnLog
from echoic.agent.config import AgentSettings
from echoic.agent.identity.identity import CONSOLE_USER, Identified, Rules
from echoic.agent.livekit_api import start_session
from echoic.agent.model import address_of, calls_tools, connect_options, open_llm
from echoic.agent.speech import Outages, Speech, open_vad, turn_handling
from echoic.agent.takeover.lease import lease_name
from echoic.agent.takeover.lease_thread import LeaseThread
from echoic.agent.takeover.resume import context_of, resume_conversation
from echoic.memory.identity.phone import open_phone_key
from echoic.memory.service import Memory, spool_folder


@dataclass(slots=True)
class RoomCall:
    """An open call; made by `open_room_call`."""

    call: Call
    prefetch: Prefetch
    callers: Callers | None
    lease: LeaseThread
    _participant: rtc.RemoteParticipant
    _settings: AgentSettings
    _memory: Memory

    async def start(self, job: JobContext, speech: Speech) -> None:
        """Hear and answer from now on; go on with the conversation if another agent began it."""
        session = speaking_session(self._memory, self._settings, speech)
        attach(session, self.call, self.prefetch)
        KeyTerms(session, self.call)
        Outages(session)
        # else the server waits 20 s for the caller to come back
        session.on("close", lambda _: job.shutdown("the call ended"))
        job.add_shutdown_callback(open_tracing(self._memory.settings))
        recent = self.call.call_memory.recent
        # the one who was heard when the agent before died, and not whoever else is in the room
        link = (
            RoomOptions(participant_identity=self._participant.identity)
            if self.lease.resumed
            else RoomOptions()
        )
        before = context_of(recent) if self.lease.resumed else None
        await start_session(session, self._agent(), before, room=job.room, room_options=link, record=False)
        gc.freeze()  # what the session is made of: a collection that walks it stops the call for 50 ms
        if self.callers is not None:
            self.callers.follow(session, self.call)
        if self.lease.resumed:
            resume_conversation(session, recent, self._settings.takeover_message)

    async def hang_up(self) -> None:
        """Everything heard is durable, its learning is enqueued, and the last turn is in the log."""
        await self.call.hang_up()

    def _agent(self) -> MemoryAgent:
        settings = self._settings
        return MemoryAgent(
            instructions=settings.instructions,
            context_tokens=settings.context_tokens,
            greet_on_return=settings.greet_on_return and not self.lease.resumed,
        )


@asynccontextmanager
async def open_room_call(
    job: JobContext,
    memory: Memory,
    settings: AgentSettings,
    participant: rtc.RemoteParticipant,
    lease: LeaseThread,
) -> AsyncIterator[RoomCall]:
    """Find out who is calling, and load what is known about them; not started yet.

    Args:
        lease: of this call; one that was resumed says which call goes on, and who had been confirmed in it.
    """
    participant = _heard_before(job, lease) or participant
    callers = None if job.is_fake_job() else Callers(job.room, _rules(memory, settings), job.job.metadata)
    who = (
        callers.identify(participant)
        if callers is not None
        else Identified(CONSOLE_USER, "application", proven=True, persistent=True)
    )
    who = _confirmed_before(lease, participant) or who
    caller = who.caller(memory.settings.agent_id, lease.call_id, memory.settings.timezone)
    call_memory, shows_tools = await asyncio.gather(
        memory.open_call(caller, persistent=who.persistent),
        calls_tools(memory, address_of(memory.settings), settings.model_tools),
    )
    async with Capture(call_memory) as capture:
        call = Call(
            call_memory,
            who,
            keep_before_confirmed=settings.keep_before_confirmed,
            shows_tools=shows_tools,
        )
        call.capture, prefetch = capture, Prefetch(call)
        call.turn_log = TurnLog(call, prefetch)
        if callers is not None:
            call.on_changed.append(lambda _: _note_heard(call, lease, callers.heard))
            _note_heard(call, lease, participant.identity)
        yield RoomCall(call, prefetch, callers, lease, participant, settings, memory)


def speaking_session(memory: Memory, settings: AgentSettings, speech: Speech) -> AgentSession:
    """A session with ears and a mouth.

    Voice activity and turn detection run here: no audio goes to LiveKit's cloud.
    """
    return AgentSession(
        stt=speech.stt(),
        llm=open_llm(address_of(memory.settings)),
        tts=speech.tts(),
        vad=open_vad(),
        turn_handling=turn_handling(settings),
        conn_options=connect_options(settings),
    )


def _rules(memory: Memory, settings: AgentSettings) -> Rules:
    return Rules.of(settings, open_phone_key(settings, spool_folder(memory.settings).parent))


def _note_heard(call: Call, lease: LeaseThread, identity: str) -> None:
    """Should this agent die, the next one cannot find out whom it heard, and what the application had said of
    them."""
    who = call.identified
    told = who.user_id if who.how == "application" and who.persistent else ""
    call.in_background(lease.note(user_id=told, participant=_hashed(identity)), "call.note")


def _heard_before(job: JobContext, lease: LeaseThread) -> rtc.RemoteParticipant | None:
    """Whom the agent before this one heard, if they are still there."""
    if not lease.resumed:
        return None
    heard = lease.notes.get("participant")
    return next(
        (one for one in job.room.remote_participants.values() if _hashed(one.identity) == heard), None
    )


def _confirmed_before(lease: LeaseThread, participant: rtc.RemoteParticipant) -> Identified | None:
    notes = lease.notes
    if lease.resumed and notes.get("user_id") and notes.get("participant") == _hashed(participant.identity):
        return Identified(notes["user_id"], "application", proven=True, persistent=True)
    return None


def _hashed(identity: str) -> str:
    """It may hold a phone number."""
    return lease_name(os.environ.get("LIVEKIT_API_SECRET", ""), identity, "participant")
