"""The local model is the pinned one and measures meaning; an endpoint's answer is checked."""

import asyncio

import numpy as np
import pytest

from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import MODEL_SHA256, LocalEmbedder, open_embedder, verified
from echoic.memory.errors import ConfigInvalid


@pytest.fixture(scope="module")
def local():
    embedder = LocalEmbedder()
    yield embedder
    asyncio.run(embedder.close())


async def test_a_paraphrase_is_nearer_than_another_matter(local):
    """By a clear margin, so that ranking by meaning means something."""
    asked, right, wrong = await local.embed_batch(
        ["What is my dog called?", "The puppy's name is Biscuit", "I live in Lisbon"]
    )
    assert asked @ right > asked @ wrong + 0.2


async def test_vectors_are_unit_and_do_not_depend_on_their_batch(local):
    """Padding to the longest text of a batch changes nothing that matters (int8 rounding aside)."""
    texts = [
        "short",
        "a much longer sentence about a dog that runs along the river every single morning before work",
    ]
    batch = await local.embed_batch(texts)
    assert np.allclose(np.linalg.norm(batch, axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, batch, strict=True):
        assert (await local.embed(text)) @ vector > 0.98


@pytest.mark.parametrize("text", ["", "  ", "x" * 100_000, "שלום", "你好" * 5000, "\U0001f600"])
async def test_any_text_has_a_vector(local, text):
    """Nothing, spaces, 100,000 characters, any script: the right length, and no NaN."""
    vector = await local.embed(text)
    assert vector.shape == (384,) and np.isfinite(vector).all()


def test_another_file_is_refused(tmp_path):
    """A model of another checksum is never loaded, nor is a missing one passed over."""
    fake = tmp_path / "model.onnx"
    fake.write_bytes(b"not the model")
    with pytest.raises(ConfigInvalid, match=r"model\.onnx is not the file"):
        verified(fake, MODEL_SHA256)
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        verified(tmp_path / "missing", MODEL_SHA256)


def test_an_unknown_local_model_is_refused_with_what_to_set():
    """A model that does not ship needs an endpoint's address."""
    with pytest.raises(ConfigInvalid, match="ECHOIC_EMBEDDING_URL"):
        open_embedder(MemorySettings(embedding_model="other"))
