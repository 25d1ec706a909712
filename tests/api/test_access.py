"""Who may ask for what: every route for every role and owner, hosts and origins, limits, and the trail."""

from datetime import UTC, datetime
from itertools import product
from uuid import uuid4

import httpx
import pytest

from echoic.api.access.door import NEEDED
from echoic.api.access.guard import Guard
from echoic.api.access.keys import add_key, list_keys, revoke_key
from echoic.api.access.limits import RateLimit
from echoic.api.app import make_app, serving
from echoic.api.config import load_api_settings
from echoic.memory.errors import ConfigInvalid
from tests.api.every_route import NOT_OFFERED, OWN_FORMS, is_refusal, may, operations, request_to
from tests.remembered import fact, learn, say


@pytest.mark.parametrize(
    ("role", "owns"), [*product(("admin", "service", "user"), (True, False)), (None, False)]
)
async def test_every_route_for_every_role_and_owner(served, role, owns, monkeypatch):
    """Who may not is refused; who may gets an answer of the route, whatever that is."""
    for name in NEEDED:
        monkeypatch.setenv(name, "ws://127.0.0.1:7880/" + "k" * 32)
    user_id = "ana" if owns else "bo"
    await say(served.memory, "My dog is called Biscuit.")
    every = operations(served.app)
    assert ("post", "/mcp") in every  # where the extra is installed
    for method, path in every:
        await learn(served.memory, known := fact("Has a dog called Biscuit", user_id))
        # a key of a person who was erased went with them: each route is asked with a new one
        async with (
            served.without_key()
            if role is None
            else served.client(role, "ana" if role == "user" else None) as client
        ):
            answer = await client.request(**request_to(method, path, user_id, str(known.fact_id)))
        said, refused = (method, path, answer.status_code, answer.text), is_refusal(answer.status_code, path)
        assert refused != may(role, owns, method, path), said
        assert answer.status_code < 500 or path.startswith(NOT_OFFERED), said
        if answer.status_code >= 400:
            own = answer.json().keys() in OWN_FORMS
            assert own or "problem+json" in answer.headers["content-type"], said
        if refused:
            assert known.fact_id in [one.fact_id for one in await served.memory.facts.list(user_id)], said


def test_every_route_has_a_guard():
    """Also one that is added later: only these answer anybody."""
    schema = make_app(load_api_settings()).openapi()["paths"]
    unguarded = {
        path for path, methods in schema.items() for one in methods.values() if "security" not in one
    }
    assert unguarded == {"/livez", "/readyz"} and Guard("read").walled


@pytest.mark.parametrize("key", ["", "x", "echoic_" + "a" * 43, "é" * 20, "x" * 10_000, "' or 1=1 --"])
async def test_a_key_that_is_none_is_refused(served, key):
    """With the same answer for each, which says how to ask."""
    async with served.without_key() as client:
        answer = await client.get("/v1/me", headers={"Authorization": f"Bearer {key}".encode()})
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"


async def test_revoked_and_expired_keys_are_refused_at_once(served):
    """The next request already; and the store holds hashes only."""
    db = served.memory.db
    key, listed = await add_key(db, "a program", "service")
    old, _ = await add_key(db, "an old one", "service", valid_s=-1)
    async with served.without_key() as client:
        ask = lambda one: client.get("/v1/me", headers={"Authorization": f"Bearer {one}"})  # noqa: E731
        assert (await ask(key)).json() == {
            "name": "a program",
            "role": "service",
            "user_id": None,
            "may": ["link", "look", "read", "self", "write"],
        }
        assert await revoke_key(db, listed.key_id) and not await revoke_key(db, uuid4())
        assert [(await ask(one)).status_code for one in (key, old)] == [401, 401]
    rows = await db.run(lambda connection: connection.fetch("select api_keys::text as row from api_keys"))
    assert not any(key.removeprefix("echoic_") in row["row"] for row in rows)
    assert [one.revoked_at is not None for one in await list_keys(db)] == [True, False]


async def test_keys_that_make_no_sense_are_not_made(memory):
    """A person without the role, the role without a person, a name of nothing."""
    for wrong in (("n", "user", None), ("n", "admin", "ana"), (" ", "admin", None), ("n", "user", "x" * 201)):
        with pytest.raises(ConfigInvalid):
            await add_key(memory.db, *wrong)


