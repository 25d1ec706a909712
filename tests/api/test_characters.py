"""A chat program with characters: what its trigger tells is stored once, each pair has its own memory."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.memory.direct import OpenMemory
from echoic.memory.errors import StoreUnavailable
from tests.api.conftest import Served
from tests.remembered import fact, learn

BASE, SECRET = "/channels/characters", "s" * 40
CREATED = f"{BASE}/firebase/message-created"
SAID_AT = "2026-05-04T09:30:00+00:00"


def created(*contents, character="Luna", user_id="ana", **more):
    messages = [
        {"id": f"{character}-{number}", "role": "user", "content": content, "created_at": SAID_AT}
        for number, content in enumerate(contents)
    ]
    return {"user_id": user_id, "character_name": character, "messages": messages} | more


@pytest.fixture
async def service(served):
    async with served.client("service") as client:
        yield client


async def told(client, *contents, **more):
    answer = await client.post(CREATED, json=created(*contents, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_message_is_stored_once_with_its_time(served, service):
    """Told again, told together with others, told by text alone."""
    assert await told(service, "My dog is called Biscuit.") == {"unsynced": 1, "triggered": False}
    await told(service, "My dog is called Biscuit.", "And I live in Porto.")
    turns = await served.memory.turns.list("ana")
    assert [(turn.text, turn.agent_id) for turn in turns] == [
        ("My dog is called Biscuit.", "Luna"),
        ("And I live in Porto.", "Luna"),
    ]
    assert all(turn.said_at == datetime.fromisoformat(SAID_AT) for turn in turns)
    for _ in range(2):
        await told(service, text="I like tea.", message_id="m1")
    last = (await served.memory.turns.list("ana"))[-1]
    assert last.text == "I like tea." and datetime.now(UTC) - last.said_at < timedelta(minutes=1)
    assert (await told(service))["unsynced"] == 3


async def test_a_batch_is_learned_at_once(served, service):
    """At 25 that wait, as `ECHOIC_LEARN_TURNS` says; before, after a pause."""
    answer = await told(service, *(f"Sentence {number}." for number in range(24)))
    assert answer == {"unsynced": 24, "triggered": False}
    checked = await service.post(f"{BASE}/memory/check-batch/ana/Luna")
    assert checked.json() == answer
    assert await told(service, text="One more.") == {"unsynced": 25, "triggered": True}
    assert (await service.post(f"{BASE}/memory/check-batch/ana/Luna")).json()["triggered"]
    (score,) = [
        score for _, score in await served.memory.jobs._redis.zrange("echoic:queue", 0, -1, withscores=True)
    ]
    assert score / 1_000 <= datetime.now(UTC).timestamp() + 1


async def test_each_pair_has_a_memory_of_its_own(served, service):
    """What Luna was told Max does not know, nor Luna of somebody else; what holds for all is shared."""
    await told(service, "My secret is a blue zebra.")
    await told(service, "Hello, I collect stamps.", character="Max")
    await told(service, "My secret is a red zebra.", user_id="bo")
    await learn(served.memory, fact("Lives in Porto"), fact("Is in love", scope="agent", agent_id="Luna"))

    async def search(user_id, character, query):
        answer = await service.get(
            f"{BASE}/memory/search/{user_id}/{character}", params={"query": query, "limit": 3}
        )
        assert answer.status_code == 200 and len(answer.json()["results"]) <= 3, answer.text
        return answer.text

    assert "blue" in await search("ana", "Luna", "What is my secret zebra?")
    assert "zebra" not in await search("ana", "Max", "What is my secret?")
    assert "blue" not in await search("bo", "Luna", "What is my secret zebra?")
    assert "Porto" in await search("ana", "Max", "Where do I live, Porto?")
    assert "in love" not in await search("ana", "Max", "Am I in love?")
    stats = {
        character: (await service.get(f"{BASE}/memory/stats/ana/{character}")).json()
        for character in ("Luna", "Max")
    }
    assert stats["Luna"] == {
        "user_id": "ana",
        "character_name": "Luna",
        "messages": 1,
        "unsynced": 1,
        "memories": 2,
    }
    assert stats["Max"]["memories"] == 1
    assert (await service.get(f"{BASE}/memory/health")).json() == {"status": "ok"}


async def test_names_may_hold_anything(served, service):
    """A slash is written %2F in a path."""
    await told(service, "I like tea.", character="Dr. 50%/ü", user_id="a/b")
    found = await service.get(
        f"{BASE}/memory/search/a%2Fb/Dr.%2050%25%2F%C3%BC", params={"query": "What about tea?"}
    )
    assert "tea" in found.json()["context"]


@pytest.mark.parametrize("role", [None, "user", "service", "admin"])
async def test_who_may_ask(served, role):
    """A person's key their own; without one nobody."""
    async with (
        served.without_key()
        if role is None
        else served.client(role, "bo" if role == "user" else None) as client
    ):
        for method, path in (
            ("POST", "firebase/message-created"),
            ("POST", "memory/check-batch/ana/Luna"),
            ("GET", "memory/search/ana/Luna?query=tea"),
            ("GET", "memory/stats/ana/Luna"),
        ):
            body = created("I like tea.") if path.startswith("firebase") else None
            answer = await client.request(method, f"{BASE}/{path}", json=body)
            assert answer.status_code == {None: 401, "user": 403}.get(role, 200), (path, answer.text)
    if role in (None, "user"):
        assert await served.memory.turns.list("ana") == []


