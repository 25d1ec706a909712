"""Memobase's Go client: no registry serves it, so a program of ours asks and reads as it does."""

import json
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from tests.clients.programs import go_program

pytestmark = pytest.mark.timeout(300)  # the first time it is compiled


def test_one_conversation(own_house):
    """Users, blobs, profile, events, context, project: each request that it has."""
    program, user = go_program("over_go", Path(__file__).parent / "over_go.go"), str(uuid4())
    run = [str(program), own_house.address, own_house.key(), user]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "errno 404" in told.pop("unknown") and "errno 404" in told.pop("gone")
    context = told.pop("context")
    assert "Biscuit" in context and "Lisbon" not in context
    assert "Biscuit" in told.pop("gist") and told.pop("days") >= 1
    assert sorted(told.pop("profiles")) == [["contact_info", "Lisbon"], ["pets", "Has a dog called Biscuit"]]
    assert told == {
        "user": user,
        "kept": {"name": "Gus"},
        "blob": "chat: My dog is called Biscuit.",
        "listed": True,
        "idle": 1,
        "deleted": True,
        "dated": True,
        "events": 1,
        "learned": "Has a dog called Biscuit",
        "found": 1,
        "similar": True,
        "tip": "Spoke of a dog.",
        "billed": True,
        "users": 1,
        "config": "language: en",
    }
