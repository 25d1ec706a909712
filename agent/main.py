"""The LiveKit worker: for each call it opens memory, wires it to a session, and closes both in order.

Run it with `python -m livekit.agents start agent/main.py`. It never starts stores of its own.
"""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack

from livekit.agents import AgentServer, AgentSession, JobContext, JobProcess, inference

from agent.assistant import MemoryAgent
from agent.capture import Capture
from agent.config import AgentSettings, load_agent_settings
from agent.model import address_of, connect_options, open_llm
from agent.pauses import settle_collector
from agent.text_call import CallData
from memory.config import MemorySettings, load_settings
from memory.embed import open_embedder
from memory.errors import ConfigInvalid, MemoryFault
from memory.logs import protect
from memory.service import open_memory
from memory.types import Caller

STORES = ("ECHOIC_DATABASE_URL", "ECHOIC_REDIS_URL", "ECHOIC_DATA_DIR")
SPEECH = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY")


class EchoicServer(AgentServer):
    """LiveKit's server, which stops with a sentence instead of a traceback when it cannot work."""

    async def run(self, *, devmode: bool = False, unregistered: bool = False) -> None:
        """Serve calls until told to stop.

        Raises:
            SystemExit: a setting is missing or wrong; its text says which.
        """
        protect()
        try:
            check(os.environ)
            await super().run(devmode=devmode, unregistered=unregistered)
        except (MemoryFault, ValueError) as exc:  # LiveKit says by ValueError that its own address or key is missing
            asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # the sentence is enough
            raise SystemExit(str(exc)) from exc


def check(env: Mapping[str, str]) -> None:
    """Raises ConfigInvalid unless everything that a call needs is set."""
    if missing := [name for name in (*STORES, *SPEECH) if not env.get(name)]:
        raise ConfigInvalid(f"Not set: {', '.join(missing)}. The agent needs them; `echoic talk` is the way to try Echoic without.")
    load_agent_settings()
    address_of(load_settings())


def prewarm(process: JobProcess) -> None:
    """Before the first call of a process: load the embedding model (0.3 s). No connections yet, there is no loop."""
    protect()
    process.userdata["embedder"] = open_embedder(load_settings())
    settle_collector()


server = EchoicServer(setup_fnc=prewarm)


async def hang_up(job: JobContext) -> None:
    """After the last words of a call: they are durable, and their learning is enqueued, before the process may end."""
    data: CallData = job.primary_session.userdata
    await data.capture.drained()
    await data.call_memory.end()


@server.rtc_session(on_session_end=hang_up)
async def entrypoint(job: JobContext) -> None:
    """One call: who is there, what is known, and the session. Postgres may be down: the call goes on without it."""
    settings, agent_settings = load_settings(), load_agent_settings()
    opened = AsyncExitStack()
    job.add_shutdown_callback(opened.aclose)
    memory = await opened.enter_async_context(open_memory(settings, embedder=job.proc.userdata["embedder"], need_stores=False))
    await job.connect()
    participant = await job.wait_for_participant()
    caller = Caller(participant.identity, settings.agent_id, job.job.room.sid, settings.timezone)  # a name may come again, a sid not
    call_memory = await memory.open_call(caller)
    capture = await opened.enter_async_context(Capture(call_memory))
    session = speaking_session(settings, agent_settings, CallData(call_memory, capture))
    capture.listen(session)
    session.on("close", lambda _: job.shutdown("the call ended"))  # else the server waits 20 s for the caller to come back
    await session.start(greeter(agent_settings), room=job.room, record=False)


def greeter(settings: AgentSettings) -> MemoryAgent:
    """The agent that takes the call."""
    return MemoryAgent(instructions=settings.instructions, context_tokens=settings.context_tokens, greet_on_return=settings.greet_on_return)


def speaking_session(settings: MemorySettings, agent_settings: AgentSettings, data: CallData) -> AgentSession[CallData]:
    """A session with ears and a mouth. Voice activity and turn detection run here: no audio goes to LiveKit's cloud."""
    from livekit.plugins import deepgram, openai

    return AgentSession(
        stt=deepgram.STT(),
        llm=open_llm(address_of(settings)),
        tts=openai.TTS(),
        vad=inference.VAD(model="silero"),
        turn_handling={"turn_detection": inference.TurnDetector(version="v1-mini"), "interruption": {"mode": "vad"}},
        userdata=data,
        conn_options=connect_options(agent_settings),
    )
