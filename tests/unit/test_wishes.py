"""What callers wish of memory, in their own languages: `wishes/*.tsv`, half of which wish nothing.

They are `open` or `sealed` by a hash; the sentences of the language files were chosen on the open ones. The
last 50 of eleven languages were written before anybody looked at the files again: of the first 25 of each .46
were carried out, and of the second 25 .87, after the files had grown by what the first lacked.
"""

import hashlib
import re
from pathlib import Path

import pytest

from echoic.agent.commands.memory_commands import MemoryCommand, parse_memory_command
from echoic.agent.commands.templates import WISHES, one_of
from echoic.memory.text.language import languages

TABLES = Path(__file__).parent / "wishes"
CODES = sorted(path.stem for path in TABLES.glob("*.tsv"))
LEAST_RECALL = 0.9
"""Of wishes that do it at once; some of the others ("forget my check-up") are asked about."""


def sentences(code: str, half: str = "") -> list[tuple[str, str]]:
    """Wish and words of one language; `open`, `sealed` or all."""
    lines = (TABLES / f"{code}.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [(wish, words) for wish, words in (line.split("\t") for line in lines)]
    return [(wish, words) for wish, words in pairs if half in ("", half_of(words))]


def half_of(words: str) -> str:
    return "sealed" if hashlib.sha256(words.encode()).digest()[0] % 2 else "open"


def wish_of(found: MemoryCommand | None) -> str:
    """As the tables name it; what may be no matter of memory touches none without a yes."""
    if found is None or found.perhaps or found.wish == "nothing":
        return "nothing"
    return "forget_named" if found.about else found.wish


def missed(code: str, half: str = "") -> list[tuple[str, str, str]]:
    told = [(wish, words, wish_of(parse_memory_command(words))) for wish, words in sentences(code, half)]
    return [(wish, words, found) for wish, words, found in told if wish != found]


@pytest.mark.parametrize("code", CODES)
def test_wishes_are_recognised_and_nothing_else_is(code: str) -> None:
    """No sentence does what it does not ask for, and nearly every wish is carried out without a model."""
    wrong = missed(code)
    assert not [one for one in wrong if one[2] != "nothing"]
    wishes = [wish for wish, _ in sentences(code) if wish != "nothing"]
    assert 1 - len(wrong) / len(wishes) >= LEAST_RECALL, wrong


def test_the_tables_are_large_enough() -> None:
    """Forty sentences in each of six languages, of which half wish nothing."""
    sizes = {code: len(sentences(code)) for code in CODES}
    assert sum(size >= 40 for size in sizes.values()) >= 6
    for code, size in sizes.items():
        assert sum(wish == "nothing" for wish, _ in sentences(code)) * 2.5 >= size


@pytest.mark.parametrize("code", sorted(code for code, one in languages().items() if one.wishes))
def test_a_language_file_is_whole(code: str) -> None:
    """Every list that a template names is there, every wish has sentences, and every answer is translated."""
    language, english = languages()[code], languages()["en"]
    assert {*WISHES, "before", "after", "forget", "agree", "refuse", "doubt"} <= language.wishes.keys()
    assert not [name for name in language.wishes if one_of(name, language.wishes) == "(?!)"]
    assert language.answers.keys() == english.answers.keys()
    for key, text in language.answers.items():
        assert _slots(text) == _slots(english.answers[key]), key


def _slots(text: str) -> set[str]:
    return set(re.findall(r"\{\w+\}", text))


def test_a_sentence_ends_where_it_ends() -> None:
    """ "Forget that." takes back what was just said; what comes after its full stop is not named by it."""
    assert parse_memory_command("Forget that. I meant Tuesday.") is None
    assert parse_memory_command("Forget that I have a dog.").about
    for words in ("Please. Forget that. Thanks.", "Hello, forget that, please.", "忘记这个。谢谢。"):
        assert wish_of(parse_memory_command(words)) == "forget_that", words
