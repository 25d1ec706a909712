"""Number words as digits, in any language that is known: "thirty four" is 34, "seventh" 7th, "семь" 7.

The package text2num reads seven languages; of others the words stand in their file.
"""

import re

from text_to_num import alpha2digit

from echoic.memory.text.language import Language
from echoic.memory.text.numbers.composed import counted, with_composed

_ELIDED = re.compile(r"\b(\w{3,})['’](?=\w)")


def with_digits(text: str, language: Language) -> str:
    """The text with its number words as digits, where the language's are known: "34", "7th"."""
    if language.numbers:
        return with_composed(text, language)
    if not language.spoken_numbers:
        return text
    try:
        if language.elided:
            text = _ELIDED.sub(lambda match: _elided_number(match, language) or match[0], text)
        return str(alpha2digit(text, language.spoken_numbers, threshold=0))
    except ValueError:
        return text


def number_of(word: str, folded: str, language: Language) -> str:
    """The digits of one number word, also where "and" is written together with it; empty if it is none.

    Args:
        folded: the same word, as it is typed without accents.
    """
    if language.numbers:
        return counted(word, language)
    for form in dict.fromkeys((word.casefold(), folded)) if language.spoken_numbers else ():
        digits = alpha2digit(form, language.spoken_numbers, threshold=0)
        if digits.isdecimal():
            return str(digits)
    return ""


def _elided_number(match: re.Match[str], language: Language) -> str:
    """ "Vent'anni" has lost its vowel: one with which it is a number, and a space."""
    ways = (
        str(alpha2digit(match[1] + vowel, language.spoken_numbers, threshold=0)) for vowel in language.elided
    )
    return next((f"{way} " for way in ways if way.isdecimal()), "")
