"""Settings of a person and of the system: they take effect, lose no change, and give no secret away."""

import asyncio
import json
from uuid import uuid4

import pytest
from pydantic import SecretStr

from echoic.api.access.keys import add_key
from echoic.memory.config import load_settings
from echoic.memory.errors import SchemaMismatch
from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.export import export_user
from echoic.memory.service import open_memory
from echoic.memory.settings import overrides
from echoic.memory.settings.overrides import with_stored
from echoic.memory.settings.system import rotate
from echoic.memory.settings.vault import SecretUnreadable, Vault, VaultLocked, new_key
from echoic.memory.store.database import Database
from echoic.memory.store.reembed import reembed
from echoic.memory.types import Caller
from tests.embedders import WordEmbedder
from tests.fakes import ScriptedModel
from tests.remembered import caller, fact, learn, say

SECRET = "sk-very-secret-wxyz"
MINE = "/v1/users/ana/settings"


@pytest.fixture
def vaulted(served):
    """With a key for secrets in the environment."""
    served.app.state.environment = load_settings(settings_key=SecretStr(new_key()))
    return served


async def change(client, path, fields, version=None):
    version = version or (await client.get(path)).json()["version"]
    return await client.patch(path, json=fields, headers={"If-Match": f'"{version}"'})


async def test_a_person_has_settings_before_they_ever_called(admin):
    """Nothing is chosen, and the answer says what that means."""
    answer = await admin.get(MINE)
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    assert answer.json() | {"version": ""} == {
        "version": "",
        "memory": True,
        "consent": "unknown",
        "policy": "on",
        "retention_days": None,
        "language": None,
        "timezone": None,
    }


async def test_what_is_chosen_is_kept_and_taken_back(admin):
    """A tag is written as the standard has it; null takes a choice back, what is left out stays."""
    chosen = {"retention_days": 30, "language": "PT-br", "timezone": "Europe/Lisbon"}
    answer = await change(admin, MINE, chosen)
    assert answer.status_code == 200, answer.text
    found = (await admin.get(MINE)).json()
    assert found == answer.json() and found | chosen == found | {"language": "PT-br"}
    assert found["language"] == "pt-BR"
    found = (await change(admin, MINE, {"language": None})).json()
    assert (found["language"], found["retention_days"]) == (None, 30)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"mood": "good"},
        {"memory": None},
        {"memory": "yes"},
        {"memory": 1},
        {"consent": "unknown"},
        {"consent": None},
        {"memory": False, "consent": "on"},
        *({"retention_days": days} for days in (0, -1, 36_501, 1.5, "7", True, 1e400)),
        *(
            {"language": tag}
            for tag in ("", "x", "english", "de_DE", "d", "de-", "de--AT", "de\x00", "é", "a" * 300, 5)
        ),
        *(
            {"timezone": zone}
            for zone in ("", "Lisbon", "europe/lisbon", "../../etc/passwd", "Europe", "UTC\x00", "x" * 300, 1)
        ),
    ],
)
async def test_bad_input_is_refused_and_nothing_changes(admin, fields):
    """Every field of a person's settings."""
    before = await admin.get(MINE)
    body = json.dumps(fields).replace("Infinity", "1e999")
    headers = {"If-Match": before.headers["etag"], "Content-Type": "application/json"}
    answer = await admin.patch(MINE, content=body, headers=headers)
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    assert (await admin.get(MINE)).json() == before.json()


