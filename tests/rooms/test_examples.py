"""Each agent of examples/ as a user runs it: `echoic run`, a real LiveKit server, calls from outside.

Only models are scripted: LiveKit's inference gateway, and OpenAI's realtime API (tests/inference_gateway.py,
tests/openai_realtime.py). All examples share one data folder, so that each finds its stores running.
"""

import ast
import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from livekit import api

import echoic
from echoic.local.dev.livekit_server import LiveKitServer
from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import load_settings
from tests.inference_gateway import (
    UNKNOWN,
    Gateway,
    Reply,
    Request,
    ToolCall,
    block_of,
    honest,
    question_of,
    text_of,
)
from tests.openai_realtime import RealtimeOpenAI
from tests.processes import ROOT
from tests.rooms.example_worker import example_worker
from tests.rooms.harness import LIMIT_S, Caller
from tests.rooms.speech import Voice
from tests.rooms.worker import POLL_S

pytestmark = pytest.mark.timeout(180)  # a worker and two calls: 9 s on an idle machine
TOLD, QUESTION = "My dog is called Biscuit.", "What is my dog called?"
BY_IDENTITY = {"ECHOIC_STABLE_IDENTITIES": "true"}
LONGEST = 40
ATTEMPTS, ANSWER_S = 4, 15.0
"""How often a caller calls, and how long they wait to be answered: 2-5 s on a machine that is not busy."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """One data folder for all examples; each `echoic run` joins its stores."""
    with open_stores(tmp_path_factory.mktemp("examples")) as opened:
        yield opened


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def run(livekit: LiveKitServer, stores: Stores, tmp_path: Path) -> Any:
    """Starts an example: `with run("starter.py", gateway, **settings):`."""

    def start(name: str, models: Gateway | RealtimeOpenAI, **env: str) -> Any:
        return example_worker(name, livekit, stores.data_dir, tmp_path / "log", models.environment | env)

    return start


@asynccontextmanager
async def call(livekit: LiveKitServer, identity: str, **options: Any) -> AsyncIterator[Caller]:
    """A call in a room of its own, in which an agent takes text.

    LiveKit's server sends no agent while the worker's machine is wholly busy, and tells nobody: a caller who
    waits in vain calls again.

    Args:
        agent_first: the caller comes into a room where the agent waits.
    """
    agent_first = options.pop("agent_first", False)
    for attempt in range(1, ATTEMPTS + 1):
        room = f"room-{uuid4().hex[:8]}"
        if agent_first and not await came_first(livekit, room):
            continue
        async with Caller(livekit, room, identity, **{"microphone": False} | options) as caller:
            if await is_ready(caller, ANSWER_S if attempt < ATTEMPTS else LIMIT_S):
                yield caller
                return
    pytest.fail(f"no agent came in {ATTEMPTS} calls")


async def is_ready(caller: Caller, limit_s: float) -> bool:
    """Wait until an agent listens: what is written before that is lost, as LiveKit has it."""
    changed = asyncio.Event()
    for event in ("participant_connected", "participant_attributes_changed"):
        caller.room.on(event, lambda *_: changed.set())
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            while not any(agent.attributes.get("lk.agent.state") == "listening" for agent in caller.agents):
                changed.clear()
                await changed.wait()
            return True
    return False


async def came_first(livekit: LiveKitServer, room: str) -> bool:
    """Make a room that nobody is in yet, and wait for the agent whom LiveKit sends there."""
    url = livekit.url.replace("ws", "http", 1)
    async with api.LiveKitAPI(url, livekit.api_key, livekit.api_secret) as server:
        await server.room.create_room(api.CreateRoomRequest(name=room))
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                while not (
                    await server.room.list_participants(api.ListParticipantsRequest(room=room))
                ).participants:
                    await asyncio.sleep(POLL_S)
                return True
    return False


async def ask(caller: Caller, words: str) -> str:
    """Write, and wait for the reply."""
    sent = time.monotonic()
    await caller.chat(words)
    return (await caller.wait_text("", after=sent)).text


async def kept(stores: Stores, user_id: str) -> list[tuple[str, str, str]]:
    """Scope, role and words of every turn of a person, in order."""
    settings = load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )
    async with echoic.open(settings) as memory:
        turns = (await memory.memories(user_id)).turns
    return [(turn.agent_id, turn.role, turn.text) for turn in turns]


@pytest.mark.parametrize("name", ["starter.py", "text_only.py"])
async def test_what_was_written_in_one_call_is_known_in_the_next(
    livekit: LiveKitServer, gateway: Gateway, run: Any, name: str
) -> None:
    """The prompt of the second call holds the words of the first, and the reply says so."""
    maya = f"maya-{name}"
    with run(name, gateway, **BY_IDENTITY):
        async with call(livekit, maya) as caller:
            assert await ask(caller, TOLD) == UNKNOWN
        async with call(livekit, maya) as caller:
            assert "Biscuit" in await ask(caller, QUESTION)
        async with call(livekit, f"ben-{name}") as caller:
            assert await ask(caller, QUESTION) == UNKNOWN
    assert "Biscuit" in block_of(gateway.requests[1]) and not block_of(gateway.requests[2])


async def test_starter_says_what_is_missing_while_nobody_is_known(
    livekit: LiveKitServer, gateway: Gateway, run: Any
) -> None:
    """Without a rule for who is calling, a call is remembered to its end, and the log says what to set."""
    with run("starter.py", gateway) as worker:
        async with call(livekit, "somebody") as caller:
            assert await ask(caller, TOLD) == UNKNOWN
        async with call(livekit, "somebody") as caller:
            assert await ask(caller, QUESTION) == UNKNOWN
        await asyncio.to_thread(worker.wait_said, "ECHOIC_STABLE_IDENTITIES=true", 5.0)


@pytest.mark.parametrize("agent_first", [False, True])
async def test_starter_speaks_with_a_caller(
    livekit: LiveKitServer, gateway: Gateway, run: Any, stores: Stores, voice: Voice, agent_first: bool
) -> None:
    """Words that the ears made out are answered aloud and stored once, whoever came into the room first."""
    maya, words = f"maya-speaks-{agent_first}", await voice(TOLD)
    with run("starter.py", gateway, **BY_IDENTITY) as worker:
        async with call(livekit, maya, agent_first=agent_first, microphone=True) as caller:
            await gateway.wait_listening()
            ended = await caller.say(words)
            gateway.hear(TOLD)
            await caller.wait_text(UNKNOWN, after=ended)
            await caller.wait_quiet(after=ended)
        await asyncio.to_thread(worker.wait_said, "session closed")
    assert gateway.spoken == [UNKNOWN]
    assert await kept(stores, f"id:{maya}") == [
        ("echoic", "user", TOLD),
        ("echoic", "assistant", UNKNOWN),
    ]


async def test_phone_greets_whom_it_knows_by_number(
    livekit: LiveKitServer, gateway: Gateway, run: Any, stores: Stores
) -> None:
    """The same number is the same person: the second greeting is given what was said in the first call."""

    def polite(request: Request) -> Reply:
        if "Greet the caller" not in text_of(request):
            return honest(request)
        return "Hello again." if "Biscuit" in text_of(request) else "Hello."

    gateway.reply = polite
    line: dict[str, Any] = {"kind": "sip", "agent_name": "phone"}
    line["attributes"] = {"sip.phoneNumber": "+14155550137"}
    with run("phone.py", gateway, ECHOIC_PHONE_KEY="k" * 32):
        async with call(livekit, "sip_1", **line) as caller:
            await caller.wait_text("Hello.")
            assert await ask(caller, TOLD) == UNKNOWN
        async with call(livekit, "sip_2", **line) as caller:
            await caller.wait_text("Hello again.")
            assert "Biscuit" in await ask(caller, QUESTION)


async def test_handoff_keeps_what_each_agent_was_told(
    livekit: LiveKitServer, gateway: Gateway, run: Any
) -> None:
    """Billing remembers the card in the next call, and the front desk was never told of it."""

    def desk(request: Request) -> Reply:
        if "bill" in question_of(request) and any("to_billing" in str(tool) for tool in request["tools"]):
            return ToolCall("to_billing")
        return honest(request)

    gateway.reply = desk
    with run("handoff.py", gateway, **BY_IDENTITY):
        async with call(livekit, "maya-handoff") as caller:
            assert await ask(caller, "I have a question about my bill.") == UNKNOWN
            assert await ask(caller, "My card is a green one.") == UNKNOWN
        async with call(livekit, "maya-handoff") as caller:
            assert await ask(caller, "Which colour has my card?") == UNKNOWN
            assert "green" not in text_of(gateway.requests[-1])
            assert await ask(caller, "I have a question about my bill.") == UNKNOWN
            assert "green" in await ask(caller, "Which colour has my card?")


async def test_memory_tool_reads_and_writes(livekit: LiveKitServer, gateway: Gateway, run: Any) -> None:
    """What one tool noted without a word being said, another one finds in the next call."""

    def waiter(request: Request) -> Reply:
        last = request["messages"][-1]
        if last["role"] == "tool":
            return str(last["content"])
        if "table for" in question_of(request):
            return ToolCall("book_table", {"guests": 4, "day": "Friday"})
        return ToolCall("look_up", {"about": "the table that I booked"})

    gateway.reply = waiter
    with run("memory_tool.py", gateway, **BY_IDENTITY):
        async with call(livekit, "maya-tool") as caller:
            assert "Booked." in await ask(caller, "A table for four on Friday, please.")
        async with call(livekit, "maya-tool") as caller:
            assert "Booked a table for 4 on Friday" in await ask(caller, "When do I come?")


async def test_tenants_do_not_share_their_customers(
    livekit: LiveKitServer, gateway: Gateway, run: Any
) -> None:
    """One name at two tenants is two people."""

    def of(tenant: str) -> dict[str, str]:
        return {
            "agent_name": "tenants",
            "job_metadata": f'{{"tenant": "{tenant}", "customer": "maya"}}',
        }

    with run("tenants.py", gateway):
        async with call(livekit, "web-1", **of("acme")) as caller:
            assert await ask(caller, TOLD) == UNKNOWN
        async with call(livekit, "web-2", **of("apex")) as caller:
            assert await ask(caller, QUESTION) == UNKNOWN
        async with call(livekit, "web-3", **of("acme")) as caller:
            assert "Biscuit" in await ask(caller, QUESTION)


async def test_own_format_stands_in_the_prompt(livekit: LiveKitServer, gateway: Gateway, run: Any) -> None:
    """The model is shown the application's notes, and no block of Echoic's."""
    gateway.reply = lambda request: "It is Biscuit." if "Biscuit" in text_of(request) else "Nice."
    with run("own_format.py", gateway, **BY_IDENTITY):
        async with call(livekit, "maya-format") as caller:
            assert "Biscuit" in await ask(caller, TOLD)
        async with call(livekit, "maya-format") as caller:
            assert "Biscuit" in await ask(caller, QUESTION)
    prompt = text_of(gateway.requests[1])
    assert "Notes from earlier calls" in prompt and f"user: '{TOLD}'" in prompt and "<memory>" not in prompt


async def test_realtime_knows_from_its_instructions(livekit: LiveKitServer, run: Any, stores: Stores) -> None:
    """A speech-to-speech model is told at the start of the next call what was said in the first, and answers
    aloud."""
    with RealtimeOpenAI() as openai, run("realtime.py", openai, **BY_IDENTITY):
        async with call(livekit, "maya-realtime") as caller:
            assert await ask(caller, TOLD) == UNKNOWN
        async with call(livekit, "maya-realtime", microphone=True) as caller:
            await openai.wait(lambda: "Biscuit" in openai.instructions[-1], "it was not told")
            sent = time.monotonic()
            openai.hear(QUESTION)
            await caller.wait_text("Biscuit", after=sent)
            await caller.wait_quiet(after=sent)
    assert openai.instructions[-1].startswith("You are a helpful voice assistant.")
    turns = await kept(stores, "id:maya-realtime")
    assert [text for _, role, text in turns if role == "user"] == [TOLD, QUESTION]


def test_examples_are_short_and_say_how_they_are_run() -> None:
    """Forty lines or less each; the docstring names the command; this file has a test of it.

    In the starter one line speaks of Echoic.
    """
    here = Path(__file__).read_text()
    for path in sorted((ROOT / "examples").glob("*.py")):
        text = path.read_text()
        if "livekit" not in text:
            continue  # tests/clients runs it
        assert len(text.splitlines()) <= LONGEST, path.name
        said = (ast.get_docstring(ast.parse(text)) or "").replace("\n", " ")
        assert f"`echoic run -- python examples/{path.name} dev`" in said
        assert f'"{path.name}"' in here, f"{path.name} is not run"
    starter = (ROOT / "examples" / "starter.py").read_text()
    assert [line.split("#")[0].strip() for line in starter.splitlines() if "echoic." in line] == [
        "await echoic.remember(session, ctx)"
    ]
