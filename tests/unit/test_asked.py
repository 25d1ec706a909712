"""What a caller asks of memory, told from plain words: what is a wish, and what only sounds like one."""

import pytest

from echoic.agent.commands.memory_commands import MemoryCommand, parse_memory_command


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("What do you know about me?", "what_do_you_know"),
        ("hey echoic what do you remember about me so far", "what_do_you_know"),
        ("Tell me what you know about me, please.", "what_do_you_know"),
        ("What have I told you about myself?", "what_do_you_know"),
        ("Do you remember anything about me?", "what_do_you_know"),
        ("Forget that.", "forget_that"),
        ("Please forget what I just said", "forget_that"),
        ("Um, could you please forget that", "forget_that"),
        ("Can you delete that from your memory?", "forget_that"),
        ("Don't remember this.", "dont_remember_this"),
        ("please do not store that", "dont_remember_this"),
        ("You don't have to remember this", "dont_remember_this"),
        ("That was off the record.", "dont_remember_this"),
        ("Stop remembering.", "stop_remembering"),
        ("Can you stop recording what I say please", "stop_remembering"),
        ("Don't remember anything I say from now on", "stop_remembering"),
        ("I want you to stop remembering me", "stop_remembering"),
        ("Turn off your memory", "stop_remembering"),
        ("You can remember me again.", "remember_again"),
        ("Start remembering again please", "remember_again"),
        ("OK, turn your memory back on", "remember_again"),
        ("Forget everything about me", "forget_everything"),
        ("Delete everything you know about me.", "forget_everything"),
        ("erase my data", "forget_everything"),
        ("forget me", "forget_everything"),
    ],
)
def test_plain_wishes(words: str, wish: str):
    """As people say them, with and without politeness and punctuation."""
    found = parse_memory_command(words)
    assert found is not None and found.wish == wish and not found.about


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("Forget about my dog.", "my dog"),
        ("Please forget everything I told you about my dog Biscuit", "my dog biscuit"),
        ("Delete everything about my sister's wedding, please", "my sisters wedding"),
        ("forget that I live in Lisbon", "i live in lisbon"),
        ("Forget my address", "my address"),
        ("could you erase what you know about the surgery from your memory", "the surgery"),
    ],
)
def test_one_thing_is_named(words: str, about: str):
    """What is named is given as it was said, without the rest of the sentence."""
    assert parse_memory_command(words) == MemoryCommand("forget_that", about=about)


@pytest.mark.parametrize(
    "words",
    [
        "Forget it.",
        "Scratch that, I meant Tuesday.",
        "Don't forget that.",
        "Don't forget my appointment.",
        "I don't remember that.",
        "I forget that all the time.",
        "Do you remember me?",
        "What do you know about Lisbon?",
        "What do you remember about my dog?",
        "Remember this: my PIN is 4321.",
        "Stop it.",
        "Never forget about my dog.",
        "I can't stop remembering her.",
        "Delete that meeting from my calendar.",
        "Forget about me for a second and tell my brother about the long way home through the mountains",
        "My dog is called Biscuit.",
        "Yes.",
        "No, thank you.",
        "",
        "…",
        "忘れて",
    ],
)
def test_what_only_sounds_like_a_wish(words: str):
    """It reaches the model as it is, and nothing is forgotten."""
    assert parse_memory_command(words) is None


@pytest.mark.parametrize(
    "words", ["Don't remember this, but my PIN is 4321.", "Please don't store this: I am pregnant"]
)
def test_wish_and_words_in_one_breath(words: str):
    """The wish is about the very words that come with it, and about nothing said before."""
    assert parse_memory_command(words) == MemoryCommand("dont_remember_this", this_alone=True)


@pytest.mark.parametrize(
    ("words", "wish", "rest"),
    [
        ("Yes.", "remember_again", ""),
        ("sure go ahead", "remember_again", ""),
        ("I don't mind", "remember_again", ""),
        ("No problem.", "remember_again", ""),
        ("Yes please, and my dog is called Biscuit", "remember_again", "and my dog is called biscuit"),
        ("No.", "stop_remembering", ""),
        ("No thanks", "stop_remembering", ""),
        ("I'd rather you didn't", "stop_remembering", ""),
        ("Please don't.", "stop_remembering", ""),
        ("Of course not", "stop_remembering", ""),
        ("No, what's the weather?", "stop_remembering", "whats the weather"),
    ],
)
def test_answers_to_may_i_remember(words: str, wish: str, rest: str):
    """Only when that was asked; what else was said in the same breath still wants an answer."""
    assert parse_memory_command(words, answering=True) == MemoryCommand(wish, rest=rest)


@pytest.mark.parametrize(
    "words",
    [
        "Yes, but not my address.",
        "Why do you ask?",
        "My dog is called Biscuit.",
        "Maybe.",
        "Notably my dog.",
        "Surely",
    ],
)
def test_what_is_neither_yes_nor_no(words: str):
    """No consent is read into it, and no refusal."""
    assert parse_memory_command(words, answering=True) is None
