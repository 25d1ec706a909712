"""Bad input over HTTP: a clear answer, nothing lost, nothing of others shown."""

import base64
import json
import re
from urllib.parse import quote
from uuid import uuid4

import pytest

from echoic.api.access.door import NEEDED
from echoic.api.access.guard import Gate
from echoic.api.access.keys import DEVELOPMENT
from echoic.api.edge import MOST_BODY_BYTES
from echoic.memory.errors import StoreUnavailable
from echoic.memory.store.database import Snapshot
from tests.remembered import fact, learn, say
from tools.openapi import document

INJECTIONS = [
    "'; drop table facts; --",
    '" or ""="',
    "$1",
    "%s %(x)s {0} {{7*7}} ${7*7}",
    "\\",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "a\r\nSet-Cookie: x=1",
    "\u202e\u0000"[:1],
    "ﷺ" * 20,
    "%00%2F%25",
    "__proto__",
]
IDS = ["a/b", "/", "a'b\"c", "100%", "%2F", "a?b#c", "a b", "ä/ö", "😀", "a;b,c", "a\\b", "+358", *INJECTIONS]


@pytest.mark.parametrize("user_id", IDS)
async def test_any_id_is_a_person_of_their_own(admin, user_id):
    """Slash, percent, quotes: what is stored for one is found for that one only."""
    path = f"/v1/users/{quote(user_id, safe='')}"
    created = await admin.post(f"{path}/facts", json={"text": f"Is called {user_id}"})
    assert created.status_code == 201, created.text
    read = await admin.get(f"{path}/facts/{created.json()['fact_id']}")
    assert read.json()["text"] == f"Is called {user_id}".strip()
    assert (await admin.get(path)).json()["user_id"] == user_id
    assert [one["user_id"] for one in (await admin.get("/v1/users")).json()["items"]] == [user_id]
    assert (await admin.delete(path)).json()["facts"] == 1
    assert (await admin.get(path)).status_code == 404


@pytest.mark.parametrize("user_id", ["x" * 201, "x" * 10_000, "%00", "%ED%A0%80", "Andr%E9", "%20"])
async def test_an_id_that_cannot_be_one_is_refused(admin, user_id):
    """With a sentence that says what an id is, and without the id; in Latin-1 two would be one."""
    answer = await admin.get(f"/v1/users/{user_id}/facts")
    assert answer.status_code == 422
    assert "xxx" not in answer.text
    assert (await admin.get(f"/v1/memories/?user_id={user_id}")).status_code in (400, 422)


@pytest.mark.parametrize("origin", ["null", "http://[", "http://evil.example", "x"])
async def test_another_origin_is_refused_whatever_it_looks_like(admin, origin):
    assert (await admin.get("/v1/me", headers={"Origin": origin})).status_code == 403


def made_up(*values):
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "",
        "é",
        "===",
        made_up(),
        made_up("facts"),
        made_up("facts", "1"),
        made_up("facts", 2**70),
        made_up("facts", True),
        made_up("facts", 1, 2),
        made_up("turns", 1),
        made_up("calls", "2026-01-01T00:00:00", "c"),
        base64.urlsafe_b64encode(b"[" * 1_500).decode().rstrip("="),
    ],
)
@pytest.mark.parametrize(
    "path", ["users/ana/facts", "users/ana/calls", "users", "users?order=-latest", "audit"]
)
async def test_a_cursor_that_was_made_up_is_refused(admin, path, cursor):
    """Also one of another list, and a number that no column holds."""
    answer = await admin.get(f"/v1/{path}{'&' if '?' in path else '?'}cursor={quote(cursor)}")
    assert answer.status_code == 400 and answer.json()["type"].endswith("cursor-invalid"), answer.text


