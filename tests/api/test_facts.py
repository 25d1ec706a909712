"""Facts over HTTP: listed, made, corrected, forgotten; no change is lost, and nothing counts twice."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from echoic.memory.types import About, Evidence
from tests.remembered import fact, learn, say

FACTS = "/v1/users/ana/facts"


async def made(client, text="Has a dog called Biscuit.", **fields):
    response = await client.post(FACTS, json={"text": text} | fields)
    assert response.status_code == 201, response.text
    return response


async def test_a_fact_that_is_stated_is_recalled(admin):
    """It is found by the same search as a reply's, in this process at once."""
    created = (await made(admin, topic="pets", importance=0.7)).json()
    found = await admin.post("/v1/users/ana/search", json={"text": "What is my dog called?"})
    print(found.text)
    assert [item["id"] for item in found.json()["used"]] == [created["fact_id"]]
    assert found.json()["tiers"]["facts"]["status"] == "ok" and "Biscuit" in found.json()["block"]


async def test_filters_choose_what_is_listed(served, admin):
    """Agent, scope, topic, about, validity, date and words; each alone."""
    now = datetime.now(UTC)
    sister = fact("Her sister lives in Porto", about=About("sister", "Maria"), topic="family")
    old = fact("Lived in Rome", valid_from=now - timedelta(days=90), valid_until=now - timedelta(days=30))
    private = fact("Owes 20 euros", scope="agent", agent_id="bank")
    await learn(served.memory, sister, old, private)
    for query, expected in (
        ("", [private, sister]),
        ("?validity=all", [private, old, sister]),
        ("?validity=ended", [old]),
        (f"?at={(now - timedelta(days=60)).isoformat().replace('+', '%2B')}", [private, old, sister]),
        ("?agent_id=bank", [private]),
        ("?scope=agent", [private]),
        ("?topic=family", [sister]),
        ("?about=sister Maria", [sister]),
        ("?about=", [private]),
        ("?q=PORTO", [sister]),
        ("?q=%25", []),
    ):
        response = await admin.get(FACTS + query)
        assert [one["fact_id"] for one in response.json()["items"]] == [
            str(one.fact_id) for one in expected
        ], query


async def test_what_a_call_taught(served, admin):
    """The facts that rest on one of its turns, whenever they were learned."""
    (turn,) = await say(served.memory, "I have a dog.", call_id="first")
    await say(served.memory, "Hello.", call_id="second")
    taught = fact("Has a dog", turn_ids=(turn.turn_id,))
    await learn(served.memory, taught, fact("Has a cat"))
    for call_id, expected in (("first", [str(taught.fact_id)]), ("second", []), ("none", [])):
        found = (await admin.get(f"{FACTS}?call_id={call_id}")).json()["items"]
        assert [one["fact_id"] for one in found] == expected


async def test_pages_give_each_fact_once(served, admin):
    """Also while facts are added at the front."""
    await learn(served.memory, *(fact(f"Owns boat {number}") for number in range(7)))
    seen, cursor = [], ""
    while cursor is not None:
        page = (await admin.get(f"{FACTS}?limit=3{cursor and f'&cursor={cursor}'}")).json()
        seen += [one["text"] for one in page["items"]]
        cursor = page["next"]
        await learn(served.memory, fact("Owns a later boat"))
    assert seen == [f"Owns boat {number}" for number in reversed(range(7))]


async def test_an_edit_needs_the_etag_that_was_read(admin):
    """Without one it is refused, with yesterday's too; what stands is what was written last."""
    created = await made(admin)
    path, first = f"{FACTS}/{created.json()['fact_id']}", created.headers["etag"]
    assert (await admin.patch(path, json={"topic": "x"})).status_code == 428
    changed = await admin.patch(path, json={"text": "Has a cat."}, headers={"If-Match": first})
    assert changed.status_code == 200 and changed.headers["etag"] != first
    lost = await admin.patch(path, json={"text": "Has a cow."}, headers={"If-Match": first})
    assert lost.status_code == 412 and lost.headers["content-type"] == "application/problem+json"
    read = await admin.get(path)
    assert read.json()["text"] == "Has a cat." and read.headers["etag"] == changed.headers["etag"]
    same = await admin.get(path, headers={"If-None-Match": read.headers["etag"]})
    assert same.status_code == 304 and not same.content


async def test_of_many_edits_at_once_one_wins(admin):
    """All read the same version; the others are told."""
    created = await made(admin)
    path, etag = f"{FACTS}/{created.json()['fact_id']}", {"If-Match": created.headers["etag"]}
    answers = await asyncio.gather(
        *(admin.patch(path, json={"text": f"Has {n} dogs."}, headers=etag) for n in range(8))
    )
    assert sorted(one.status_code for one in answers) == [200] + [412] * 7


async def test_an_edited_fact_is_found_by_its_new_words(admin):
    """Words and vector follow the text; the words before it find nothing."""
    created = await made(admin, "Plays the zither.")
    path = f"{FACTS}/{created.json()['fact_id']}"
    await admin.patch(
        path, json={"text": "Plays the bagpipes."}, headers={"If-Match": created.headers["etag"]}
    )
    found = await admin.post("/v1/users/ana/search", json={"text": "Who plays the bagpipes?"})
    assert "bagpipes" in found.json()["block"] and "zither" not in found.json()["block"]


