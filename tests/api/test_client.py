"""The typed client: every route has a method that the served API answers, and a refusal says why."""

import asyncio
import json
import subprocess
import sys
from contextlib import aclosing
from dataclasses import is_dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from echoic.api.access.keys import add_key
from echoic.client import AnswerUnreadable, AsyncMemoryClient, MemoryClient, Refused, Unreachable
from echoic.client.events import Following
from echoic.client.request import Ask, decoded, refusal
from tests.remembered import fact, learn, say
from tools.client import FOLDER, files
from tools.openapi import document

HEAVY = ("fastapi", "starlette", "numpy", "livekit", "asyncpg", "pydantic", "echoic.memory", "echoic.api")
STREAMS = {"follow_user", "follow_all"}


@pytest.fixture
async def key(served):
    found, _ = await add_key(served.memory.db, "the client", "admin", None)
    return found


@pytest.fixture
async def client(served, key):
    transport = httpx.ASGITransport(served.app, raise_app_exceptions=False)
    async with AsyncMemoryClient("http://127.0.0.1:8090", key, transport=transport) as client:
        yield client


@cache
def operations():
    return [one for methods in document()["paths"].values() for one in methods.values()]


def test_it_is_written_from_the_document():
    """A route that was added or changed has its method, in both clients: `python -m tools.client`."""
    written = dict(files(document()))
    assert written.keys() == {path.name for path in FOLDER.glob("*.py")}
    old = [name for name, text in written.items() if (FOLDER / name).read_text() != text]
    assert not old, "run `python -m tools.client`"


@pytest.mark.parametrize("kind", [MemoryClient, AsyncMemoryClient])
def test_every_route_has_a_method(kind):
    """Named as the route's operationId."""
    missing = [
        one["operationId"] for one in operations() if not callable(getattr(kind, one["operationId"], None))
    ]
    assert missing == []


def test_importing_it_loads_nothing_heavy():
    """No server, no numbers, no LiveKit: a program that only asks needs httpx."""
    script = f"import sys, echoic.client; print([one for one in {HEAVY!r} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


ARGUMENTS = {
    "add_fact": {"text": "Has a cat."},
    "add_turns": {"turns": [{"role": "user", "text": "Hello.", "said_at": datetime(2026, 1, 2, tzinfo=UTC)}]},
    "change_fact": {"topic": "pets"},
    "search": {"text": "What is my dog called?"},
    "test_settings": {"part": "embedding", "changes": {"embedding_url": "http://127.0.0.1:1/v1"}},
    "change_settings": {"llm_model": "m"},
    "change_user_settings": {"language": "de"},
    "add_provider": {
        "kind": "graph",
        "type": "neo4j",
        "name": "ours",
        "fields": {"url": "neo4j://127.0.0.1:1"},
    },
    "change_provider": {"name": "theirs"},
    "fill_profile_slot": {"topic": "pets", "sub_topic": "cat", "values": ["Has a cat."]},
    "choose_profile_slots": {"said": [{"role": "user", "text": "My dog!"}]},
    "change_profile_slot": {"values": ["Has a cat."]},
    "change_episode": {"summary": "A dog."},
    "write_profile_configuration": {"text": "event_tags: [mood]"},
    "complete_chat": {"messages": [{"role": "user", "content": "Hello!"}]},
    "add_key": {"name": "a program", "role": "service"},
}
LAST = ("undo_one_call", "forget_fact", "delete_provider", "erase_one_user")
"""They take away what others look at."""


async def test_every_method_is_answered_by_the_served_api(served, client):
    """With what its type says, or with a problem of the route itself; never for how it was asked."""
    known = fact("Has a dog called Biscuit", "ana")
    await learn(served.memory, known)
    (turn,) = await say(served.memory, "My dog is called Biscuit.")
    ids = {
        "user_id": "ana",
        "fact_id": known.fact_id,
        "call_id": "call",
        "turn_id": turn.turn_id,
        "name": "none",
    }
    refused = {}
    names = [one["operationId"] for one in operations() if one["operationId"] not in {*STREAMS, *LAST}]
    for name in [*names, *LAST]:
        operation = next(one for one in operations() if one["operationId"] == name)
        given = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
        arguments = ARGUMENTS.get(name, {}) | ({"version": "none"} if _takes_version(operation) else {})
        try:
            await _all_of(getattr(client, name)(*[ids.get(one, uuid4()) for one in given], **arguments))
        except Refused as problem:
            refused[name] = (problem.status, problem.name)
    assert not [
        name for name, (status, _) in refused.items() if status in (400, 401, 403, 405, 422, 428, 500)
    ]
    assert refused["read_graph"] == (409, "graph-off") and refused["change_fact"] == (
        412,
        "changed-meanwhile",
    )
    assert len(refused) < len(names) / 2, refused


