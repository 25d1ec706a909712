"""Model files: listed, fetched with progress, removed; downloaded from a real web server of this machine."""

import asyncio
import hashlib
import threading
from uuid import uuid4

import pytest

from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.local.llm import download as download_module
from echoic.local.llm.shelf import Shelf
from tests.api.conftest import Served
from tests.web import Download, web_server

DATA = bytes(range(256)) * 20_000
NAME = "tiny one"


@pytest.fixture
def download(monkeypatch):
    monkeypatch.setattr(download_module, "PAUSE_S", 0.0)
    return Download(DATA)


@pytest.fixture
async def stocked(memory, download):
    """An API that knows this machine's model files; one of them is at a web server."""
    with web_server(download.handle) as address:
        env = {
            "ECHOIC_MODEL_URL": f"{address}/hub/tiny%20one.gguf",
            "ECHOIC_MODEL_SHA256": hashlib.sha256(DATA).hexdigest(),
        }
        shelf = Shelf(memory.settings.data_dir, env)
        async with serving(memory, load_api_settings(rate_per_minute=100_000), shelf=shelf) as app:
            yield Served(app, memory)


@pytest.fixture
async def operator(stocked):
    async with stocked.client() as client:
        yield client


async def ended(client, answer):
    """The task, once it has ended."""
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["follow"]
    for _ in range(200):
        task = (await client.get(answer.json()["follow"])).json()
        if task["state"] != "running":
            return task
        await asyncio.sleep(0.05)
    raise AssertionError(task)


async def named(client, name=NAME, **params):
    items = (await client.get("/v1/model-files", params=params)).json()["items"]
    return next(one for one in items if one["name"] == name)


async def test_a_model_is_fetched_checked_and_removed(stocked, operator):
    """Present, whole, and then gone with every byte that it took."""
    before = await named(operator)
    assert (before["present"], before["size"], before["sha256_ok"], before["removable"]) == (
        False,
        None,
        None,
        True,
    )
    task = await ended(operator, await operator.post(f"/v1/model-files/{NAME}/pull"))
    assert (task["state"], task["done"], task["total"], task["sentence"]) == (
        "done",
        len(DATA),
        len(DATA),
        "",
    )
    after = await named(operator)
    assert (after["present"], after["size"], after["sha256_ok"]) == (True, len(DATA), True)
    gone = await operator.delete(f"/v1/model-files/{NAME}")
    assert gone.json() == {"reclaimed_bytes": len(DATA)}
    assert (await named(operator))["present"] is False
    assert (await operator.delete(f"/v1/model-files/{NAME}")).json() == {"reclaimed_bytes": 0}


async def test_a_file_that_was_changed_is_found_out(stocked, operator):
    """When somebody asks for its checksum; before that, nothing is said."""
    await ended(operator, await operator.post(f"/v1/model-files/{NAME}/pull"))
    path = stocked.memory.settings.data_dir / "models" / f"{NAME}.gguf"
    path.write_bytes(b"GGUF, and nothing else")
    assert (await named(operator))["sha256_ok"] is None
    assert (await named(operator, check=True))["sha256_ok"] is False


async def test_a_download_that_fails_says_why_and_keeps_what_came(stocked, operator, download):
    """What is unfinished is reclaimed too."""
    folder = stocked.memory.settings.data_dir / "models"
    folder.mkdir(mode=0o700)
    (folder / f"{NAME}.gguf.part").write_bytes(DATA[:3_000_000])
    download.status = 404
    task = await ended(operator, await operator.post(f"/v1/model-files/{NAME}/pull"))
    assert task["state"] == "failed" and "answers 404" in task["sentence"]
    assert (await named(operator))["present"] is False
    assert (await operator.delete(f"/v1/model-files/{NAME}")).json() == {"reclaimed_bytes": 3_000_000}


async def test_two_who_fetch_one_model_follow_one_task(stocked, operator, download):
    """It is fetched once."""
    download.held = threading.Event()
    answers = await asyncio.gather(*(operator.post(f"/v1/model-files/{NAME}/pull") for _ in range(3)))
    download.held.set()
    assert len({one.json()["task_id"] for one in answers}) == 1
    assert (await ended(operator, answers[0]))["state"] == "done"


async def test_files_of_packages_are_shown_and_left_alone(stocked, operator):
    """The embedding model is there and whole; it belongs to its package."""
    embedder = await named(operator, "all-minilm-l6-v2", check=True)
    assert embedder["present"] and embedder["sha256_ok"] is True and not embedder["removable"]
    assert (await operator.delete("/v1/model-files/all-minilm-l6-v2")).status_code == 409
    assert (await operator.post("/v1/model-files/all-minilm-l6-v2/pull")).status_code == 409


async def test_a_file_that_somebody_put_there_is_shown(stocked, operator):
    """It can be removed; nothing says where it comes from."""
    folder = stocked.memory.settings.data_dir / "models"
    folder.mkdir()
    (folder / "mine.gguf").write_bytes(b"GGUF")
    mine = await named(operator, "mine")
    assert (mine["present"], mine["sha256_ok"], mine["size"]) == (True, None, 4)
    assert (await operator.post("/v1/model-files/mine/pull")).status_code == 409
    assert (await operator.delete("/v1/model-files/mine")).json() == {"reclaimed_bytes": 4}


@pytest.mark.parametrize(
    "name", ["none", "..", "../spool", "..%2Fspool", "%00", "a%0Ab", "x" * 300, "*", "é"]
)
async def test_a_name_of_no_model_reaches_no_file(stocked, operator, name):
    """Names are compared, and never made into paths."""
    kept = stocked.memory.settings.data_dir / "spool.gguf"
    kept.write_bytes(b"x")
    for answer in (
        await operator.delete(f"/v1/model-files/{name}"),
        await operator.post(f"/v1/model-files/{name}/pull"),
    ):
        assert answer.status_code in (404, 405, 422), answer.text
    assert kept.exists()


async def test_a_task_that_nobody_knows(stocked, operator):
    """Of another process, or made up."""
    assert (await operator.get(f"/v1/tasks/{uuid4()}")).status_code == 404
    assert (await operator.get("/v1/tasks/none")).status_code == 422


async def test_an_api_without_model_files_says_so(admin):
    """Built into another program, it knows of none."""
    assert (await admin.get("/v1/model-files")).status_code == 409
