"""Whether words ask about what was: then what is no longer true may answer too, with its dates."""

from echoic.memory.text.time_words import speaks_of


def asks_about_past(text: str) -> bool:
    """Whether closed facts and relations are wanted."""
    return speaks_of("past", text)
