"""`echoic model pull`: a model file is whole and checked, or not there, and is fetched once."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from echoic.commands.models import model_list, model_remove
from echoic.local.command_resources import progress_bar
from echoic.local.llm import download as download_module
from echoic.local.llm.model_files import pull, pulled
from echoic.memory.errors import ConfigInvalid, ModelUnavailable
from tests.web import Download, web_server

DATA = bytes(range(256)) * 20_000  # 5 MB: several chunks
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "PAUSE_S", 0.0)


def pull_from(
    download: Download, folder: Path, sha256: str = SHA256, seen: list[tuple[int, int]] | None = None
) -> Path:
    progress = [] if seen is None else seen
    with web_server(download.handle) as address:
        env = {
            "ECHOIC_MODEL_URL": f"{address}/hub/tiny%20one.gguf?download=true",
            "ECHOIC_MODEL_SHA256": sha256,
        }
        return pull(folder, lambda done, total: progress.append((done, total)), env)


def test_download_is_whole_private_and_found(tmp_path):
    """The path it returns is the one that `choose_model` finds; progress ends at the full size."""
    seen: list[tuple[int, int]] = []
    path = pull_from(Download(DATA), tmp_path / "data", seen=seen)
    assert path.read_bytes() == DATA
    assert path == pulled(tmp_path / "data") == tmp_path / "data" / "models" / "tiny one.gguf"
    assert seen[-1] == (len(DATA), len(DATA))
    assert seen == sorted(seen)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["tiny one.gguf"]


def test_connection_that_breaks_is_taken_up_again(tmp_path):
    """Each new request asks only for what is missing."""
    download = Download(DATA, breaks_after=2_000_000, breaks=2)
    assert pull_from(download, tmp_path).read_bytes() == DATA
    assert download.starts == [0, 2_000_000, 4_000_000]


def test_next_pull_goes_on_where_the_last_gave_up(tmp_path):
    """Also days later, in another process."""
    with pytest.raises(ModelUnavailable, match="what came so far is kept"):
        pull_from(stubborn := Download(DATA, breaks_after=0), _part_of(tmp_path, 3_000_000))
    assert set(stubborn.starts) == {3_000_000}
    download = Download(DATA)
    assert pull_from(download, tmp_path).read_bytes() == DATA
    assert download.starts == [3_000_000]


def test_server_without_ranges_sends_all_again(tmp_path):
    """And the old beginning is not kept in front of it."""
    download = Download(DATA, knows_ranges=False)
    assert pull_from(download, _part_of(tmp_path, 1_000)).read_bytes() == DATA


def test_unfinished_file_that_is_finished(tmp_path):
    """Killed between the last byte and the check: nothing is fetched again."""
    download = Download(DATA)
    assert pull_from(download, _part_of(tmp_path, len(DATA))).read_bytes() == DATA
    assert download.starts == [len(DATA)]


def test_wrong_file_is_thrown_away(tmp_path):
    """Nothing of it is found as a model, and nothing of it is kept for the next try."""
    with pytest.raises(ModelUnavailable, match="SHA-256 differs"):
        pull_from(Download(DATA[:-1] + b"!"), tmp_path)
    assert pulled(tmp_path) is None
    download = Download(DATA)
    assert pull_from(download, tmp_path).read_bytes() == DATA
    assert download.starts == [0]


def test_file_that_is_there_is_not_asked_for(tmp_path):
    """Twice pulled is once downloaded."""
    pull_from(Download(DATA), tmp_path)
    download = Download(DATA)
    pull_from(download, tmp_path)
    assert download.starts == []


@pytest.mark.parametrize("status", [404, 403, 500])
def test_address_without_the_file_is_a_sentence(tmp_path, status):
    """With the status and the way around it."""
    with pytest.raises(ModelUnavailable, match=rf"{status}.*ECHOIC_MODEL_URL"):
        pull_from(Download(DATA, status=status), tmp_path)


def test_no_network_is_a_sentence_at_once(tmp_path):
    """Nobody waits for a second try when the first never got through."""
    env = {"ECHOIC_MODEL_URL": "http://127.0.0.1:9/tiny.gguf", "ECHOIC_MODEL_SHA256": SHA256}
    with pytest.raises(ModelUnavailable, match=r"cannot be reached\. .*ECHOIC_GGUF"):
        pull(tmp_path, lambda *_: None, env)
    assert not list(tmp_path.rglob("tiny*"))


def test_progress_is_shown_to_a_person_only(capsys):
    """A file or a pipe holds no bar, nor the escapes that draw it."""
    with progress_bar("Downloading") as on_progress:
        on_progress(1, 2)
    assert capsys.readouterr() == ("", "")


def test_full_disk_is_a_sentence_before_the_first_byte(tmp_path, monkeypatch):
    """The size is known from the answer's head."""
    monkeypatch.setattr(download_module, "SPARE_BYTES", 1 << 62)
    with pytest.raises(ModelUnavailable, match=r"disk that holds .* is full"):
        pull_from(Download(DATA), tmp_path)


def test_disk_that_fills_up_midway_is_a_sentence(tmp_path, monkeypatch):
    """`/dev/full` answers every write as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setattr(download_module, "SPARE_BYTES", 0)
    part = _part_of(tmp_path, 0) / "models" / "tiny one.gguf.part"
    part.unlink()
    part.symlink_to("/dev/full")
    with pytest.raises(ModelUnavailable, match=r"disk that holds .* is full"):
        pull_from(Download(DATA), tmp_path)
    assert pulled(tmp_path) is None


def test_two_pulls_at_once(tmp_path):
    """The second one says so and leaves the first alone."""
    with (
        download_module._locked(_part_of(tmp_path, 10) / "models" / "tiny one.gguf.part"),
        pytest.raises(ConfigInvalid, match="Another process"),
    ):
        pull_from(Download(DATA), tmp_path)


@pytest.mark.parametrize(
    ("url", "sha256"), [("http://x/y.gguf", ""), ("http://x/y.gguf", "abc"), ("http://x/y.bin", SHA256)]
)
def test_another_address_needs_a_checksum_and_a_name(tmp_path, url, sha256):
    """Nothing unchecked is ever served."""
    with pytest.raises(ConfigInvalid, match="ECHOIC_MODEL_"):
        pull(tmp_path, lambda *_: None, {"ECHOIC_MODEL_URL": url, "ECHOIC_MODEL_SHA256": sha256})


def _part_of(folder: Path, size: int) -> Path:
    (folder / "models").mkdir(parents=True, exist_ok=True)
    (folder / "models" / "tiny one.gguf.part").write_bytes(DATA[:size])
    return folder


def test_model_files_are_listed_and_removed_by_command(tmp_path, capsys):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "placed.gguf").write_bytes(b"x" * 2_000_000)
    model_list(check=True, as_json=True, data_dir=tmp_path)
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed["placed"]["size"] == 2_000_000 and listed["placed"]["sha256_ok"] is None
    assert all(listed[name]["sha256_ok"] for name in ("all-minilm-l6-v2", "universal-sentence-encoder"))
    model_remove("placed", data_dir=tmp_path)
    assert "2 MB are free again" in capsys.readouterr().out
    for name, why in (("placed", "There is no model file"), ("all-minilm-l6-v2", "installed package")):
        with pytest.raises(ConfigInvalid, match=why):
            model_remove(name, data_dir=tmp_path)
