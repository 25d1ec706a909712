"""Memobase's JavaScript client from npm, driven by a script: needs a package index the first time."""

import json
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from tests.clients.programs import BIN, npm_folder, with_node

HERE = Path(__file__).parent
pytestmark = pytest.mark.timeout(300)  # the first time it is installed


@pytest.fixture(scope="module")
def script():
    """Beside the packages, where Node looks for them."""
    return shutil.copy(HERE / "drive.mjs", npm_folder("memobase", HERE))


def test_one_conversation(own_house, script, record_testsuite_property):
    """Each method that it has, with its own errors, dates and limits."""
    user = str(uuid4())
    run = [str(BIN / "node"), str(script), own_house.address, own_house.key(), user]
    done = subprocess.run(run, env=with_node(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    record_testsuite_property("calls test_javascript", told["calls"])
    ((gist, near),) = told.pop("gists")
    assert "Has a dog called Biscuit" in gist and near
    assert "Has a dog called Biscuit" in told.pop("context")
    framed = told.pop("framed")
    assert framed.startswith("<- pets") and framed.endswith("> {other}") and "|" in framed
    assert told.pop("usage") == [
        *("date", "total_input_token", "total_insert", "total_output_token", "total_success_insert")
    ]
    assert told == {
        "calls": "25 of 25",
        "ping": True,
        "unknown": "ServerError",
        "noUuid": "HTTP error! status: 422",
        "wrongKey": "HTTP error! status: 401",
        "again": True,
        "taken": "ServerError",
        "made": {"name": "Bo"},
        "changed": {"data": {"plan": "gold"}},
        "blob": ["chat", "My dog is called Biscuit.", {"from": "web"}],
        "blobs": True,
        "flushed": True,
        "deleted": "ServerError",
        "profile": [["contact_info", True, "Lisbon"], ["pets", True, "Has a dog called Biscuit"]],
        "dated": True,
        "limited": 2,
        "fewer": 1,
        "dropped": "ServerError",
        "delta": ["Has a dog called Biscuit"],
        "found": [True],
        "event": ["Spoke of a dog.", [{"tag": "mood", "value": "glad"}]],
        "event_deleted": 0,
        "config": "language: en\n",
        "wrongConfig": False,
        "users": [[[True, 4]], 1],
        "gone": "ServerError",
        "goneTwice": False,
    }
