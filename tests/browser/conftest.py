"""What every test of a call from the page needs: a Chromium, a LiveKit server, a voice, one `echoic dev`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from echoic.local.command_resources import folder_of
from echoic.local.dev.livekit_program import find_program
from echoic.memory.errors import ConfigInvalid
from tests.browser.chromium import ChromiumMissing, find_chromium
from tests.fakes import Request, ScriptedModel
from tests.processes import PATIENT
from tests.rooms.dev_stack import Dev, dev
from tests.rooms.speech import Voice

HERE = Path(__file__).resolve().parent
CHROMIUM = pytest.StashKey[Path]()
PROGRAM = pytest.StashKey[Path]()
LIMIT_S = 240  # the first test waits for the stack: two stores are made, three interpreters import LiveKit


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT_S))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Before the first test: find what is needed, or say what is missing."""
    if session.config.option.collectonly:
        return
    try:
        session.config.stash[CHROMIUM] = find_chromium()
        session.config.stash[PROGRAM] = find_program(folder_of(None))
    except (ChromiumMissing, ConfigInvalid) as exc:
        raise pytest.UsageError(str(exc)) from exc


@pytest.fixture
def chromium(request: pytest.FixtureRequest) -> Path:
    return request.config.stash[CHROMIUM]


@pytest.fixture(scope="session")
def voice(request: pytest.FixtureRequest) -> Voice:
    """Speaks any sentence; what was said in an earlier run is still there."""
    assert request.config.cache is not None
    return Voice(request.config.cache.mkdir("speech"))


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A running `echoic dev`; its model names the dog if it was told about one."""
    with ScriptedModel(otherwise=_what_it_sees) as model:
        told = {"ECHOIC_LLM_URL": model.url, "ECHOIC_LLM_MODEL": model.name, "ECHOIC_EXTRACTOR": "off"}
        folder = tmp_path_factory.mktemp("dev") / "data"
        with dev(folder, request.config.stash[PROGRAM], **told, **PATIENT) as running:
            yield running


@pytest.fixture(scope="session")
def address(stack: Dev) -> str:
    """Its page."""
    return stack.page()


def _what_it_sees(request: Request) -> str:
    told = str([message["content"] for message in request["messages"] if message["role"] == "user"]).lower()
    names = (name for name in ("Waffle", "Biscuit") if name.lower() in told)
    return f"Your dog is {name}." if (name := next(names, "")) else "I do not know that."