@pytest.mark.parametrize("hostile", INJECTIONS)
async def test_injection_strings_in_every_field(served, admin, hostile):
    """In bodies, filters and headers: they are words like others, and no statement of ours is changed."""
    await learn(served.memory, fact("Has a dog", "bo"))
    text = {
        "text": hostile,
        "topic": hostile,
        "about": {"role": hostile, "name": hostile},
        "agent_id": hostile,
    }
    made = await admin.post("/v1/users/ana/facts", json=text, headers={"Idempotency-Key": quote(hostile)})
    assert made.status_code == 201 and made.json()["about"]["name"] == hostile.strip(), made.text
    for name in ("agent_id", "topic", "about", "q"):
        found = await admin.get(f"/v1/users/ana/facts?{name}={quote(hostile)}")
        assert found.status_code == 200, found.text
        assert {one["fact_id"] for one in found.json()["items"]} <= {made.json()["fact_id"]}
    for path in ("users", "users/ana/turns"):
        assert (await admin.get(f"/v1/{path}?q={quote(hostile)}")).status_code == 200
    for path in ("search", "context"):
        asked = await admin.post(f"/v1/users/ana/{path}", json={"text": hostile, "agent_id": hostile})
        assert asked.status_code == 200 and "Has a dog" not in asked.text
    assert (await admin.get(f"/v1/users/ana/calls/{quote(hostile, safe='')}/turns")).json()["items"] == []
    assert (await admin.post(f"/v1/users/ana/calls/{quote(hostile, safe='')}/undo")).status_code == 404
    assert len((await admin.get("/v1/users/bo/facts")).json()["items"]) == 1


def text_fields():
    """Route, place and name of everything that takes text, from the document; streams would not end."""
    found = document()
    schemas = found["components"]["schemas"]
    for path, methods in found["paths"].items():
        for method, one in methods.items():
            if path.endswith("/events"):
                continue
            yield from ((method, path, p["in"], p["name"]) for p in one.get("parameters", ()))
            content = one.get("requestBody", {}).get("content", {})
            for media in content.values():
                name = media["schema"].get("$ref", "").rpartition("/")[2]
                yield from (
                    (method, path, "body", field) for field in schemas.get(name, {}).get("properties", ())
                )


FIELDS = sorted(text_fields())
NEEDED_BESIDE = {
    "/v1/users/{user_id}/facts": {"text": "Has a cat."},
    "/v1/users/{user_id}/search": {"text": "Which cat?"},
    "/v1/providers": {"kind": "graph", "type": "neo4j", "name": "ours", "fields": {}},
    "/v1/keys": {"name": "a program", "role": "service"},
    "/v1/settings/test": {"part": "graph"},
}
"""So that a body is not refused for what it lacks."""


@pytest.mark.parametrize("hostile", [*INJECTIONS, "\u0000", "\ud800", "x" * 10_000])
async def test_an_injection_in_every_field_of_the_document(served, admin, hostile, monkeypatch):
    """One field after the other: refused or taken as words, never a defect; nobody else is touched."""
    for name in NEEDED:
        monkeypatch.setenv(name, "ws://127.0.0.1:7880/" + "k" * 32)
    await learn(served.memory, fact("Has a dog", "bo"))
    assert len(FIELDS) > 100
    for method, path, place, name in FIELDS:
        ids = {one: "ana" if one == "user_id" else str(uuid4()) for one in re.findall(r"{(\w+)}", path)}
        sent, asked = {}, ""
        if place == "body":  # escaped: half a character too can be sent
            body = NEEDED_BESIDE.get(path, {}) | {name: hostile}
            sent = {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}
        if place == "path":
            ids[name] = hostile
        elif place == "query":
            asked = f"?{name}={quote(hostile.encode(errors='surrogatepass'), safe='')}"
        elif place == "header":
            sent["headers"] = {name: hostile.encode(errors="surrogatepass").replace(b"\r\n", b" ")}
        safe = {one: quote(value.encode(errors="surrogatepass"), safe="") for one, value in ids.items()}
        answer = await admin.request(method, path.format(**safe) + asked, **sent)
        assert answer.status_code < 500, (method, path, name, answer.text)
    assert [one.text for one in await served.memory.facts.list("bo")] == ["Has a dog"]