@pytest.mark.parametrize("path", [MINE, "/v1/settings"])
async def test_of_two_edits_at_once_one_is_told(admin, path):
    """Two tabs: the second has read what is no longer so. Without an ETag nothing is changed at all."""
    field = {"timezone": "Asia/Tokyo"} if path == MINE else {"llm_model": "a"}
    version = (await admin.get(path)).json()["version"]
    answers = await asyncio.gather(*(change(admin, path, field, version) for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [200, 412, 412, 412, 412]
    assert (await admin.patch(path, json=field)).status_code == 428
    stale = await change(admin, path, field, "of yesterday")
    assert (
        stale.status_code == 412
        and stale.json()["detail"] == "Somebody changed these settings meanwhile: read them again."
    )


async def test_memory_that_is_off_keeps_and_recalls_nothing(served, admin):
    """From the next call on, what was known before included; turned on again, both come back."""
    await learn(served.memory, fact("Has a dog called Biscuit."))
    await say(served.memory, "My dog is called Biscuit.")
    found = (await change(admin, MINE, {"memory": False})).json()
    assert (found["memory"], found["consent"]) == (False, "off")
    call = await served.memory.open_call(caller())
    assert "Biscuit" not in (await call.recall("What is my dog called?")).block
    assert call.prefetch("What is my dog called?") is None
    assert await call.record("i", "user", "My cat is called Tom.") is None
    await call.end()
    asked = {"text": "What is my dog called?"}
    for path in ("/v1/users/ana/search", "/v1/users/ana/context"):
        assert (await admin.post(path, json=asked)).json()["used"] == []
    found = (await change(admin, MINE, {"memory": True})).json()
    assert (found["memory"], found["consent"]) == (True, "on")
    call = await served.memory.open_call(caller())
    assert "Biscuit" in (await call.recall("What is my dog called?")).block
    assert await call.record("j", "user", "My bird is called Kiki.") is not None
    await call.end()


async def test_who_says_remember_me_in_a_call_turns_memory_on(served, admin):
    """The spoken wish and the switch are one."""
    await change(admin, MINE, {"memory": False})
    call = await served.memory.open_call(caller())
    await call.decide(granted=True)
    assert await call.record("i", "user", "I like tea.") is not None
    await call.end()
    assert (await admin.get(MINE)).json()["memory"] is True


async def test_consent_alone_stops_keeping_and_still_recalls(served, admin):
    """As a spoken "stop remembering" does."""
    await learn(served.memory, fact("Has a dog called Biscuit."))
    await change(admin, MINE, {"consent": "off"})
    call = await served.memory.open_call(caller())
    assert "Biscuit" in (await call.recall("What is my dog called?")).block
    assert await call.record("i", "user", "My cat is called Tom.") is None
    await call.end()


async def test_the_chosen_time_zone_and_language_hold_in_the_next_call(served, admin):
    """Before where a token, a number or the last call says that they are."""
    await change(admin, MINE, {"timezone": "Asia/Tokyo", "language": "de-AT"})
    call = await served.memory.open_call(Caller("ana", "echoic", "c", "Europe/Lisbon", timezone_known=True))
    assert (call.caller.timezone, call.choices.language_code) == ("Asia/Tokyo", "de")
    assert (await call.record("i", "user", "I like tea.")).timezone == "Asia/Tokyo"
    await call.end()


async def test_settings_are_exported_and_erased_with_their_person(served, admin):
    """Nothing of what they chose is left, but a no."""
    await change(admin, MINE, {"retention_days": 7, "timezone": "Asia/Tokyo"})
    exported = await export_user(served.memory, "ana")
    assert exported["settings"][0]["retention_days"] == 7
    await erase_user(served.memory, "ana")
    assert (await admin.get(MINE)).json()["timezone"] is None


async def test_one_person_cannot_set_anothers(served):
    """Nor the system's."""
    async with served.client("user", "ana") as client:
        assert (await change(client, MINE, {"language": "de"})).status_code == 200
        assert (await client.get("/v1/users/bo/settings")).status_code == 403
        assert (await client.get("/v1/settings")).status_code == 403


def of(answer, name):
    return next(one for one in answer.json()["settings"] if one["name"] == name)


async def test_the_database_counts_before_the_environment_and_that_before_the_default(served, admin):
    """Each is answered with where it comes from; null takes it back."""
    served.app.state.environment = load_settings(llm_url="http://env/v1")
    read = await admin.get("/v1/settings")
    assert of(read, "llm_url") | {"about": ""} == {
        "name": "llm_url",
        "kind": "extractor",
        "source": "environment",
        "secret": False,
        "set": True,
        "value": "http://env/v1",
        "about": "",
    }
    assert of(read, "embedding_dimensions")["source"] == "default"
    changed = await change(admin, "/v1/settings", {"llm_url": "http://db/v1", "llm_model": "m"})
    assert (of(changed, "llm_url")["value"], of(changed, "llm_url")["source"]) == ("http://db/v1", "database")
    used = await with_stored(served.memory.settings.model_copy(update={"llm_url": "http://env/v1"}))
    assert (used.llm_url, used.llm_model) == ("http://db/v1", "m")
    back = await change(admin, "/v1/settings", {"llm_url": None})
    assert of(back, "llm_url")["value"] == "http://env/v1"


async def test_a_secret_is_kept_encrypted_and_never_shown(vaulted, admin):
    """Not in an answer, not in a row, not in a log; only that it is set."""
    answer = await change(admin, "/v1/settings", {"llm_url": "https://a.example/v1", "llm_api_key": SECRET})
    assert answer.status_code == 200, answer.text
    assert of(answer, "llm_api_key")["set"] is True and of(answer, "llm_api_key")["value"] is None
    for text in (answer.text, (await admin.get("/v1/settings")).text):
        assert SECRET not in text and SECRET[-4:] not in text
    rows = await vaulted.memory.db.run(
        lambda connection: connection.fetch(
            "select system_settings::text, encode(secret, 'escape') from system_settings"
        )
    )
    assert SECRET not in str(rows)
    environment = vaulted.app.state.environment
    here = vaulted.memory.settings.model_copy(update={"settings_key": environment.settings_key})
    assert (await with_stored(here)).llm_api_key.get_secret_value() == SECRET


async def test_an_address_of_the_environment_is_shown_without_its_password(served, admin):
    """Some put it there."""
    served.app.state.environment = load_settings(llm_url=f"http://me:{SECRET}@127.0.0.1:1/v1", llm_model="m")
    answer = await admin.get("/v1/settings")
    assert of(answer, "llm_url")["value"] == "http://127.0.0.1:1/v1" and SECRET not in answer.text
    tried = await admin.post("/v1/settings/test", json={"part": "learning"})
    assert "http://127.0.0.1:1/v1" in tried.text and SECRET not in tried.text


async def test_without_a_key_no_secret_is_kept(served, admin):
    """And the answer says what to do."""
    answer = await change(admin, "/v1/settings", {"llm_api_key": SECRET})
    assert answer.status_code == 409 and "ECHOIC_SETTINGS_KEY" in answer.json()["detail"]
    assert (await admin.get("/v1/settings")).json()["can_keep_secrets"] is False


async def test_a_secret_is_not_sent_to_another_address(vaulted, admin):
    """Neither the stored one nor that of the environment: whoever sets an address could have it."""
    base = vaulted.app.state.environment.model_copy(update={"embedding_api_key": SecretStr(SECRET)})
    vaulted.app.state.environment = base
    await change(admin, "/v1/settings", {"llm_url": "https://a.example/v1", "llm_api_key": SECRET})
    answer = await change(admin, "/v1/settings", {"llm_url": "https://evil.example/v1"})
    assert of(answer, "llm_api_key")["set"] is False
    answer = await change(admin, "/v1/settings", {"embedding_url": "https://evil.example/v1"})
    assert of(answer, "embedding_api_key")["set"] is False
    stored = await vaulted.memory.db.run(overrides.stored_in)
    used = overrides.applied(base, stored, embed_anew=True)
    assert used.embedding_url == "https://evil.example/v1"
    assert used.embedding_api_key.get_secret_value() == used.llm_api_key.get_secret_value() == ""


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"database_url": "postgresql://evil"},
        {"llm_url": "ftp://a"},
        {"llm_url": "not an address"},
        {"llm_url": "http://a:0/"},
        {"llm_url": "x" * 501},
        {"llm_url": "https://me:secret@a.example/v1"},
        {"llm_url": 5},
        {"llm_model": "a\x00b"},
        {"llm_api_key": "with space"},
        {"llm_api_key": "é"},
        {"extractor": "magic"},
        {"graph": True},
        {"embedding_dimensions": 7},
        {"embedding_dimensions": "384"},
        {"embedding_dimensions": 16_001},
        {"falkordb_url": "http://a"},
        {"falkordb_url": "redis://"},
        {"neo4j_url": "redis://a"},
        {"neo4j_user": "a\nb"},
    ],
)
async def test_a_setting_that_is_wrong_is_refused_with_its_name(vaulted, admin, fields):
    """Before anything is stored; a secret is not repeated in the answer."""
    answer = await change(admin, "/v1/settings", fields)
    assert answer.status_code == 422, answer.text
    assert next(iter(fields), "nothing") in answer.text and "with space" not in answer.text
    assert not (await vaulted.memory.db.run(overrides.stored_in)).names


