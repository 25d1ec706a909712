"""The words of a question as the full-text indexes of a graph take them: letters and digits only, so that
nothing in them is syntax."""

import re
import unicodedata

from echoic.memory.text.words import MAX_TERM_CHARS, clean, stop_words

MAX_WORDS = 32
"""FalkorDB finds nothing for more than about 64."""

_POSSESSIVE = re.compile(r"['’ʼ`]s\b")
_APOSTROPHE = re.compile(r"['’ʼ`]")


def asked_words(text: str) -> list[str]:
    """The content words of a question, lower case, each once; the last ones of a long text, where its
    question is."""
    plain = _APOSTROPHE.sub("", _POSSESSIVE.sub("", unicodedata.normalize("NFC", clean(text)).casefold()))
    words = "".join(letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in plain).split()
    unheld = stop_words()
    content = (
        word[:MAX_TERM_CHARS]
        for word in words
        if word not in unheld and (len(word) > 1 or not word.isascii())
    )
    return list(dict.fromkeys(content))[-MAX_WORDS:]
