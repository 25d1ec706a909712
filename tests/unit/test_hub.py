"""Models by their names from a hub of this machine: whole and checked, or not there; and their use."""

import hashlib
import json
from importlib.resources import files

import numpy as np
import pytest

from echoic.commands import models as commands
from echoic.local.llm import download
from echoic.local.llm.hub import named, pull_from_hub
from echoic.local.llm.shelf import Shelf
from echoic.memory.config import load_settings
from echoic.memory.embedding import minilm
from echoic.memory.embedding.embedder import open_embedder
from echoic.memory.embedding.files import origin_of
from echoic.memory.errors import ConfigInvalid, ModelUnavailable
from tests.hub import COMMIT, Hub

VOICE = "piper:de_DE-thorsten-medium"
PATH = "rhasspy/piper-voices/de/de_DE/thorsten/medium/de_DE-thorsten-medium.onnx"
DATA = bytes(range(256)) * 8_000
E5 = "intfloat/multilingual-e5-small"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(download, "PAUSE_S", 0.0)


@pytest.fixture
def hub():
    made = Hub({PATH: DATA, f"{PATH}.json": b'{"audio": {"sample_rate": 22050}}'})
    with made.serving():
        yield made


def pulled(hub, folder, name=VOICE, **env):
    seen = []
    path = pull_from_hub(folder, name, lambda *progress: seen.append(progress), hub.env(**env))
    return path, seen


def test_a_voice_is_brought_with_what_the_hub_says_it_is(hub, tmp_path):
    """Large files by their SHA-256, small ones by git's name for them; both then stand beside the files."""
    path, seen = pulled(hub, tmp_path)
    assert path == tmp_path / "models" / VOICE
    origin = origin_of(path)
    assert (origin.repository, origin.commit, origin.trusted) == ("rhasspy/piper-voices", COMMIT, "hub")
    for file, sha256 in origin.files.items():
        assert hashlib.sha256((path / file).read_bytes()).hexdigest() == sha256
    whole = sum(map(len, hub.files.values()))
    assert seen == sorted(seen) and seen[-1] == (whole, whole)
    hub.asked.clear()
    pulled(hub, tmp_path)
    assert hub.asked == []


def test_a_cut_in_the_middle_is_taken_up_again(hub, tmp_path):
    """In the same run, and in a later one: only what is missing is asked for."""
    cut = hub.download(PATH)
    cut.breaks_after, cut.breaks = 500_000, 1
    pulled(hub, tmp_path / "same")
    assert cut.starts == [0, 500_000]
    cut.starts.clear()
    cut.breaks_after, cut.breaks = 0, 10**9
    (tmp_path / "later" / "models" / VOICE).mkdir(parents=True)
    (tmp_path / "later" / "models" / VOICE / f"{PATH.rpartition('/')[2]}.part").write_bytes(DATA[:700_000])
    with pytest.raises(ModelUnavailable, match="what came so far is kept"):
        pulled(hub, tmp_path / "later")
    assert not origin_of(tmp_path / "later" / "models" / VOICE)
    cut.breaks = 0
    cut.starts.clear()
    pulled(hub, tmp_path / "later")
    assert cut.starts == [700_000]


def test_another_file_than_the_hub_names_is_thrown_away(hub, tmp_path):
    """Large or small."""
    for path in hub.files:
        sent = hub.files[path]
        hub.download(path).data = sent[:-1] + b"!"
        with pytest.raises(ModelUnavailable, match="differs"):
            pulled(hub, tmp_path)
        hub.download(path).data = sent
    assert origin_of(pulled(hub, tmp_path)[0])


def test_a_pin_is_held_against_the_hub(hub, tmp_path):
    """Before a byte of the file is fetched."""
    sha256 = hashlib.sha256(DATA).hexdigest()
    with pytest.raises(ModelUnavailable, match=f"another SHA-256.*{sha256}"):
        pulled(hub, tmp_path, f"{VOICE}@sha256:{'0' * 64}")
    assert hub.download(PATH).starts == []
    path, _ = pulled(hub, tmp_path, f"{VOICE}@sha256:{sha256}")
    assert origin_of(path).trusted == "user"


def test_what_echoic_pins_is_asked_of_that_commit_and_refused_if_it_is_another(tmp_path):
    """The hub's own word for it is enough to stop; nothing of it is read."""
    wanted = named("multilingual-e5-small")
    hub = Hub({f"{E5}/{path}": DATA for path in wanted.paths})
    with hub.serving():
        hub.commit = wanted.revision
        with pytest.raises(ModelUnavailable, match="is not the expected file"):
            pulled(hub, tmp_path, "multilingual-e5-small")
    assert [f"/{E5}/resolve/{wanted.revision}/onnx/model.onnx"] == hub.asked
    assert not list(tmp_path.rglob("*/*"))


def test_a_token_reaches_the_hub_alone(hub, tmp_path):
    """Not the server to which it points; without one the refusal says what to set."""
    hub.token = "hf_secret"
    with pytest.raises(ModelUnavailable, match=r"401.*HF_TOKEN"):
        pulled(hub, tmp_path)
    pulled(hub, tmp_path, HF_TOKEN="hf_secret")
    assert hub.tokens_seen == {""}


