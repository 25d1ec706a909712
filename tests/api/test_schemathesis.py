"""Whatever the document allows, and what it does not: the served API answers as it says, without a defect.

Requests are made by Schemathesis from the document, the same ones each time.
"""

import asyncio
import time
from contextlib import suppress
from uuid import UUID

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from echoic.api.access.door import NEEDED
from echoic.api.access.keys import add_key
from tests.remembered import fact, learn, say
from tools.openapi import document

LIMIT_S = 60
EXAMPLES = {GenerationMode.POSITIVE: 14, GenerationMode.NEGATIVE: 10}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
REFUSALS = [*CHECKS, negative_data_rejection]
TOO_LARGE = (413, 414, 431)
"""Refusals that Schemathesis does not count as such: of a body, an address, a head."""
PARTS = 5
"""So that a failure names its share, and none takes long."""


def operations():
    """Without what the document says of keys: that is for test_access.py, and here each request has one.

    Nor of lists in addresses: a word there is a list of one, and Schemathesis would call it a mistake.
    """
    whole = document()
    whole["components"].pop("securitySchemes")
    for methods in whole["paths"].values():
        for one in methods.values():
            one.pop("security", None)
            one["parameters"] = [each for each in one.get("parameters", ()) if not is_list(each["schema"])]
    schema = schemathesis.openapi.from_dict(whole)
    found = [one.ok() for one in schema.get_all_operations()]
    return sorted(found, key=lambda one: one.method == "delete")  # the others look at what it takes away


def is_list(schema):
    return any(one.get("type") == "array" for one in schema.get("anyOf", [schema]))


def label(one):
    return f"{one.method.upper()} {one.path}"


@pytest.mark.timeout(LIMIT_S * 2)
@pytest.mark.parametrize("part", range(PARTS))
async def test_the_served_api_keeps_to_its_document(served, address, part, monkeypatch):
    """Every route, with what fits its description and with what does not."""
    for name in NEEDED:
        monkeypatch.setenv(name, "ws://127.0.0.1:7880/" + "k" * 32)
    known = fact("Has a dog called Biscuit", "ana")
    await learn(served.memory, known)
    (turn,) = await say(served.memory, "My dog is called Biscuit.")
    key, _ = await add_key(served.memory.db, "schemathesis", "admin")
    there = {"user_id": "ana", "fact_id": known.fact_id, "turn_id": turn.turn_id, "call_id": "call"}
    asker = Asker(address, key, there)
    began = time.monotonic()
    faults = {}
    mine = operations()[part::PARTS]
    for one in mine:
        if found := await asyncio.to_thread(asker.ask, one):
            faults[label(one)] = found
    assert not faults, "\n\n".join(f"{name}: {said}" for name, said in faults.items())
    assert len(asker.answered) > len(mine) / 3, asker.answered
    assert time.monotonic() - began < LIMIT_S


class Asker:
    """Asks one route after the other; half of its questions are about what is there."""

    def __init__(self, address: str, key: str, there: dict[str, str | UUID]) -> None:
        self._address, self._there = address, {name: str(value) for name, value in there.items()}
        self._headers = {"Authorization": f"Bearer {key}"}
        self._asked = 0
        self.answered = set()
        """Routes that did what they were asked at least once."""

    def ask(self, operation) -> str:
        """What is wrong with the answers; empty: nothing."""
        try:
            for mode, count in EXAMPLES.items():
                with suppress(Unsatisfiable):  # any text is an id: nothing can be wrong with it
                    self._run(operation, mode, count)
        except BaseException as exc:
            return "\n".join(str(one) for one in getattr(exc, "exceptions", [exc]))[:1_500]
        return ""

    def _run(self, operation, mode: GenerationMode, count: int) -> None:
        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=count,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def one(case) -> None:
            self._one(case, CHECKS if mode is GenerationMode.POSITIVE else REFUSALS)

        one()

    def _one(self, case, checks) -> None:
        self._asked += 1
        if self._asked % 2 and case.path_parameters and checks is CHECKS:
            for name in case.path_parameters.keys() & self._there.keys():
                case.path_parameters[name] = self._there[name]
        if case.operation.path.endswith("/events"):
            self._stream(case)
            return
        answer = case.call(base_url=self._address, headers=self._headers, timeout=10)
        if answer.status_code in TOO_LARGE:  # refused before anybody has read it
            checks = CHECKS
        case.validate_response(answer, checks=checks)
        if answer.status_code < 300:
            self.answered.add(label(case.operation))

    def _stream(self, case) -> None:
        """It would not end: how it begins is looked at."""
        asked = case.as_transport_kwargs(base_url=self._address, headers=self._headers)
        asked = {name: asked[name] for name in ("method", "url", "headers", "params") if name in asked}
        with requests.request(**asked, stream=True, timeout=10) as answer:
            assert answer.status_code in (200, 400, 422), answer.status_code
            kind = "event-stream" if answer.status_code == 200 else "problem+json"
            assert kind in answer.headers["content-type"]
