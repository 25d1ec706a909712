"""Providers: kept at hand, used one of a kind, and never telling their secrets."""

import asyncio
from uuid import uuid4

import pytest
from pydantic import SecretStr

from echoic.memory.config import load_settings
from echoic.memory.settings.overrides import applied, stored_in
from echoic.memory.settings.system import rotate
from echoic.memory.settings.vault import new_key
from tests.remembered import fact, learn

SECRET = "sk-very-secret-wxyz"
OURS = {
    "kind": "extractor",
    "type": "echoic",
    "name": "ours",
    "fields": {"url": "https://a.example/v1", "model": "m", "api_key": SECRET},
}
GRAPH = {"kind": "graph", "type": "neo4j", "name": "graph", "fields": {"url": "neo4j://graph:7687"}}


@pytest.fixture
def vaulted(served):
    """With a key for secrets in the environment."""
    served.app.state.environment = load_settings(settings_key=SecretStr(new_key()))
    return served


async def add(client, provider, **more):
    answer = await client.post("/v1/providers", json=provider | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def change(client, provider, **fields):
    path = f"/v1/providers/{provider['provider_id']}"
    return await client.patch(path, json=fields, headers={"If-Match": f'"{provider["version"]}"'})


async def in_force(served):
    """The settings that a process would start with."""
    return applied(served.app.state.environment, await served.memory.db.run(stored_in), embed_anew=True)


async def test_the_kinds_say_what_each_needs(admin):
    """Every field in words; what a form needs to know of it."""
    kinds = (await admin.get("/v1/providers/kinds")).json()["items"]
    assert {one["kind"] for one in kinds} == {"extractor", "embedder", "graph"}
    assert all(one["about"] and all(field["about"] for field in one["fields"]) for one in kinds)
    openai = next(one for one in kinds if one["type"] == "openai")
    needed = {
        field["name"]: (field["required"], field["secret"], field["is_number"]) for field in openai["fields"]
    }
    assert needed == {
        "url": (True, False, False),
        "model": (True, False, False),
        "dimensions": (True, False, True),
        "api_key": (False, True, False),
    }


async def test_a_provider_that_is_activated_is_what_the_system_uses(vaulted, admin):
    """As a whole; one of a kind; turned off, the environment counts again."""
    ours = await add(admin, OURS)
    assert not ours["active"] and (await in_force(vaulted)).llm_url == ""
    ours = (await change(admin, ours, active=True)).json()
    used = await in_force(vaulted)
    assert (used.extractor, used.llm_url, used.llm_model) == ("echoic", "https://a.example/v1", "m")
    assert used.llm_api_key.get_secret_value() == SECRET
    other = await add(admin, OURS, name="OpenAI", fields={"api_key": "k"}, active=True)
    used = await in_force(vaulted)
    assert (used.llm_url, used.llm_model, used.llm_api_key.get_secret_value()) == ("", "", "k")
    listed = {one["name"]: one["active"] for one in (await admin.get("/v1/providers")).json()["items"]}
    assert listed == {"ours": False, "OpenAI": True}
    await change(admin, other, active=False)
    assert (await in_force(vaulted)).llm_api_key.get_secret_value() == ""


async def test_an_active_provider_that_is_edited_changes_the_system(vaulted, admin):
    """And a setting that is changed by hand leaves no provider that says otherwise."""
    ours = await add(admin, OURS, active=True)
    changed = await change(admin, ours, fields={"model": "n"})
    assert changed.status_code == 200 and changed.json()["fields"]["model"] == "n"
    used = await in_force(vaulted)
    assert (used.llm_model, used.llm_api_key.get_secret_value()) == ("n", SECRET)
    version = (await admin.get("/v1/settings")).headers["etag"]
    await admin.patch("/v1/settings", json={"llm_model": "by hand"}, headers={"If-Match": version})
    assert [one["active"] for one in (await admin.get("/v1/providers")).json()["items"]] == [False]


async def test_no_answer_and_no_row_holds_a_secret(vaulted, admin):
    """Only which are set; an address that is changed loses its secret; rotation reaches them."""
    ours = await add(admin, OURS, active=True)
    assert ours["secrets_set"] == ["api_key"] and "api_key" not in ours["fields"]
    texts = [
        (await admin.get(path)).text for path in ("/v1/providers", f"/v1/providers/{ours['provider_id']}")
    ]
    rows = await vaulted.memory.db.run(
        lambda connection: connection.fetch(
            "select providers::text, encode(secrets, 'escape') from providers"
        )
    )
    assert SECRET not in f"{ours}{texts}{rows}" and SECRET[-4:] not in f"{ours}{texts}"
    old = vaulted.app.state.environment.settings_key.get_secret_value()
    vaulted.app.state.environment = load_settings(settings_key=SecretStr(f"{new_key()},{old}"))
    assert await rotate(vaulted.memory.db, vaulted.app.state.environment) == 2
    ours = (await admin.get(f"/v1/providers/{ours['provider_id']}")).json()
    moved = (await change(admin, ours, fields={"url": "https://evil.example/v1"})).json()
    assert moved["secrets_set"] == []
    assert (await in_force(vaulted)).llm_api_key.get_secret_value() == ""


async def test_another_embedder_says_what_it_costs(served, admin):
    """Before it is used."""
    await learn(served.memory, fact("Has a dog"), fact("Has a cat"))
    fields = {"url": "https://a.example/v1", "model": "e5", "dimensions": 1024}
    made = await add(admin, {"kind": "embedder", "type": "openai", "name": "e5", "fields": fields})
    assert made["vectors"] | {"sentence": ""} == {
        "in_use": "words:64",
        "wanted": "e5:1024",
        "texts": 2,
        "waits": True,
        "sentence": "",
    }


async def test_what_is_used_is_not_deleted(served, admin):
    """Another one, or none, first."""
    graph = await add(admin, GRAPH, active=True)
    path = f"/v1/providers/{graph['provider_id']}"
    assert (await admin.delete(path)).status_code == 409
    assert (await change(admin, graph, active=False)).status_code == 200
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.delete(path)).status_code == (await admin.get(path)).status_code == 404


