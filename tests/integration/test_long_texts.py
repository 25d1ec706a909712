"""A text as long as is kept, of whatever: nobody else's call stands still for it, and it takes no minute."""

import time

import pytest

from echoic.memory.service import open_memory
from echoic.memory.text.words import MOST_TEXT_CHARS
from echoic.memory.types import Caller
from tests.embedders import WordEmbedder

LOOP_S, ALL_S = 1.0, 10.0
"""Processor time of the event loop's thread and of all: a guard against what grows with the square of a
text, five times and more what each takes; how long that is says `python -m evals.long_texts`."""
TEXTS = {
    # each took seconds once, most of it in the event loop or with the interpreter locked
    "accents that must be sorted": "a" + "\u0301\u0316" * 50_000,
    "accents of several scripts": "\u0939" + "\u093c\u0345\u0f71\u05b0" * 25_000,
    "passwords without an end": "password: ",
    "a number without an end": "one ",
    "numbers of two words": "twenty one ",
    "a secret in each word": "pin ",
    "dates": "on monday the 5th of may ",
    "one word": "aB3d",
    "one word with dots": "v1.",
    "pieces of a code": "aZ3xQ+",
    "signs that are spelled out": "\ufdfa",
    "words without spaces": "日本語の",
    "syllables": "ไทย",
}


@pytest.mark.parametrize("form", TEXTS)
async def test_a_long_text_holds_up_nobody(form, memory_settings):
    """It is recorded and asked, and the event loop goes on meanwhile."""
    text = (TEXTS[form] * (MOST_TEXT_CHARS // len(TEXTS[form]) + 1))[:MOST_TEXT_CHARS]
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        call = await memory.open_call(Caller("ana", "echoic", "call"))
        await call.record("first", "user", "hello")
        loop_s, all_s = time.thread_time(), time.process_time()
        assert await call.record("item", "user", text) is not None
        await call.recall(text)
        await call.record("reply", "assistant", "I see. Anything else?")
        assert time.thread_time() - loop_s < LOOP_S
        assert time.process_time() - all_s < ALL_S
