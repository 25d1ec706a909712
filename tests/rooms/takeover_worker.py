"""An agent worker for tests of takeover: all of it real, only the model and the voice are scripted.

Run by `tests.rooms.worker.agent_worker(…, entry="tests/rooms/takeover_worker.py")`.
"""

import asyncio
import os
import signal
from contextlib import AsyncExitStack

from livekit.agents import AgentServer, AgentSession, JobContext, llm

from echoic.agent.assistant import MemoryAgent
from echoic.agent.call.call import Call
from echoic.agent.call.capture import Capture
from echoic.agent.call.registry import attach
from echoic.agent.livekit_api import start_session
from echoic.agent.takeover.call_lease import CallTaken
from echoic.agent.takeover.lease_thread import hold
from echoic.agent.takeover.rescue import watching
from echoic.agent.takeover.resume import context_of, resume_conversation
from echoic.memory.config import load_settings
from echoic.memory.embedding.client import embedding_ready, open_shared_embedder
from echoic.memory.observe.logs import protect
from echoic.memory.service import open_memory
from echoic.memory.types import Caller
from tests.fake_llm import FakeLLM
from tests.tones import ToneTTS

BACK = "Sorry, we were cut off for a moment. I am back."
STORY_WORDS = 250  # 20 s


class Echo(FakeLLM):
    """Says how often the caller spoke, and what; "die" kills its process, "story" gets a long answer."""

    def reply(self, context: llm.ChatContext) -> str:
        said = _said(context)
        return (
            " ".join(["la"] * STORY_WORDS)
            if said[-1:] == ["story"]
            else f"You said {len(said)}: " + " / ".join(said)
        )

    async def think(self, context: llm.ChatContext) -> None:
        if _said(context)[-1:] == ["die"]:
            await asyncio.sleep(1.0)  # the words are stored by then
            os.kill(os.getpid(), signal.SIGKILL)


def _said(context: llm.ChatContext) -> list[str]:
    messages = [item for item in context.items if item.type == "message" and item.role == "user"]
    return [(message.text_content or "").rpartition("</memory>")[2].strip() for message in messages]


class Server(AgentServer):
    """As `echoic.agent.worker.server.EchoicServer`: it watches the calls of all workers, and shares one
    embedding model with them."""

    async def run(self, *, devmode: bool = False, unregistered: bool = False) -> None:
        protect()
        settings = load_settings()
        async with embedding_ready(settings), watching(self, settings.redis_url.get_secret_value()):
            await super().run(devmode=devmode, unregistered=unregistered)


server = Server(
    preload_modules=["echoic.agent.worker.server", "echoic.agent.worker.preloaded"],
    num_idle_processes=1,
    load_fnc=lambda: 0.0,
    host="127.0.0.1",
    port=0,
    initialize_process_timeout=60.0,
)


async def hang_up(job: JobContext) -> None:
    if job.proc.userdata.get("call"):
        await job.proc.userdata["call"].hang_up()


@server.rtc_session(on_session_end=hang_up)
async def entrypoint(job: JobContext) -> None:
    settings = load_settings()
    try:
        lease = await hold(job, settings.redis_url.get_secret_value())
    except CallTaken:
        job.shutdown("another agent has this call")
        return
    opened = AsyncExitStack()
    job.add_shutdown_callback(opened.aclose)
    memory = await opened.enter_async_context(
        open_memory(settings, embedder=open_shared_embedder(settings), need_stores=False)
    )
    await job.connect()
    participant = await job.wait_for_participant()
    call_memory = await memory.open_call(Caller(participant.identity, settings.agent_id, lease.call_id))
    call = job.proc.userdata["call"] = Call(call_memory)
    call.capture = await opened.enter_async_context(Capture(call_memory))
    session = AgentSession(llm=Echo(), tts=ToneTTS(), vad=None, turn_handling={"turn_detection": None})
    attach(session, call)
    session.on("close", lambda _: job.shutdown("the call ended"))
    agent = MemoryAgent(instructions="be brief", context_tokens=10_000)
    before = context_of(call_memory.recent) if lease.resumed else None
    await start_session(session, agent, before, room=job.room, record=False)
    if lease.resumed:
        resume_conversation(session, call_memory.recent, BACK)
