"""How far a model is trusted is said in a sentence; a store that does not say ends no talk."""

import pytest
from pydantic import SecretStr

from echoic.local.llm.grade import grade_sentence
from echoic.memory.config import load_settings
from echoic.memory.model_verdict import Verdict, keep_verdict
from echoic.memory.service import open_memory
from tests.embedders import WordEmbedder

URL, MODEL = "http://127.0.0.1:8080/v1", "small"


async def test_the_setting_the_verdict_or_none_yet(memory_settings):
    """What is set counts more than what was tried."""
    settings = memory_settings.model_copy(update={"llm_grade": ""})
    assert "model try" in await grade_sentence(settings, URL, MODEL)
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        await memory.db.run(lambda connection: keep_verdict(connection, URL, MODEL, Verdict("adds")))
    assert (await grade_sentence(settings, URL, MODEL)).startswith("As tried, it learns facts")
    told = await grade_sentence(settings.model_copy(update={"llm_grade": "none"}), URL, MODEL)
    assert told.startswith("ECHOIC_LLM_GRADE=none: it is too weak")


@pytest.mark.parametrize(
    "url", ["", "postgresql://nobody@127.0.0.1:1/none", "postgresql:///none?host=/nowhere"]
)
async def test_a_store_that_does_not_say_is_no_fault(url, tmp_path, clean_environment):
    """No address, nobody there, no such folder."""
    settings = load_settings(data_dir=tmp_path).model_copy(update={"database_url": SecretStr(url)})
    assert "not known" in await grade_sentence(settings, URL, MODEL)
