"""A long turn in memory, a told story or a pasted page, holds up no later question that finds it."""

import random
import time
import unicodedata

import pytest

from echoic.memory.recall.prompt import excerpt
from echoic.memory.text.words import terms

CHANCE = random.Random(7)
LETTERS = {
    "russian": "абвгдежзиклмнопрстуфхчшэюя",
    "thai": "กขคงจฉชซดตถทธนบปผพฟมยรลวสหอ",
    "english": "abcdefghijklmnoprstuvw",
}
THAI = "ฉันชอบกินข้าวผัดกุ้งที่ตลาดน้ำ"
BUDGET_S, LINES = 0.150, 8


def told(letters, spaced):
    """50,000 characters; the word that is asked for is the last one."""
    words = ("".join(CHANCE.choice(letters) for _ in range(7)) for _ in range(6_250))
    return THAI * (50_000 // len(THAI)) if not spaced else " ".join(words)


@pytest.mark.parametrize("language", LETTERS)
def test_a_block_of_long_turns_is_made_within_the_budget_of_a_recall(language):
    turns = [told(LETTERS[language], language != "thai") + " kennel" for _ in range(LINES)]
    asked = set(terms("where is the kennel"))
    began = time.thread_time()
    for text in turns:
        assert "kennel" in excerpt(text, 280, asked)
    assert time.thread_time() - began < BUDGET_S


def test_an_excerpt_begins_at_a_word_however_its_letters_are_typed():
    """One letter may stand for two: "œufs" was passed over for "oeufs"."""
    assert "œufs" in excerpt("bla " * 100 + "des œufs frais" + " bla" * 100, 80, set(terms("oeufs")))


@pytest.mark.parametrize("text", ["नमस्ते मैं दिल्ली में रहती हूँ ", "e\u0301te\u0301 ", "👨‍👩‍👧👍🏽❤️ ", "مُحَمَّدٌ "])
def test_no_letter_is_cut_in_two(text):
    """Nor an emoji: what is left of a letter without its vowel sign is another one."""
    for chars in range(20, 60):
        shown = excerpt(text * 20, chars)
        place = len(shown) - 1
        assert len(shown) <= chars + 1 and shown[-1] == "…"
        assert unicodedata.category((text * 20)[place])[0] != "M"
        assert (text * 20)[place] not in "\u200d🏽" and (text * 20)[place - 1] != "\u200d"