def _takes_version(operation):
    return any(one["name"].lower() == "if-match" for one in operation.get("parameters", ()))


async def _all_of(asked):
    """Wait for it, or read it to its end."""
    if hasattr(asked, "__aiter__"):
        async with aclosing(asked) as items:
            return [one async for one in items]
    found = await asked
    assert found is None or isinstance(found, str | dict) or is_dataclass(found)
    return found


async def test_what_comes_back_has_its_types(client):
    """Ids, times, nested parts; and an edit needs nothing but what was read."""
    made = await client.add_fact("a/b", text="Has a dog.", about={"role": "sister", "name": "Maria"})
    assert isinstance(made.fact_id, UUID) and made.said_at.tzinfo and made.about.name == "Maria"
    edited = await client.change_fact("a/b", made.fact_id, version=made.version, importance=0.9)
    assert edited.importance == 0.9 and edited.about == made.about
    assert await client.read_fact("a/b", made.fact_id, unless_version=edited.version) is None
    with pytest.raises(Refused, match="412 changed-meanwhile") as late:
        await client.change_fact("a/b", made.fact_id, version=made.version, topic="pets")
    assert late.value.type == "urn:echoic:problem:changed-meanwhile" and late.value.sentence.endswith(".")
    ended = await client.change_fact(
        "a/b", made.fact_id, version=edited.version, valid_until=datetime.now(UTC)
    )
    again = await client.change_fact("a/b", made.fact_id, version=ended.version, valid_until=None)
    assert ended.valid_until and again.valid_until is None
    history = await client.read_history("a/b", made.fact_id)
    assert [one.change for one in history.items] == ["added", "edited", "edited", "edited"]


async def test_pages_are_one_iterator(served, client):
    """However small they are; and a creation that is sent twice counts once."""
    await learn(served.memory, *(fact(f"Fact {n}") for n in range(7)))
    found = [one.text async for one in client.list_facts("ana", page_size=2)]
    assert found == [f"Fact {n}" for n in reversed(range(7))]
    twice = [await client.add_fact("ana", text="Once.", idempotency_key="k") for _ in range(2)]
    assert twice[0] == twice[1]


async def test_an_id_of_any_sort_is_one_segment(client):
    """Dots and slashes do not lead elsewhere."""
    for user_id in ("..", ".", "a/../b", "%2F", "a?b#c", "ä ö"):
        made = await client.add_fact(user_id, text="Is somebody.")
        assert [one.fact_id async for one in client.list_facts(user_id)] == [made.fact_id]


async def test_an_export_comes_in_pieces(served, client):
    """The same bytes as over HTTP; of nobody, a refusal and no bytes."""
    await say(served.memory, *(f"This is sentence number {n}." for n in range(50)))
    whole = b"".join([piece async for piece in client.export_one_user("ana")])
    assert len(json.loads(whole)["turns"]) == 50
    with pytest.raises(Refused) as nobody:
        [piece async for piece in client.export_one_user("nobody")]
    assert nobody.value.status == 404 and nobody.value.name == "user-unknown"


def _lists(address, key):
    with MemoryClient(address, key) as client:
        made = client.add_fact("ana", text="Has a dog.", valid_from=datetime(2020, 1, 1, tzinfo=UTC))
        assert client.read_fact("ana", made.fact_id) == made
        assert [one.user_id for one in client.list_users()] == ["ana"]
        assert json.loads(b"".join(client.export_one_user("ana")))["user_id"] == "ana"
        assert client.is_ready().ready and "process_max_fds" in client.read_metrics()
        assert client.forget_fact("ana", made.fact_id, version=made.version) is None
        with pytest.raises(Refused) as gone:
            client.read_fact("ana", made.fact_id)
        assert gone.value.name == "fact-unknown"
    with MemoryClient(address) as client, pytest.raises(Refused) as nobody:
        client.read_me()
    assert nobody.value.status == 401


async def test_the_client_that_waits_does_the_same(served, address, key):
    """Over a real connection."""
    await asyncio.to_thread(_lists, address, key)


async def test_events_go_on_after_a_dropped_connection(served, address, key, monkeypatch):
    """Nothing is missed, and nothing comes twice; a key that is revoked ends it."""
    monkeypatch.setattr("echoic.client.events.PAUSES_S", (0.01,))
    drops = Dropping()
    await say(served.memory, "This waits to be learned already.", call_id="before")
    async with AsyncMemoryClient(address, key, transport=drops) as client:
        events = client.follow_user("ana")
        heard = asyncio.create_task(anext(events))
        await drops.connected(1)
        for n in range(3):
            await say(served.memory, f"Sentence {n}.", call_id=f"call {n}")
            event = await asyncio.wait_for(heard, 10)
            assert (event.kind, event.data["call_id"], event.user_id) == ("turn.captured", f"call {n}", "ana")
            heard = asyncio.create_task(anext(events))
            await drops.drop()
            await drops.connected(n + 2)
        assert (await client.read_me()).role == "admin"
        await served.memory.db.run(
            lambda connection: connection.execute("update api_keys set revoked_at = now()")
        )
        await drops.drop()
        with pytest.raises(Refused, match="401"):
            await asyncio.wait_for(heard, 10)
        await events.aclose()