async def test_of_two_edits_at_once_one_is_told(served, admin):
    """And of two that are given one name."""
    graph = await add(admin, GRAPH)
    answers = await asyncio.gather(*(change(admin, graph, name=f"graph {n}") for n in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 412, 412, 412]
    made = await asyncio.gather(*(admin.post("/v1/providers", json=GRAPH) for _ in range(3)))
    assert sorted(one.status_code for one in made) == [201, 409, 409]
    assert (await admin.patch(f"/v1/providers/{graph['provider_id']}", json={"name": "x"})).status_code == 428


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "toaster"},
        {"type": "falcon"},
        {"type": ""},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\x00"},
        {"active": "yes"},
        {"mood": 1},
        {"fields": None},
        {"fields": {}},
        {"fields": {"url": ""}},
        {"fields": {"url": "http://graph"}},
        {"fields": {"url": 7}},
        {"fields": {"url": ["neo4j://graph"]}},
        {"fields": {"url": "neo4j://graph", "colour": "red"}},
        {"fields": {"url": "neo4j://graph", "user": "x" * 501}},
        {"fields": {f"field{n}": "x" for n in range(11)}},
    ],
)
async def test_a_provider_that_cannot_be_is_refused(served, admin, wrong):
    """Every field, of its own and of its kind."""
    assert (await admin.post("/v1/providers", json=GRAPH | wrong)).status_code == 422
    assert (await admin.get("/v1/providers")).json()["items"] == []


async def test_an_edit_that_cannot_be_is_refused(served, admin):
    """What is stored stays."""
    graph = await add(admin, GRAPH)
    for wrong in ({}, {"name": None}, {"fields": {"url": None}}, {"fields": {"x": "y"}}, {"type": "off"}):
        assert (await change(admin, graph, **wrong)).status_code == 422, wrong
    path = f"/v1/providers/{graph['provider_id']}"
    assert (await admin.get(path)).json() == graph
    assert (await admin.get("/v1/providers/nonsense")).status_code == 422
    gone = await admin.patch(f"/v1/providers/{uuid4()}", json={"name": "x"}, headers={"If-Match": '"x"'})
    assert gone.status_code == 404


async def test_without_a_key_a_secret_is_refused_and_the_rest_is_kept(served, admin):
    """An address without a secret needs none."""
    assert (await admin.post("/v1/providers", json=OURS)).status_code == 409
    assert (await add(admin, OURS, fields={"url": "http://a/v1", "model": "m"}))["secrets_set"] == []
