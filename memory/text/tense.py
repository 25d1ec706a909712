"""Whether words ask about what was: then what is no longer true may answer too, with its dates."""

import re

_PAST = re.compile(
    r"\b(used to|before|previous(?:ly)?|former(?:ly)?|earlier|back then|last "
    r"(?:year|month|week|time|summer|winter|spring|autumn|fall)"
    r"|when did|when was|when were|once|at first|originally|ago|in the past|history|still|any ?more|no "
    r"longer|changed?|old|first"
    r"|did i|did we|was my|were my|was i)\b",
    re.IGNORECASE,
)


def asks_about_past(text: str) -> bool:
    """Whether closed facts and relations are wanted.

    English only: in other languages what is live answers alone.
    """
    return _PAST.search(text) is not None
