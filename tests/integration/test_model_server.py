"""A model file served on this machine: shared, for its users only, and gone with the last of them.

Needs a real GGUF file.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from echoic.local.llm.model_server import served
from echoic.memory.errors import ConfigInvalid
from echoic.memory.hosting.state import read_state
from tests.processes import is_alive, wait_gone, wait_until

GGUF = os.environ.get("ECHOIC_TEST_GGUF", "")
needs_model = pytest.mark.skipif(
    not GGUF, reason="ECHOIC_TEST_GGUF names no model file (a small one will do)"
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    assert not list((tmp_path / "data" / "run").glob("*.json"))


def only_state(folder: Path) -> tuple[int, int]:
    """Process numbers of the daemon and of its server."""
    (file,) = (folder / "run").glob("model-*.json")
    state = read_state(folder / "run", file.stem)
    assert state is not None
    return state.daemon, state.pids[file.stem]


def ask(url: str, key: str) -> httpx.Response:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4}
    return httpx.post(
        f"{url}/chat/completions",
        json=body,
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
        trust_env=False,
    )


@needs_model
def test_file_is_served_to_those_with_the_key_and_shared(folder):
    """Two users get one server; without the key it turns everybody away; with the last user it is gone."""
    with served(Path(GGUF), "tiny", folder) as (url, key):
        with served(Path(GGUF), "tiny", folder) as second:
            assert second == (url, key)
        pids = only_state(folder)
        assert ask(url, key).json()["choices"][0]["message"]["content"]
        assert ask(url, "guess").status_code == 401
        assert (
            httpx.get(
                f"{url.removesuffix('/v1')}/slots", headers={"Authorization": f"Bearer {key}"}
            ).status_code
            != 200
        )
        assert url.startswith("http://127.0.0.1:")
    assert not any(is_alive(pid) for pid in pids)


@needs_model
@pytest.mark.timeout(180)  # a model is loaded twice, on a machine that may be busy
@pytest.mark.parametrize("victim", ["daemon", "server"])
def test_killed_process_comes_back_at_the_same_address(folder, victim):
    """A client does nothing about it but ask again."""
    with served(Path(GGUF), "tiny", folder) as (url, key):
        daemon, server = only_state(folder)
        os.kill({"daemon": daemon, "server": server}[victim], signal.SIGKILL)
        wait_gone([server])
        wait_until(lambda: _answers(url, key), limit_s=120)


@pytest.mark.parametrize("content", [b"dear all", b"GGUF" + bytes(1000)])
def test_file_that_is_no_model_is_a_sentence(folder, tmp_path, content):
    """Whether it shows at the first bytes or when it is loaded."""
    pytest.importorskip("xllamacpp", reason="needs the extra `local`")
    file = tmp_path / "letter.gguf"
    file.write_bytes(content)
    with pytest.raises(ConfigInvalid, match=r"letter\.gguf"), served(file, "letter", folder):
        pass
    for state in (folder / "run").glob("*.json"):
        state.unlink()


def _answers(url: str, key: str) -> bool:
    try:
        return ask(url, key).status_code == 200
    except httpx.TransportError:
        return False