@pytest.mark.parametrize(
    ("name", "why"), [("piper:de_DE-nobody-medium", "404"), ("piper:../x", "No hub"), ("e5", "No hub")]
)
def test_a_model_that_is_not_there_is_a_sentence(hub, tmp_path, name, why):
    """And leaves nothing behind."""
    with pytest.raises((ModelUnavailable, ConfigInvalid), match=why):
        pulled(hub, tmp_path, name)
    assert not list(tmp_path.rglob("*piper*"))


@pytest.mark.parametrize("name", [VOICE, "multilingual-e5-small"])
def test_no_hub_is_a_sentence(name, tmp_path):
    """And leaves nothing behind, whether the hub is asked first or what to fetch is known."""
    with pytest.raises(ModelUnavailable, match=r"cannot be reached.*HF_ENDPOINT"):
        pull_from_hub(tmp_path, name, lambda *_: None, {"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert not list(tmp_path.rglob("*/*"))


@pytest.fixture
def small_hub():
    """The MiniLM of the product in the place of a larger model, which makes as many numbers."""
    tokenizer = (files("echoic.memory.embedding") / "model" / "tokenizer.json").read_bytes()
    model = minilm._model_path().read_bytes()
    made = Hub({f"{E5}/onnx/model.onnx": model, f"{E5}/tokenizer.json": tokenizer})
    with made.serving():
        yield made, f"multilingual-e5-small@sha256:{hashlib.sha256(model).hexdigest()}"


async def test_a_pulled_model_embeds(small_hub, tmp_path):
    """Under its name and pin, with its own length, nearer what means the same; and not once it is changed."""
    hub, name = small_hub
    settings = load_settings(data_dir=tmp_path, embedding_model=name)
    assert settings.embedding_dimensions == 384
    with pytest.raises(ConfigInvalid, match="echoic model pull"):
        open_embedder(settings)
    path, _ = pulled(hub, tmp_path, name)
    embedder = open_embedder(settings)
    try:
        right, wrong = await embedder.embed_batch(["The puppy's name is Biscuit.", "I live in Lisbon."])
        question = await embedder.embed("What is my dog called?")
        assert question @ right > question @ wrong + 0.2
        assert np.allclose(np.linalg.norm([question, right, wrong], axis=1), 1, atol=1e-5)
        assert (embedder.name, embedder.dimensions) == (name, 384)
    finally:
        await embedder.close()
    (path / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(ConfigInvalid, match="not the file that was pulled"):
        open_embedder(settings)


def test_another_length_than_the_models_is_refused(tmp_path):
    with pytest.raises(ConfigInvalid, match="makes 1024 numbers"):
        open_embedder(load_settings(data_dir=tmp_path, embedding_model="bge-m3", embedding_dimensions=384))


def test_status_and_clean_know_what_is_in_use(hub, tmp_path, monkeypatch, capsys):
    """What no setting names goes, and what is broken; what is used, or was put there by hand, stays."""
    pulled(hub, tmp_path)
    folder = tmp_path / "models"
    (folder / "bge-m3").mkdir()
    (folder / "bge-m3" / "model.onnx.part").write_bytes(b"x" * 2_000_000)
    (folder / "other.gguf.part").write_bytes(b"x" * 1_000_000)
    (folder / "mine.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    commands.model_status(as_json=True, data_dir=tmp_path)
    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert (
        told[VOICE]["sha256_ok"]
        and told[VOICE]["used_by"]
        and "as the hub named it" in told[VOICE]["trusted"]
    )
    assert told["all-minilm-l6-v2"]["used_by"] == "ECHOIC_EMBEDDING_MODEL"
    assert (told["bge-m3"]["present"], told["bge-m3"]["dimensions"]) == (False, 1024)
    commands.model_status("bge-m3", data_dir=tmp_path)
    assert capsys.readouterr().out == "bge-m3: unfinished, 2.0 MB, vectors of 1024; used by: nothing\n"
    commands.model_clean(yes=True, data_dir=tmp_path)
    out = capsys.readouterr().out
    assert "bge-m3" in out and "other" in out and "mine" not in out and "3 MB are free again" in out
    assert sorted(path.name for path in folder.iterdir()) == ["mine.gguf", VOICE]
    commands.model_remove(VOICE, data_dir=tmp_path)
    assert [path.name for path in folder.iterdir()] == ["mine.gguf"]


def test_a_model_that_a_setting_names_is_not_cleaned(small_hub, tmp_path):
    hub, name = small_hub
    pulled(hub, tmp_path, name)
    used = Shelf(tmp_path, {}, load_settings(data_dir=tmp_path, embedding_model=name))
    assert used.leftovers() == []
    assert Shelf(tmp_path, {}, load_settings(), f"{name}:384").leftovers() == []
    assert Shelf(tmp_path, {}, load_settings()).leftovers() == [(name, "no setting uses it")]