async def test_history_says_what_it_was_and_who_changed_it(admin):
    """Added, edited, ended and true again: each with what stood before."""
    created = await made(admin)
    path, etag = f"{FACTS}/{created.json()['fact_id']}", created.headers["etag"]
    ended = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    for body in ({"text": "Has a cat."}, {"valid_until": ended}, {"valid_until": None}):
        changed = await admin.patch(path, json=body, headers={"If-Match": etag})
        etag = changed.headers["etag"]
    assert changed.json()["valid_until"] is None
    items = (await admin.get(f"{path}/history")).json()["items"]
    assert [(one["change"], one["by_whom"]) for one in items] == [("added", "api:the admin")] + [
        ("edited", "api:the admin")
    ] * 3
    assert [one["before"] and one["before"]["text"] for one in items[:3]] == [
        None,
        "Has a dog called Biscuit.",
        "Has a cat.",
    ]


async def test_evidence_shows_the_words_it_rests_on(served, admin):
    """The quotes, and the turns that are still stored."""
    (turn,) = await say(served.memory, "My dog is called Biscuit.")
    known = fact("Has a dog", turn_ids=(turn.turn_id,), evidence=(Evidence(turn.turn_id, "my dog"),))
    await learn(served.memory, known)
    shown = (await admin.get(f"{FACTS}/{known.fact_id}/evidence")).json()
    assert shown["evidence"] == [{"turn_id": str(turn.turn_id), "quote": "my dog"}]
    assert [one["text"] for one in shown["turns"]] == [turn.text]


async def test_a_forgotten_fact_is_gone_with_its_history(admin):
    """In every list and search; a second time there is nothing to forget."""
    created = await made(admin)
    path = f"{FACTS}/{created.json()['fact_id']}"
    assert (await admin.delete(path, headers={"If-Match": '"old"'})).status_code == 412
    assert (await admin.delete(path)).status_code == 204
    for gone in (path, f"{path}/history", f"{path}/evidence"):
        assert (await admin.get(gone)).status_code == 404
    assert (await admin.delete(path)).status_code == 404
    found = await admin.post("/v1/users/ana/search", json={"text": "What is my dog called?"})
    assert "Biscuit" not in found.json()["block"]


async def test_a_creation_sent_twice_counts_once(admin):
    """At once or later; with another body under the same key it is refused."""
    body, key = {"text": "Has a dog."}, {"Idempotency-Key": "k" * 200}
    answers = await asyncio.gather(*(admin.post(FACTS, json=body, headers=key) for _ in range(6)))
    assert {one.status_code for one in answers} == {201} and len(
        {one.json()["fact_id"] for one in answers}
    ) == 1
    assert (await admin.post(FACTS, json={"text": "Has a cat."}, headers=key)).status_code == 422
    assert len((await admin.get(FACTS)).json()["items"]) == 1


async def test_another_keys_idempotency_key_is_another(served, admin):
    """Two programs may count alike."""
    key = {"Idempotency-Key": "1"}
    async with served.client("service") as service:
        for client in (admin, service):
            assert (await client.post(FACTS, json={"text": "Has a dog."}, headers=key)).status_code == 201
    assert len((await admin.get(FACTS)).json()["items"]) == 2


async def test_what_must_never_be_kept_is_masked(admin):
    """A card number stated by hand, or written into a fact later, is as masked as one that was said."""
    created = await made(admin, "The card number is 4111 1111 1111 1111.")
    path, match = f"{FACTS}/{created.json()['fact_id']}", {"If-Match": created.headers["etag"]}
    edit = {"text": "Pays with card 5500 0000 0000 0004."}
    edited = await admin.patch(path, json=edit, headers=match)
    shown = created.text + edited.text + (await admin.get(f"{path}/history")).text
    sentences = " ".join(re.findall('"[^"]* [^"]*"', shown))  # times and ids have digits of their own
    assert "1111" not in sentences and "0004" not in sentences and sentences.count("•••") >= 2


async def test_nothing_new_is_kept_of_who_said_no(served, admin):
    """Their "stop remembering" counts for people's hands too."""
    await served.memory.consents.write("ana", "off")
    refused = await admin.post(FACTS, json={"text": "Has a dog."})
    assert refused.status_code == 409 and refused.json()["type"].endswith("not-remembered")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": "   "},
        {"text": "x" * 2_001},
        {"text": "a\0b"},
        {"text": "half \ud800"},
        {"text": "x", "importance": 2},
        {"text": "x", "importance": "NaN"},
        {"text": "x", "scope": "everybody"},
        {"text": "x", "unknown": 1},
        {"text": "x", "topic": ""},
        {"text": "x", "valid_from": "2026-01-01"},
        {"text": "x", "valid_from": "9999-12-31T23:59:59-12:00"},
        {"text": "x", "valid_from": "2026-02-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"},
        {"text": ["x"]},
        [],
        None,
    ],
)
async def test_a_body_that_is_wrong_is_refused(admin, body):
    """With where it is wrong, and nothing is stored."""
    import json

    content = json.dumps(body).encode()
    response = await admin.post(FACTS, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422 and response.json()["errors"], response.text
    assert (await admin.get(FACTS)).json()["items"] == []


async def test_an_edit_that_is_wrong_is_refused(admin):
    """Nothing, null where something must stand, an end before the beginning."""
    created = await made(admin, valid_from="2026-01-01T00:00:00Z")
    path, etag = f"{FACTS}/{created.json()['fact_id']}", {"If-Match": created.headers["etag"]}
    for body in ({}, {"text": None}, {"topic": None}, {"valid_until": "2025-01-01T00:00:00Z"}):
        assert (await admin.patch(path, json=body, headers=etag)).status_code == 422, body
    assert (await admin.patch(f"{FACTS}/{uuid4()}", json={"topic": "x"}, headers=etag)).status_code == 404