@pytest.mark.parametrize(
    "name", ["q", "topic", "agent_id", "about", "cursor", "at", "limit", "scope", "validity"]
)
@pytest.mark.parametrize("value", ["%00", "%FF", "x" * 10_000, "-1", "1e999", "9999-12-31T23:59:59-23:00"])
async def test_parameters_that_no_store_can_hold(admin, name, value):
    """Refused or found empty; never a defect."""
    answer = await admin.get(f"/v1/users/ana/facts?{name}={value}")
    assert answer.status_code in (200, 400, 422), answer.text
    assert answer.status_code != 200 or answer.json()["items"] == []


async def test_a_body_that_is_too_large_is_refused(admin):
    """A fact of one megabyte: by its length, and also when that was not said."""
    big = json.dumps({"text": "x" * 2**20}).encode()

    async def pieces():
        for start in range(0, len(big), 10_000):
            yield big[start : start + 10_000]

    for content in (big, pieces()):
        answer = await admin.post(
            "/v1/users/ana/facts", content=content, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 413 and str(MOST_BODY_BYTES) in answer.json()["detail"]
    lies = await admin.post("/v1/users/ana/facts", content=b"{}", headers={"Content-Length": "-1"})
    assert lies.status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 20_000, b'{"text": 1e999}', b"null"])
async def test_a_body_that_is_no_json_is_refused(admin, body):
    """As a problem."""
    answer = await admin.post(
        "/v1/users/ana/search", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422) and "problem+json" in answer.headers["content-type"], answer.text


async def test_nothing_of_this_name(admin):
    """Paths, methods and ids that are not there."""
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/users/ana", 405),
        ("GET", "/v1/users/nobody", 404),
        ("GET", "/v1/users/nobody/export", 404),
        ("GET", f"/v1/users/ana/facts/{uuid4()}", 404),
        ("GET", "/v1/users/ana/facts/no-uuid", 422),
        ("POST", f"/v1/jobs/{uuid4()}/retry", 404),
        ("GET", "/v1/users/ana/graph", 409),
    ):
        answer = await admin.request(method, path)
        assert answer.status_code == status, (path, answer.text)
        assert answer.json()["status"] == status and "problem+json" in answer.headers["content-type"]


async def test_a_store_that_goes_away_is_said(served, admin, monkeypatch):
    """503 with when to ask again; of an export nothing half is sent."""
    await say(served.memory, "My dog is called Biscuit.")

    async def gone(*_, **__):
        raise StoreUnavailable

    async def admits(*_):
        return DEVELOPMENT

    monkeypatch.setattr(Gate, "admit", admits)

    async def goes(self, asked):
        """It answers once, and is gone in the middle of what is exported."""
        if self in left:
            asked.close()
            raise StoreUnavailable
        left.append(self)
        return await asked

    left = []
    monkeypatch.setattr(Snapshot, "_within", goes)
    monkeypatch.setattr(served.memory.db, "run", gone)
    for path in ("/v1/users/ana/export", "/v1/users/ana/facts", "/v1/statistics"):
        answer = await admin.get(path)
        assert answer.status_code == 503 and answer.headers["retry-after"], answer.text
    ready = await admin.get("/readyz")
    assert ready.status_code == 503 and ready.json()["parts"] == {
        "postgres": "failed",
        "redis": "ok",
        "graph": "off",
    }
    assert (await admin.get("/livez")).status_code == 200


async def test_without_postgres_nobody_is_let_in(served, admin, monkeypatch):
    """A key cannot be checked, and the trail cannot be written."""

    async def gone(*_, **__):
        raise StoreUnavailable

    monkeypatch.setattr(served.memory.db, "run", gone)
    assert (await admin.get("/v1/me")).status_code == 503