class Dropping(httpx.AsyncHTTPTransport):
    """A network that can be cut."""

    def __init__(self):
        super().__init__()
        self.streams = []

    async def handle_async_request(self, request):
        answer = await super().handle_async_request(request)
        if request.url.path.endswith("/events"):
            self.streams.append(Cut(answer.stream))
            answer.stream = self.streams[-1]
        return answer

    async def connected(self, count):
        while len(self.streams) < count or not self.streams[-1].began:
            await asyncio.sleep(0.01)

    async def drop(self):
        self.streams[-1].cut.set()


class Cut(httpx.AsyncByteStream):
    def __init__(self, stream):
        self._stream, self.cut, self.began = stream, asyncio.Event(), False

    async def __aiter__(self):
        pieces = aiter(self._stream)
        cut = asyncio.create_task(self.cut.wait())
        try:
            while True:
                piece = asyncio.ensure_future(anext(pieces))
                await asyncio.wait({piece, cut}, return_when=asyncio.FIRST_COMPLETED)
                if not piece.done():
                    piece.cancel()
                    await asyncio.gather(piece, return_exceptions=True)
                    raise httpx.ReadError("cut")
                try:
                    yield piece.result()
                except StopAsyncIteration:
                    return
                self.began = True
        finally:
            cut.cancel()

    async def aclose(self):
        await self._stream.aclose()


async def test_a_server_that_is_not_there_is_said():
    """Also by the stream, which has nothing to go on from."""
    async with AsyncMemoryClient("http://127.0.0.1:9", "k") as client:
        with pytest.raises(Unreachable, match="ConnectError"):
            await client.read_me()
        with pytest.raises(Unreachable):
            await anext(client.follow_all())
    with MemoryClient("http://127.0.0.1:9") as client, pytest.raises(Unreachable):
        next(client.follow_all())


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"items": 3}', b"null", b'{"items": [{}], "next": null}']
)
def test_an_answer_of_something_else_is_said(body):
    """A proxy's page, or another API."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=body))
    with MemoryClient("http://127.0.0.1", transport=transport) as client, pytest.raises(AnswerUnreadable):
        list(client.list_users())


@pytest.mark.parametrize(
    ("answer", "name", "wait_s"),
    [
        (httpx.Response(502, text="<html>"), "about:blank", None),
        (httpx.Response(429, json={"type": "urn:echoic:problem:x"}, headers={"Retry-After": "7"}), "x", 7),
        (httpx.Response(503, json=[], headers={"Retry-After": "no date"}), "about:blank", None),
        (
            httpx.Response(503, json={}, headers={"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}),
            "about:blank",
            1e9,
        ),
    ],
)
def test_a_refusal_of_something_before_the_api(answer, name, wait_s):
    """Is one too, with when to ask again."""
    problem = refusal(answer)
    assert problem.name == name and problem.status == answer.status_code and problem.sentence
    assert problem.retry_after_s == wait_s or (wait_s == 1e9 and problem.retry_after_s > 1e9)


def test_what_a_newer_api_adds_is_no_mistake():
    """Fields and choices that this client does not know."""
    from echoic.client.written.system_answers import Me

    me = decoded(Me, {"name": "n", "role": "auditor", "user_id": None, "may": [], "mood": "good"})
    assert me.role == "auditor" and not hasattr(me, "mood")


def test_pauses_grow_and_follow_what_the_api_says():
    """A stream that went on begins with the shortest again."""
    following = Following(Ask("GET", "/v1/events"), None)
    with pytest.raises(Unreachable):
        following.pause_s(Unreachable())
    list(following.reader()(""))
    take = following.reader()
    for line in ("id: 1-2", ""):
        assert list(take(line)) == []
    pauses = [following.pause_s(Unreachable()) for _ in range(5)]
    assert pauses == [0.2, 1.0, 5.0, 15.0, 15.0]
    assert following.pause_s(Refused(503, "x", "s", retry_after_s=30)) == 30
    assert following.ask().headers == {"Last-Event-ID": "1-2"}
    with pytest.raises(Refused):
        following.pause_s(Refused(403, "x", "s"))


def test_the_docs_show_what_runs():
    """The example of docs/api.md names methods that there are."""
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert "from echoic.client import MemoryClient" in page
