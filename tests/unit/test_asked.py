"""What a caller asks of memory, told from plain words: what is a wish, and what only sounds like one.

The tables of all languages are in `test_wishes.py`.
"""

from dataclasses import replace

import pytest

from echoic.agent.commands.memory_commands import MemoryCommand, parse_memory_command, speaks_of_forgetting
from echoic.agent.commands.templates import LONGEST_WORDS
from echoic.memory.text.language import UNKNOWN


def told(words: str, **asked: str) -> MemoryCommand | None:
    """Without the language in which it was recognised."""
    found = parse_memory_command(words, **asked)  # type: ignore[arg-type]
    return found and replace(found, language=UNKNOWN)


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
        ("Delete everything about my sister's wedding, please", "my sister s wedding"),
        ("forget that I live in Lisbon", "live in lisbon"),
        ("Forget my address", "address"),
        ("could you erase what you know about the surgery from your memory", "the surgery"),
    ],
)
def test_one_thing_is_named(words: str, about: str):
    """What is named is given as it was said, without the rest of the sentence."""
    assert told(words) == MemoryCommand("forget_that", about=about)


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("Apague o meu e-mail", "e-mail"),
        ("Apague o meu e mail", "e mail"),
        ("Esquece tudo sobre o meu check-in", "o meu check-in"),
        ("Forget about AT&T", "at-t"),
        ("Forget everything about C++", "c++"),
        ("Forget what I said about my mother-in-law", "my mother-in-law"),
        ("Forget everything about Dr. O'Brien", "dr o brien"),
        ("Oublie tout ce que je t'ai dit sur mon rendez-vous", "mon rendez-vous"),
        ("Olvida lo que te dije del Wi-Fi", "wi-fi"),
        ("Zapomnij o wszystkim, co mówiłam o X-menach", "x-menach"),
        ("Забудь всё про ЖК-телевизор", "жк-телевизор"),
        ("Dalla tua memoria elimina il mio T-shirt", "il mio t-shirt"),
        ("Vergiss alles über die U-Bahn aus deinem Gedächtnis", "die u-bahn"),
    ],
)
def test_what_is_written_together_is_one_thing(words: str, about: str):
    """A piece of it is no "and", and "from your memory" may stand anywhere."""
    assert told(words) == MemoryCommand("forget_that", about=about)


def test_to_forget_about_doing_something_is_an_idiom():
    """It names an act, and nothing that memory holds."""
    assert told("Forget about getting there before noon.") is None


@pytest.mark.parametrize(
    "words", ["Delete my order number 5.", "Forget my appointment", "Lösch meine Bestellung"]
)
def test_what_may_be_no_matter_of_memory(words: str):
    """It is for the agent's own business, unless memory holds it; and even then it is asked about."""
    found = parse_memory_command(words)
    assert found is not None and found.wish == "forget_that" and found.perhaps


@pytest.mark.parametrize(
    "words", ["Forget it.", "Never mind", "Forget I asked", "Vergiss es", "忘れて", "Laat maar"]
)
def test_idioms_wish_nothing(words: str):
    """They are known as such: no model is shown the tools for them."""
    assert told(words) == MemoryCommand("nothing")


@pytest.mark.parametrize(
    "words",
    [
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
        "Forget about him.",
        "Forget that, and " + "so on " * LONGEST_WORDS,
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
    assert told(words) == MemoryCommand("dont_remember_this", this_alone=True)


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
        ("No, what's the weather?", "stop_remembering", "what s the weather"),
        ("Ja gerne.", "remember_again", ""),
        ("Nein danke, lieber nicht.", "stop_remembering", ""),
        ("Sí, por favor", "remember_again", ""),
        ("はい、お願いします。", "remember_again", ""),
        ("不用了。", "stop_remembering", ""),
    ],
)
def test_answers_to_may_i_remember(words: str, wish: str, rest: str):
    """Only when that was asked; what else was said in the same breath still wants an answer."""
    assert told(words, asked="may_remember") == MemoryCommand(wish, rest=rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "words",
    [
        "Yes, but not my address.",
        "Why do you ask?",
        "My dog is called Biscuit.",
        "Maybe.",
        "I have a dog.",
        "Notably my dog.",
        "Surely",
    ],
)
def test_what_is_neither_yes_nor_no(words: str):
    """No consent is read into it, and no refusal."""
    assert told(words, asked="may_remember") is None


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("Yes.", "confirm_forgetting"),
        ("Ja, bitte.", "confirm_forgetting"),
        ("Oui, vas-y", "confirm_forgetting"),
        ("好的", "confirm_forgetting"),
        ("No.", "nothing"),
        ("Nein, lieber nicht.", "nothing"),
    ],
)
def test_answers_to_what_was_read_back(words: str, wish: str):
    """A yes of any language is one; what is not is dropped."""
    assert told(words, asked="may_forget") == MemoryCommand(wish)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", ["Yes, except the vet.", "Ja, aber nicht die Adresse.", "What did I say?"])