async def test_rotation_frees_the_old_key(vaulted, admin):
    """Everything is then encrypted with the first key; a key that fits nothing changes nothing."""
    old = vaulted.app.state.environment.settings_key.get_secret_value()
    await change(admin, "/v1/settings", {"llm_api_key": SECRET})
    new, db = new_key(), vaulted.memory.db
    both, alone = (load_settings(settings_key=SecretStr(keys)) for keys in (f"{new}, {old}", new))
    with pytest.raises(SecretUnreadable):
        await rotate(db, alone)
    assert await rotate(db, both) == 1
    stored = await db.run(overrides.stored_in)
    assert Vault(alone).unlock("llm_api_key", stored.locked["llm_api_key"]) == {"value": SECRET}
    with pytest.raises(SecretUnreadable):
        Vault(alone).unlock("embedding_api_key", stored.locked["llm_api_key"])
    with pytest.raises(VaultLocked):
        await rotate(db, load_settings())


async def test_what_cannot_be_used_leaves_the_environment_in_force(vaulted, admin, caplog):
    """A secret of a lost key, a database that is away or was never made: the process starts all the same."""
    await change(
        admin, "/v1/settings", {"llm_url": "https://a.example/v1", "llm_api_key": SECRET, "graph": "off"}
    )
    here = vaulted.memory.settings.model_copy(update={"llm_model": "env", "graph": "on"})
    used = await with_stored(here)
    assert (used.llm_url, used.llm_model, used.graph) == (here.llm_url, "env", "off")
    assert SECRET not in caplog.text
    away = here.model_copy(update={"database_url": SecretStr("postgresql://127.0.0.1:1/none")})
    assert await with_stored(away, limit_s=0.5) == away


