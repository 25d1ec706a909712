"""Which words of a text say something of their own, in any language."""

from functools import lru_cache

import stopwordsiso

from echoic.memory.text.canonical import tokens
from echoic.memory.text.language import Language


def content(text: str, language: Language) -> list[str]:
    """Canonical words that say something of their own; where none does, all longer than an article."""
    found = [word for word in tokens(text, language) if tells(word)]
    return [word for word in found if word not in function_words(language.code)] or found


def tells(word: str) -> bool:
    """Whether a word says something of its own: not "a", "is", nor the 1 that "un" becomes; "C#" does."""
    return len(word) > 2 or not ((word.isascii() and word.isalpha()) or word == "1")


@lru_cache(maxsize=64)
def function_words(code: str) -> frozenset[str]:
    """Words that hang others together, in canonical form (the stopwords-iso collection)."""
    listed = stopwordsiso.stopwords(code) if code and stopwordsiso.has_lang(code) else set()
    return frozenset(word for phrase in listed for word in tokens(phrase))
