"""The API's description: complete, with examples, and nothing in it that breaks who used the released one."""

import copy
import json
from pathlib import Path

import pytest

from tools.openapi import breaking, document

RELEASED = json.loads((Path(__file__).parent / "openapi-v1.json").read_text())


def test_nothing_breaks_a_client_of_the_released_document():
    """Additions are free; for anything else there is /v2."""
    assert breaking(RELEASED, document()) == []


def _drop(path):
    def change(new):
        *way, last = path
        for key in way:
            new = new[key]
        new.remove(last) if isinstance(new, list) else new.pop(last)

    return change


def _need(schema, field):
    return lambda new: new["components"]["schemas"][schema].setdefault("required", []).append(field)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_drop(("paths", "/v1/users")), "GET /v1/users is gone"),
        (_drop(("paths", "/v1/users/{user_id}", "delete")), "DELETE /v1/users/{user_id} is gone"),
        (_drop(("components", "schemas", "FactAnswer", "properties", "about")), "FactAnswer lost about"),
        (
            _drop(("components", "schemas", "FactAnswer", "required", "about")),
            "FactAnswer may lack about now",
        ),
        (_need("FactCreate", "topic"), "FactCreate now needs topic"),
        (_drop(("paths", "/v1/users", "get", "parameters")), "GET /v1/users lost the parameter limit"),
        (
            lambda new: new["components"]["schemas"]["FactAnswer"]["properties"]["text"].update(
                type="integer"
            ),
            "FactAnswer.text is of another type",
        ),
        (
            lambda new: new["components"]["schemas"]["FactAnswer"]["properties"]["scope"]["enum"].pop(),
            "FactAnswer.scope lost agent",
        ),
    ],
)
def test_a_breaking_change_is_seen(change, says):
    """Each kind of it, in a sentence."""
    new = copy.deepcopy(RELEASED)
    change(new)
    assert says in breaking(RELEASED, new)


def test_additions_break_nobody():
    """A field of an answer, an optional parameter, a route."""
    new = copy.deepcopy(RELEASED)
    new["components"]["schemas"]["FactAnswer"]["properties"]["mood"] = {"type": "string"}
    new["paths"]["/v1/moods"] = {"get": {"responses": {"200": {}}}}
    new["paths"]["/v1/users"]["get"]["parameters"].append({"name": "mood", "schema": {"type": "string"}})
    assert breaking(RELEASED, new) == []


def test_everything_is_described_with_examples():
    """Each route in words, each body with something to send."""
    found = document()
    for path, methods in found["paths"].items():
        for method, one in methods.items():
            assert one.get("description"), (method, path)
    for name in ("FactCreate", "SearchBody", "ContextBody"):
        fields = found["components"]["schemas"][name]["properties"]
        assert any("examples" in field for field in fields.values()), name


async def test_it_is_served(served):
    """To anybody: it says nothing about anyone."""
    async with served.without_key() as client:
        assert (await client.get("/v1/openapi.json")).json()["paths"].keys() == RELEASED["paths"].keys()