async def test_a_trigger_may_sign_instead(memory):
    """Of these bytes, with this secret; else nothing is stored."""
    async with serving(memory, load_api_settings(webhook_secret=SECRET)) as app:
        content = json.dumps(created("I like tea.")).encode()
        right = "sha256=" + hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()
        async with Served(app, memory).without_key() as client:
            for wrong in ("", "x", "sha256=" + "0" * 64, right.upper()):
                answer = await client.post(CREATED, content=content, headers={"X-Echoic-Signature": wrong})
                assert answer.status_code == 401
            answer = await client.post(CREATED, content=content + b" ", headers={"X-Echoic-Signature": right})
            assert answer.status_code == 401 and await memory.turns.list("ana") == []
            for _ in range(2):
                answer = await client.post(CREATED, content=content, headers={"X-Echoic-Signature": right})
                assert answer.status_code == 200, answer.text
        assert len(await memory.turns.list("ana")) == 1


async def test_without_a_secret_no_signature_counts(served):
    """Also one made with nothing."""
    content = json.dumps(created("I like tea.")).encode()
    empty = "sha256=" + hmac.new(b"", content, hashlib.sha256).hexdigest()
    async with served.without_key() as client:
        answer = await client.post(CREATED, content=content, headers={"X-Echoic-Signature": empty})
    assert answer.status_code == 401 and await served.memory.turns.list("ana") == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"[" * 20_000, b"null", b"{}",
        {"user_id": "ana"},
        created(character=""),
        created(character="x" * 201),
        created(user_id=""),
        created(user_id="x" * 201),
        created(user_id="a\0"),
        created(text=7),
        created(text=" "),
        created(text="\0"),
        created(messages="I like tea."),
        created(messages=[{"content": "zebra", "role": "system"}]),
        created(messages=[{"content": "zebra", "created_at": "32637-01-01T00:00:00Z"}]),
        created(messages=[{"content": "zebra", "created_at": "5/4/2026"}]),
        created(messages=[{"content": "zebra", "id": "x" * 501}]),
        created(messages=[{"content": "zebra"}] * 101),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_told(served, service, body):
    """As a problem that names the field, without words, and nothing of it is stored."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await service.post(CREATED, content=content)
    assert answer.status_code == 422 and "problem+json" in answer.headers["content-type"]
    assert "zebra" not in answer.text
    rows = await served.memory.db.run(lambda connection: connection.fetch("select 1 from turns"))
    assert rows == []


@pytest.mark.parametrize(
    "path",
    [
        "search/ana/Luna",
        "search/ana/Luna?query=",
        "search/ana/Luna?query=x&limit=0",
        "search/ana/Luna?query=x&limit=x",
        "stats/%00/Luna",
        "stats/ana/%00",
        f"stats/ana/{'x' * 201}",
    ],
)
async def test_a_question_that_does_not_fit_is_told(service, path):
    """As a problem."""
    answer = await service.get(f"{BASE}/memory/{path}")
    assert answer.status_code == 422 and "problem+json" in answer.headers["content-type"]


async def test_stores_that_are_away_are_said(served, service, monkeypatch):
    """503, and the trigger tells it again: stored once."""

    async def gone(*_, **__):
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(served.memory.db, "run", gone)
        assert (await service.post(CREATED, json=created("I like tea."))).status_code == 503
    await told(service, "I like tea.")
    assert len(await served.memory.turns.list("ana")) == 1


async def test_a_program_in_python_asks_the_same_of_a_pair(memory):
    """Of this character alone; where nothing is known the prompt stays as it is."""
    told = OpenMemory(memory)
    await told.record("ana", "My dog is called Biscuit.", scope="Luna")
    asked = ("ana", "Luna", "What is my dog called?")
    context = await told.get_conversation_context(*asked)
    assert "Biscuit" in context
    assert await told.enhance_system_prompt(*asked, "You are Luna.") == f"You are Luna.\n\n{context}"
    assert await told.get_conversation_context("ana", "Orion", asked[2]) == ""
    nobody = await told.enhance_system_prompt("ana", "Orion", asked[2], "You are Orion.")
    assert nobody == "You are Orion."
