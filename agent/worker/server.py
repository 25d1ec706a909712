"""The LiveKit worker: it takes calls, and opens, wires and closes what each of them needs.

Run it with `python -m livekit.agents start agent/main.py`, or `python agent/main.py dev|start|console`. It
never starts stores of its own.
"""

import asyncio
import logging
import math
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial

from livekit.agents import JobContext, JobProcess
from livekit.agents.worker import ServerEnvOption

# LiveKit takes plugins in the main thread only, and `console` runs calls in others; 1.3 s and 23 MB
from livekit.plugins import deepgram, openai  # noqa: F401

from echoic.agent.call.room_call import RoomCall, open_room_call
from echoic.agent.commands.memory_tools import carry_out_last_words
from echoic.agent.config import AgentSettings, load_agent_settings
from echoic.agent.model import address_of
from echoic.agent.speech import check_speech, choose_speech, open_speech
from echoic.agent.takeover.call_lease import CallTaken
from echoic.agent.takeover.lease_thread import hold
from echoic.agent.takeover.rescue import watching
from echoic.agent.worker.gc_tuning import freeze_gc
from echoic.agent.worker.health import HealthyServer
from echoic.agent.worker.load import Load
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.embedding.client import embedding_ready, open_shared_embedder
from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.identity.phone import open_phone_key
from echoic.memory.observe.logs import protect
from echoic.memory.observe.metrics import count_refused
from echoic.memory.observe.scrape import serve_metrics
from echoic.memory.service import open_memory, spool_folder
from echoic.memory.settings.overrides import CALL_S, with_stored

log = logging.getLogger("echoic.worker")

STORES = ("ECHOIC_DATABASE_URL", "ECHOIC_REDIS_URL", "ECHOIC_DATA_DIR")
START_S = 60.0
"""Longest a call process may take to start: 4-6 s on an idle machine, LiveKit's 10 s are too few on a busy
one."""
HELD, SPEECH, CALL = "held", "speech", "call"
"""What a call process keeps in its userdata."""


class EchoicServer(HealthyServer):
    """LiveKit's server, which stops with a sentence instead of a traceback when it cannot work."""

    async def run(self, *, devmode: bool = False, unregistered: bool = False) -> None:
        """Serve calls until told to stop.

        Raises:
            SystemExit: a setting is missing or wrong; its text says which.
        """
        protect()
        load.never_refuse = devmode
        try:
            settings, agent_settings = check(os.environ)
            settings = await with_stored(settings)
            address_of(settings)  # the model may be named in the environment, or over the API
            load.limit = agent_settings.max_load
            async with shared(self, settings, agent_settings):
                await super().run(devmode=devmode, unregistered=unregistered)
        # LiveKit says by ValueError that its own address or key is missing
        except (
            MemoryFault,
            ValueError,
        ) as exc:
            # the sentence is enough
            asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
            raise SystemExit(str(exc)) from exc


def check(env: Mapping[str, str]) -> tuple[MemorySettings, AgentSettings]:
    """The settings of a worker.

    Raises:
        ConfigInvalid: something that a call needs is not set, or wrong.
    """
    if missing := [name for name in STORES if not env.get(name)]:
        raise ConfigInvalid(
            f"Not set: {', '.join(missing)}. The agent needs them; `echoic dev` brings stores of its own."
        )
    settings, agent_settings = load_settings(), load_agent_settings()
    choose_speech(agent_settings, env)
    open_phone_key(agent_settings, spool_folder(settings).parent)
    return settings, agent_settings


@asynccontextmanager
async def shared(
    server: EchoicServer, settings: MemorySettings, agent_settings: AgentSettings
) -> AsyncIterator[None]:
    """What the calls of a worker share: one embedding model, one set of local voices, metrics, and the watch
    over lost calls.

    Raises:
        ConfigInvalid, ModelUnavailable: something cannot work here; the sentence says what.
    """
    if warning := await check_speech(agent_settings):
        log.warning("speech.unsure", extra={"reason": warning})
    async with AsyncExitStack() as opened:
        opened.enter_context(serve_metrics(settings.metrics_host, settings.metrics_port, children=True))
        voices = ExitStack()
        await asyncio.to_thread(voices.enter_context, open_speech(agent_settings, settings.data_dir))
        # its last user waits for the servers to end
        opened.push_async_callback(asyncio.to_thread, voices.close)
        await opened.enter_async_context(embedding_ready(settings))
        await opened.enter_async_context(watching(server, settings.redis_url.get_secret_value()))
        yield


def prewarm(process: JobProcess) -> None:
    """Before the first call of a process: load what is heavy. No connections yet, there is no loop."""
    protect()
    settings, agent_settings = load_settings(), load_agent_settings()
    held = process.userdata[HELD] = ExitStack()  # kept: with it goes the process's share in the local voices
    process.userdata[SPEECH] = held.enter_context(open_speech(agent_settings, settings.data_dir))
    freeze_gc()


load = Load(AgentSettings.model_fields["max_load"].default, on_refused=partial(count_refused, "busy"))
server = EchoicServer(
    setup_fnc=prewarm,
    # in the fork server, once for all calls: OpenAI's client alone takes a second, five on a busy machine,
    # and nobody would be heard meanwhile
    preload_modules=[
        "echoic.agent.worker.server",
        "echoic.agent.worker.preloaded",
        *("openai.resources.audio", "openai.resources.chat", "httpcore2"),
    ],
    load_fnc=load.reported,
    load_threshold=math.inf,  # the worker itself decides, and says so: see agent/worker/load.py
    # one that is warm takes over a lost call in a second
    num_idle_processes=ServerEnvOption(dev_default=1, prod_default=2),
    initialize_process_timeout=START_S,
)


async def hang_up(job: JobContext) -> None:
    """After the last words of a call: they are durable, and their learning is enqueued, before the process
    may end."""
    call: RoomCall | None = job.proc.userdata.get(CALL)
    if call is not None:
        await call.hang_up()


@server.rtc_session(on_request=load.answer, on_session_end=hang_up)
async def entrypoint(job: JobContext) -> None:
    """One call. Postgres and Redis may be down: the call goes on without them."""
    settings, agent_settings = load_settings(), load_agent_settings()
    stored = asyncio.create_task(with_stored(settings, limit_s=CALL_S), name="settings.read")
    try:
        lease = await hold(job, settings.redis_url.get_secret_value())
    except CallTaken:
        job.shutdown("another agent has this call")
        await stored
        return
    opened = AsyncExitStack()
    job.add_shutdown_callback(opened.aclose)
    settings = await stored
    memory = await opened.enter_async_context(
        open_memory(settings, embedder=open_shared_embedder(settings), need_stores=False)
    )
    await job.connect()
    participant = await job.wait_for_participant()
    call = await opened.enter_async_context(open_room_call(job, memory, agent_settings, participant, lease))
    call.call.at_end = carry_out_last_words
    job.proc.userdata[CALL] = call
    await call.start(job, job.proc.userdata[SPEECH])