def test_half_a_yes_erases_nothing(words: str):
    """Whoever makes a condition is not taken at their first word."""
    assert told(words, asked="may_forget") is None


TO_KEEP = [
    "Remember that.",
    "Yes, I want you to remember it.",
    "Ja, behalte es.",
    "Запомни.",
    "기억해 주세요.",
]
TO_FORGET = ["Forget that, please.", "Okay, forget it.", "忘了吧。", "忘れてください。", "Unut."]
ASKING = ["Yes?", "Yes? Hello?", "¿Sí?", "Oui ?", "はい？"]


@pytest.mark.parametrize(
    ("asked", "answers"),
    [
        ("may_forget", [*TO_KEEP, "Yes, keep it.", "Sí, déjalo.", "Hatırla.", *ASKING, "Yes, what was it?"]),
        ("may_remember", [*TO_FORGET, *ASKING]),
    ],
)
def test_no_yes_is_what_names_the_other_act_or_asks_back(asked: str, answers: list[str]):
    """One list of phrases agrees to both questions; which of them is meant, the act in it tells."""
    for words in answers:
        found = told(words, asked=asked)
        assert found is None or found.wish not in ("confirm_forgetting", "remember_again"), words


@pytest.mark.parametrize(
    ("words", "asked", "wish"),
    [
        ("Remember it, please.", "may_forget", "nothing"),
        ("Forget it.", "may_remember", "stop_remembering"),
        ("Keep it.", "may_remember", "remember_again"),
        ("Keep it.", "may_forget", "nothing"),
        ("Yes, delete it.", "may_forget", "confirm_forgetting"),
        ("Evet, unut.", "may_forget", "confirm_forgetting"),
        ("No, don't remember it.", "may_remember", "stop_remembering"),
        ("No, don't delete it.", "may_forget", "nothing"),
        ("Kaydetme.", "may_forget", "nothing"),
        ("Yes, and is it raining?", "may_remember", "remember_again"),
    ],
)
def test_the_act_that_an_answer_names_decides(words: str, asked: str, wish: str):
    """But nothing that refuses deletes."""
    found = told(words, asked=asked)
    assert found is not None and found.wish == wish


@pytest.mark.parametrize(
    ("words", "speaks"),
    [
        ("Please delete my phone number", True),
        ("Könntest du das irgendwie löschen, ja?", True),
        ("能不能帮我删除一下", True),
        ("Und die Sache mit der Firma, die hol bitte wieder aus deinem Gedächtnis.", True),
        ("é que eu prefiro que você não guarde isso", True),
        ("Remember that I take my tea with milk", False),
        ("My dog is called Biscuit.", False),
    ],
)
def test_words_that_a_model_might_take_for_a_deed(words: str, speaks: bool):
    """In any language, wherever in a sentence they stand."""
    assert speaks_of_forgetting(words) == speaks


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("I made a mistake. Forget that, please.", "forget_that"),
        ("Das war falsch. Vergiss das bitte.", "forget_that"),
        ("我说错了。请忘掉这个。", "forget_that"),
        ("Is it raining? Forget that, please.", None),
        ("Forget what I just said. I will call again.", None),
        ("He told them to delete it. They did not.", None),
    ],
)
def test_the_last_of_several_sentences_may_be_a_wish(words: str, wish: str | None):
    """What stands before it gives the reason; what stands behind it may correct it."""
    found = parse_memory_command(words)
    assert (found.wish if found else None) == wish
