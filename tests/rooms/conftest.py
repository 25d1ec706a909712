"""What every test with a real room needs: one LiveKit server for all, a voice, a room name of its own."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from echoic.local.command_resources import folder_of
from echoic.local.dev.livekit_program import find_program
from echoic.local.dev.livekit_server import LiveKitServer, open_livekit
from echoic.memory.errors import ConfigInvalid
from tests.rooms.speech import Voice

PROGRAM = pytest.StashKey[Path]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Before the first test, whose time limit is short: build the server, or say what is missing."""
    if session.config.option.collectonly or os.environ.get("LIVEKIT_URL"):
        return
    try:
        session.config.stash[PROGRAM] = find_program(folder_of(None))
    except ConfigInvalid as exc:
        raise pytest.UsageError(str(exc)) from exc


@pytest.fixture(scope="session")
def livekit(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveKitServer]:
    """The session's LiveKit server: `LIVEKIT_URL` of whoever runs the tests, or one of our own."""
    program = request.config.stash.get(PROGRAM, None)
    with open_livekit(tmp_path_factory.mktemp("livekit"), dict(os.environ), program=program) as server:
        yield server


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Path:
    """The server to start, for tests about our own one, whichever the others use."""
    program = request.config.stash.get(PROGRAM, None)
    if program is None:
        pytest.skip("LIVEKIT_URL names a server; these tests are about one of our own")
    return program


@pytest.fixture(scope="session")
def voice(request: pytest.FixtureRequest) -> Voice:
    """Speaks any sentence; what was said in an earlier run is still there."""
    assert request.config.cache is not None
    return Voice(request.config.cache.mkdir("speech"))


@pytest.fixture
def room() -> str:
    """A room that no other test uses."""
    return f"room-{uuid.uuid4().hex[:12]}"
