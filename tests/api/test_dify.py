"""Dify's external knowledge API: one person's memory as a knowledge base."""

from datetime import UTC, datetime

import pytest

from echoic.api.access.keys import add_key
from tests.remembered import fact, learn, say

PATH = "/channels/dify/retrieval"


def asked(knowledge_id="ana", query="What is my dog called?", top_k=5, score_threshold=0.0, **more):
    setting = {"top_k": top_k, "score_threshold": score_threshold}
    return {"knowledge_id": knowledge_id, "query": query, "retrieval_setting": setting} | more


@pytest.fixture
async def dify(served):
    """As Dify asks, with a key for all."""
    await learn(
        served.memory,
        fact("Has a dog called Biscuit", said_at=datetime(2026, 5, 4, tzinfo=UTC)),
        fact("Lives in Porto"),
        fact("Has a cat called Minka", "bo"),
    )
    async with served.client("service") as client:
        yield client


async def records(client, **given):
    answer = await client.post(PATH, json=asked(**given))
    assert answer.status_code == 200, answer.text
    return answer.json()["records"]


async def test_what_is_remembered_comes_as_records(dify):
    """Nearest first, each with a score from 0 to 1, a title, and metadata that is an object."""
    first, *rest = await records(dify)
    assert first["content"] == "Has a dog called Biscuit" and first["title"] == "fact of 2026-05-04"
    assert first["metadata"]["kind"] == "fact" and first["metadata"]["said_at"] == "2026-05-04T00:00:00Z"
    scores = [one["score"] for one in (first, *rest)]
    assert scores == sorted(scores, reverse=True) and all(0 <= score <= 1 for score in scores)
    assert await records(dify, query="Hello") == [] or all("Minka" not in str(one) for one in rest)


async def test_top_k_and_threshold_are_kept(served, dify):
    """No more than wanted, and none that is further away."""
    await say(served.memory, *(f"My dog Biscuit likes ball number {number}." for number in range(8)))
    assert len(await records(dify, top_k=3)) == 3
    (least, *_) = sorted(one["score"] for one in await records(dify, top_k=8))
    near = await records(dify, top_k=8, score_threshold=min(1.0, least + 0.01))
    assert 0 < len(near) < 8
    assert await records(dify, query="zebra crossing", score_threshold=1.0) == []


async def test_a_knowledge_is_one_persons(served, dify):
    """Nothing of another is found, whatever is asked; a person's key opens their own only."""
    assert "Minka" not in str(await records(dify, query="What is the cat Minka called?", top_k=50))
    assert "Minka" in str(await records(dify, knowledge_id="bo", query="What is the cat called?"))
    async with served.client("user", "ana") as client:
        assert "Biscuit" in str(await records(client))
        answer = await client.post(PATH, json=asked("bo"))
        assert answer.status_code == 403 and answer.json()["error_code"] == 1002


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic eDp5", "KEY"])
async def test_a_header_that_is_none_is_told(served, authorization):
    """1001, as Dify knows it."""
    headers = {} if authorization is None else {"Authorization": authorization}
    async with served.without_key(**headers) as client:
        answer = await client.post(PATH, json=asked())
    assert answer.status_code == 403 and answer.json()["error_code"] == 1001 and answer.json()["error_msg"]


async def test_a_key_that_is_none_is_told(served):
    """1002: unknown, too old; also before it is known whether the knowledge exists."""
    old, _ = await add_key(served.memory.db, "an old one", "service", valid_s=-1)
    for key in ("x", old, "echoic_" + "a" * 43):
        async with served.without_key(Authorization=f"Bearer {key}") as client:
            for body in (asked(), asked("nobody"), {}):
                answer = await client.post(PATH, json=body)
                assert answer.status_code == 403 and answer.json()["error_code"] == 1002


@pytest.mark.parametrize("knowledge_id", ["nobody", "", " ", "x" * 201, "a\0b"])
async def test_a_knowledge_that_is_not_there_is_told(dify, knowledge_id):
    """2001, and not the id."""
    answer = await dify.post(PATH, json=asked(knowledge_id))
    assert answer.status_code == 404 and answer.json()["error_code"] == 2001 and "xxx" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {}, [], "text", None,
        {"knowledge_id": "ana"},
        asked(query=""),
        asked(query="zebra" * 1_000),
        asked(query=7),
        asked(top_k=0),
        asked(top_k="zebra"),
        asked(score_threshold=2),
        asked(score_threshold="zebra"),
        asked(metadata_condition={"conditions": [{"name": "zebra", "comparison_operator": "is"}]}),
        asked(metadata_condition={"conditions": [{"name": ["kind"], "comparison_operator": "zebra"}]}),
        asked(metadata_condition={"logical_operator": "xor", "conditions": []}),
        asked(metadata_condition="zebra"),
    ],
)  # fmt: skip
async def test_a_request_that_does_not_fit_is_told(dify, body):
    """What is wrong in it, in Dify's form; a condition that is not understood is never passed over."""
    answer = await dify.post(PATH, json=body)
    assert answer.status_code == 400 and "zebrazebra" not in answer.text
    assert answer.json()["error_code"] == 1000 and answer.json()["error_msg"].startswith("The request")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 20_000])
async def test_a_body_that_is_no_json_is_told(dify, body):
    """The same."""
    assert (await dify.post(PATH, content=body)).json()["error_code"] == 1000


@pytest.mark.parametrize(
    ("condition", "kinds"),
    [
        ({"name": ["kind"], "comparison_operator": "is", "value": "fact"}, {"fact"}),
        ({"name": "kind", "comparison_operator": "is not", "value": "fact"}, {"turn"}),
        ({"name": ["kind"], "comparison_operator": "in", "value": ["turn", "x"]}, {"turn"}),
        ({"name": ["kind"], "comparison_operator": "not in", "value": ["turn"]}, {"fact"}),
        ({"name": ["kind", "role"], "comparison_operator": "contains", "value": "tur"}, {"turn"}),
        ({"name": ["kind"], "comparison_operator": "start with", "value": "f"}, {"fact"}),
        ({"name": ["kind"], "comparison_operator": "end with", "value": "n"}, {"turn"}),
        ({"name": ["kind"], "comparison_operator": "empty"}, set()),
        ({"name": ["kind"], "comparison_operator": "not empty"}, {"fact", "turn"}),
        ({"name": ["day"], "comparison_operator": "before", "value": "2026-05-05"}, {"fact"}),
        ({"name": ["said_at"], "comparison_operator": "after", "value": "2026-05-05"}, {"turn"}),
    ],
)
async def test_conditions_are_kept(served, dify, condition, kinds):
    """Each operator; two of them together, with `and` and with `or`."""
    await say(served.memory, "My dog Biscuit is asleep now.")
    given = {"query": "What about my dog Biscuit?", "top_k": 2}
    found = await records(dify, **given, metadata_condition={"conditions": [condition]})
    assert {one["metadata"]["kind"] for one in found} == kinds
    never = {"name": "kind", "comparison_operator": "is", "value": "x"}
    both = {"logical_operator": "and", "conditions": [condition, never]}
    assert await records(dify, **given, metadata_condition=both) == []
    either = {"logical_operator": "or", "conditions": [condition, never]}
    assert await records(dify, **given, metadata_condition=either) == found


async def test_memory_that_was_turned_off_tells_nothing(served, dify):
    """As in a call."""
    version = (await served.memory.choices.read("ana")).version
    await served.memory.choices.change("ana", {"memory": False}, version=version)
    assert await records(dify) == []