async def test_another_embedder_waits_until_everything_is_embedded_anew(served, admin):
    """Its cost is answered, vectors are not mixed, no start is refused, and `reembed` goes over to it."""
    db, here = (
        served.memory.db,
        served.memory.settings.model_copy(update={"embedding_model": "words", "embedding_dimensions": 64}),
    )
    await learn(served.memory, fact("Has a dog"), fact("Has a cat"))
    await say(served.memory, "I have a dog.")
    wanted = {"embedding_url": "http://127.0.0.1:1/v1", "embedding_model": "big", "embedding_dimensions": 96}
    answer = await change(admin, "/v1/settings", wanted)
    vectors = answer.json()["vectors"]
    assert (vectors["in_use"], vectors["wanted"], vectors["texts"]) == ("words:64", "big:96", 3)
    assert vectors["waits"] and "3 texts must be embedded again" in vectors["sentence"]
    assert await with_stored(here) == here
    anew = await with_stored(here, embed_anew=True)
    assert (anew.embedding_model, anew.embedding_dimensions) == ("big", 96)
    with pytest.raises(SchemaMismatch):
        async with open_memory(anew, embedder=WordEmbedder("big", 96)):
            pass
    await db.close()  # `reembed` wants to be alone
    alone = Database(here.database_url.get_secret_value())
    assert await reembed(alone, WordEmbedder("big", 96)) == 3
    await alone.close()
    assert (await with_stored(here)).embedding_model == "big"