async def test_a_persons_key_goes_with_the_person(served):
    """Who is erased by their own key is let in no more."""
    await learn(served.memory, fact("Has a dog"))
    async with served.client("user", "ana") as client:
        assert (await client.delete("/v1/users/ana")).json()["facts"] == 1
        assert (await client.get("/v1/me")).status_code == 401


async def test_the_trail_says_who_asked_for_what(served, admin):
    """Refusals too; the person by a hash that outlives an erasure, and no words."""
    async with served.client("user", "ana") as client:
        await client.get("/v1/users/ana/facts?q=secret")
        await client.get("/v1/users/bo/facts")
        await client.delete("/v1/users/ana")
    items = (await admin.get("/v1/audit")).json()["items"]
    assert [(one["key_name"], one["action"], one["allowed"]) for one in items[1:]] == [
        ("the user", "DELETE /v1/users/{user_id}", True),
        ("the user", "GET /v1/users/{user_id}/facts", False),
        ("the user", "GET /v1/users/{user_id}/facts", True),
    ]
    mine = (await admin.get("/v1/audit?user_id=ana&limit=1")).json()
    assert mine["items"][0]["action"].startswith("DELETE") and mine["next"]
    assert "ana" not in str(items) and "secret" not in str(items)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": ""}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "LOCALHOST:8090"}, 200),
        ({"Host": "[::1]:8090"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:8090"}, 200),
    ],
)
async def test_other_hosts_and_origins_are_refused(admin, headers, status):
    """DNS rebinding and pages of others; a preflight is not answered either."""
    answer = await admin.get("/v1/me", headers=headers)
    assert answer.status_code == status
    preflight = await admin.options(
        "/v1/me", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    )
    assert preflight.status_code == 403 and "access-control-allow-origin" not in preflight.headers


async def test_every_answer_has_its_headers(served):
    """Also a refusal: nothing is cached, framed, sniffed, or loaded from elsewhere."""
    async with served.without_key() as client:
        for path in ("/livez", "/v1/me", "/nowhere"):
            headers = (await client.get(path)).headers
            assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in headers["content-security-policy"]


async def test_a_key_that_asks_too_often_waits(memory):
    """It is told how long; another key goes on."""
    async with serving(memory, load_api_settings(rate_per_minute=5)) as app:
        keys = [(await add_key(memory.db, name, "service"))[0] for name in ("one", "two")]
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            first, second = ({"Authorization": f"Bearer {key}"} for key in keys)
            answers = [await client.get("/v1/me", headers=first) for _ in range(7)]
            assert [one.status_code for one in answers].count(200) == 5
            assert answers[-1].status_code == 429 and 1 <= int(answers[-1].headers["retry-after"]) <= 12
            assert (await client.get("/v1/me", headers=second)).status_code == 200


def test_a_bucket_fills_evenly():
    """One a second at sixty a minute."""
    now = 0.0
    limit = RateLimit(60, clock=lambda: now)
    assert [limit.take("a") for _ in range(60)] == [0] * 60
    assert limit.take("a") == pytest.approx(1) and limit.take("b") == 0
    now = 0.5
    assert limit.take("a") == pytest.approx(0.5)
    now = 1.0
    assert limit.take("a") == 0


async def test_in_development_nobody_needs_a_key(memory):
    """But hosts and origins count as ever, and a wrong key is still wrong."""
    async with serving(memory, load_api_settings(), development=True) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.get("/v1/me")).json()["role"] == "admin"
            assert (await client.get("/v1/me", headers={"Authorization": "Bearer x"})).status_code == 401
            assert (await client.get("/v1/me", headers={"Host": "evil.example"})).status_code == 421
            assert (await client.get("/v1/me", headers={"Origin": "http://evil.example"})).status_code == 403
            made = await client.post(
                "/v1/users/ana/facts", json={"text": "Has a dog."}, headers={"Idempotency-Key": "1"}
            )
            assert made.status_code == 201 and datetime.fromisoformat(made.json()["said_at"]) < datetime.now(
                UTC
            )
