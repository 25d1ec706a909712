"""Reads what the first turn and the first question of a process still have to read."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from echoic.memory.text.dates.days import asked_days
from echoic.memory.text.secrets import hide_secrets
from echoic.memory.text.words import asked_terms, is_small_talk


def read_as_a_turn(words: str, asked: str = "") -> None:
    """What that needs is here afterwards: without, a process's first turn to be kept took 0.4 s of its event
    loop, and its first question more than memory may take in all.

    Args:
        asked: what was said before it.
    """
    hide_secrets(words, asked)
    is_small_talk(words)
    asked_terms(words)
    asked_days(words, datetime.now(UTC), ZoneInfo("UTC"))