async def test_a_model_is_tried_and_the_answer_is_words(served, admin):
    """With what is set, and with what is not set yet; whatever the other side does."""

    async def tried(part="learning", **changes):
        answer = await admin.post("/v1/settings/test", json={"part": part, "changes": changes})
        assert answer.status_code == 200, answer.text
        return answer.json()["ok"], answer.json()["sentence"]

    assert await tried() == (False, "No language model is set: name an address, or a key for OpenAI.")
    with ScriptedModel("yes", name="tiny") as model:
        assert await tried(llm_url=model.url, llm_model="tiny") == (True, f"tiny at {model.url} answered.")
    ok, says = await tried(llm_url=model.url, llm_model="tiny")
    assert not ok and "cannot be reached" in says
    ok, says = await tried("embedding", embedding_url=model.url, embedding_model="e")
    assert not ok and "embedding endpoint failed" in says
    assert await tried("embedding") == (
        True,
        "minilm-use-e5 at this machine answered with 1280 numbers for a text.",
    )
    assert await tried("graph") == (True, "The graph is off: nothing is asked.")
    assert (await tried("graph", graph="on"))[0] is False
    for body in ({}, {"part": "all"}, {"part": "graph", "changes": {"agent_id": "x"}}):
        assert (await admin.post("/v1/settings/test", json=body)).status_code == 422


async def test_keys_are_made_shown_once_and_revoked(served, admin):
    """By an administrator; the key works at once, and is refused at once."""
    made = await admin.post("/v1/keys", json={"name": "the shop", "role": "user", "user_id": "ana"})
    assert made.status_code == 201 and made.json()["key"].startswith("echoic_")
    async with served.without_key(Authorization=f"Bearer {made.json()['key']}") as client:
        assert (await client.get("/v1/me")).json()["user_id"] == "ana"
        listed = await admin.get("/v1/keys")
        assert made.json()["key"] not in listed.text and "the shop" in listed.text
        gone = f"/v1/keys/{made.json()['key_id']}"
        assert (await admin.delete(gone)).status_code == 204
        assert (await client.get("/v1/me")).status_code == 401
        assert (await admin.delete(gone)).status_code == 204
        assert (await admin.delete(f"/v1/keys/{uuid4()}")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "", "role": "admin"},
        {"name": "x" * 101, "role": "admin"},
        {"name": "a\nb", "role": "admin"},
        {"name": "a", "role": "king"},
        {"name": "a", "role": "user"},
        {"name": "a", "role": "admin", "user_id": "ana"},
        {"name": "a", "role": "user", "user_id": "x" * 201},
        {"name": "a", "role": "user", "user_id": "a\x00"},
        {"name": "a", "role": "admin", "valid_days": 0},
        {"name": "a", "role": "admin", "valid_days": 1e9},
    ],
)
async def test_a_key_that_cannot_be_is_refused(served, admin, body):
    """Every field."""
    assert (await admin.post("/v1/keys", json=body)).status_code == 422
    assert len((await admin.get("/v1/keys")).json()["items"]) == 1


async def test_a_service_makes_no_keys(served):
    """A key must not make a stronger one."""
    _, listed = await add_key(served.memory.db, "another", "service")
    async with served.client("service") as client:
        assert (await client.post("/v1/keys", json={"name": "a", "role": "admin"})).status_code == 403
        assert (await client.delete(f"/v1/keys/{listed.key_id}")).status_code == 403
