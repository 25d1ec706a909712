"""Reads the language files before a caller speaks. Without, a process's first question took 0.2 s, more than
memory may take in all; so did its first turn to be kept, its first wish, and its first yes to a question."""

import threading
from functools import cache

from echoic.agent.commands.memory_commands import parse_memory_command, speaks_of_forgetting
from echoic.memory.recall.recaller import asked_text
from echoic.memory.text.first_use import read_as_a_turn

QUESTION, WISH, ANSWER = "What is my dog called?", "Forget that.", "Yes."


@cache
def warm() -> threading.Thread:
    """Read them now, beside whatever else is going on; returns at once."""
    thread = threading.Thread(target=read_languages, daemon=True, name="languages")
    thread.start()
    return thread


def read_languages() -> None:
    """Return when a question, a wish and an answer were read as a reply reads them: what that needs is here
    now. A wish in another language than English still makes its pattern: all fifteen would take 2 s."""
    parse_memory_command(ANSWER, asked="may_remember")
    for words in (QUESTION, WISH):
        parse_memory_command(words)
        speaks_of_forgetting(words)
        read_as_a_turn(asked_text(words, QUESTION), QUESTION)
