"""`echoic settings` beside a running API: listed, taken back, rotated; real processes, one database."""

import json

import httpx
import pytest

from tests.api.test_command import echoic, served, variables

__all__ = ["variables"]
pytestmark = pytest.mark.timeout(240)  # each process imports for two seconds, ten on a busy machine
SECRET = "sk-very-secret-wxyz"


def listed(variables):
    return {one["name"]: one for one in json.loads(echoic(variables, "settings", "list", "--json"))}


def test_what_the_api_sets_the_command_line_shows_takes_back_and_rotates(variables):
    """A secret is shown nowhere, and survives a change of keys."""
    old = echoic(variables, "settings", "key").strip()
    variables["ECHOIC_SETTINGS_KEY"] = old
    with served(variables, "--dev") as (address, _), httpx.Client(base_url=address) as client:
        version = client.get("/v1/settings").headers["etag"]
        body = {"llm_url": "https://a.example/v1", "llm_api_key": SECRET, "llm_model": "m"}
        changed = client.patch("/v1/settings", json=body, headers={"If-Match": version})
        assert changed.status_code == 200, changed.text
        assert any(one["present"] for one in client.get("/v1/model-files").json()["items"])
    found = listed(variables)
    assert (found["llm_url"]["value"], found["llm_url"]["source"]) == ("https://a.example/v1", "database")
    assert found["llm_api_key"]["set"] and SECRET not in json.dumps(found)
    assert SECRET not in echoic(variables, "settings", "list")
    variables["ECHOIC_SETTINGS_KEY"] = f"{echoic(variables, 'settings', 'key').strip()},{old}"
    assert echoic(variables, "settings", "rotate").startswith("Secrets encrypted with the first key: 1;")
    variables["ECHOIC_SETTINGS_KEY"] = old
    assert "enter it again" in echoic(variables, "settings", "rotate", status=1)
    assert "Taken back" in echoic(variables, "settings", "unset", "llm_url", "llm_api_key")
    assert listed(variables)["llm_url"]["source"] == "default"
    assert "cannot be set" in echoic(variables, "settings", "unset", "database_url", status=1)


def test_a_key_that_is_none_stops_the_start_with_its_name(variables):
    """And is not repeated."""
    variables["ECHOIC_SETTINGS_KEY"] = "my secret passphrase"
    said = echoic(variables, "settings", "list", status=1)
    assert "ECHOIC_SETTINGS_KEY is wrong" in said and "passphrase" not in said
