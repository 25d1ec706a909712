"""Operations held against the conversation they quote: right ones stand in any language, wrong ones fall."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from echoic.memory.types import CALLER, About, Fact, Turn
from echoic.workers.evidence.operations import read_answer
from echoic.workers.evidence.spoken import Spoken, language_of_turns
from echoic.workers.evidence.verify import judged

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)


def spoken(*lines, known=(), about=CALLER):
    """Turns of one call, "A: " before the agent's."""
    turns = [
        Turn(uuid4(), "u", "a", "c", at, "assistant" if line.startswith("A: ") else "user", line[3:], NOW)
        for at, line in enumerate(lines)
    ]
    facts = [Fact(uuid4(), "u", text, "", 0.5, "user", "a", NOW, about=about) for text in known]
    return Spoken(turns, language_of_turns(turns), facts)


def verdict(heard, fact="", **fields):
    """Why an operation on the last turn is refused; empty if it is not."""
    turns = [len(heard.turns)]
    answer = read_answer([{"fact": fact, "turns": turns, **fields}], len(heard.turns), len(heard.known))
    return judged(answer.operations[0], heard).reason


@pytest.mark.parametrize(
    ("said", "quote", "fact"),
    [
        ("I work at McDonald's now", "I work at mcdonalds", "Works at McDonald's"),
        ("I'm thirty four", "I'm 34", "Is 34 years old"),
        ("my gp is doctor patel", "my gp is Dr. Patel", "GP is Dr. Patel"),
        ("Ich wohne jetzt in Dresden", "Ich wohne jetzt in Dresden", "Wohnt in Dresden"),
        ("J'ai vingt-deux ans", "J'ai vingt-deux ans", "A 22 ans"),
        ("我住在上海", "我住在上海", "住在上海"),
        ("Mi chiamo Lucia e vivo a Torino", "vivo a Torino", "Vive a Torino"),
    ],
)
def test_what_was_said_stands_in_any_words_for_it(said, quote, fact):
    """Numbers, titles, apostrophes, accents; no language is needed for it."""
    assert verdict(spoken(f"U: {said}"), fact, quote=quote) == ""


@pytest.mark.parametrize(
    ("said", "fields", "reason"),
    [
        ("I live in Leeds", {"fact": "Lives in Leeds", "quote": "I moved to Hull last year"}, "unsaid"),
        ("I live in Leeds", {"fact": "Owns a boat called Marlene"}, "invented"),
        ("I live in Leeds", {"fact": "Lives in Leeds since 2019"}, "invented"),
        ("I don't smoke", {"fact": "Smokes"}, "denied"),
        ("Ich rauche nicht", {"fact": "Raucht"}, "denied"),
        ("My wife lives in Rome", {"fact": "Lives in Rome"}, "another's"),
        ("Meine Frau wohnt in Rom", {"fact": "Wohnt in Rom"}, "another's"),
        ("I live in Leeds", {"fact": "Sister lives in Leeds", "about": "sister"}, "another's"),
        ("If I won, I'd buy a boat", {"fact": "Buys a boat"}, "not meant"),
        ("I'm a pirate", {"fact": "Is a pirate", "said": "playful"}, "not meant"),
    ],
)
def test_what_was_not_said_falls(said, fields, reason):
    """Each kind by its own check."""
    assert verdict(spoken(f"U: {said}"), **fields) == reason


def test_the_agents_words_alone_are_no_evidence():
    """Also where the model names that turn."""
    heard = spoken("U: Hello there", "A: You live in Leeds, don't you")
    assert verdict(heard, "Lives in Leeds", quote="You live in Leeds") == "unsaid"


@pytest.mark.parametrize(
    ("question", "answer", "fact", "reason"),
    [
        ("Are you allergic to penicillin?", "Yes, I am.", "Is allergic to penicillin", ""),
        ("Are you allergic to penicillin?", "No.", "Is allergic to penicillin", "denied"),
        ("Sind Sie gegen Penizillin allergisch?", "Ja.", "Ist gegen Penizillin allergisch", ""),
        ("Any pets?", "Nope.", "Has no pets", ""),
    ],
)
def test_an_answer_rests_on_its_question(question, answer, fact, reason):
    """The caller's yes or no, and the agent's words."""
    assert verdict(spoken(f"A: {question}", f"U: {answer}"), fact, quote=answer) == reason


def test_an_end_needs_words_that_touch_the_fact():
    """What somebody else did ends nothing of the caller's."""
    heard = spoken("U: My cleaner is divorced now", known=["Is married"])
    assert verdict(heard, op="end 1", quote="My cleaner is divorced now") == "unlike"
    heard = spoken("U: I'm divorced now", known=["Is married"])
    assert verdict(heard, op="end 1", quote="I'm divorced now") == ""


def test_one_sister_does_not_close_the_other():
    """Nor does anybody else's news close the caller's."""
    marta = About("sister", "Marta")
    heard = spoken("U: my sister Ana moved to Porto", known=["Sister Marta lives in Faro"], about=marta)
    moved = {"about": "sister, Ana", "op": "replace 1", "quote": "my sister Ana moved to Porto"}
    assert verdict(heard, "Sister Ana lives in Porto", **moved) == "unlike"
    heard = spoken("U: my wife lives in Rome", known=["Lives in Bristol"])
    moved = {"about": "wife", "op": "replace 1", "quote": "my wife lives in Rome"}
    assert verdict(heard, "Wife lives in Rome", **moved) == "unlike"


def test_an_undertaking_of_the_agent_rests_on_its_own_words():
    """And on nothing that the caller said."""
    heard = spoken("U: Thanks", "A: I'll send you the form tomorrow")
    promise = {"topic": "promises", "about": "agent", "quote": "I'll send you the form tomorrow"}
    assert verdict(heard, "Sends the form", **promise) == ""
    assert verdict(spoken("U: I'll send you the form"), "Sends the form", **promise) == "unsaid"


@pytest.mark.parametrize("length", [50_000, 500_000])
def test_a_quote_of_any_length_is_read(length):
    """And costs no more than its beginning."""
    assert verdict(spoken("U: I live in Leeds"), "Lives in Leeds", quote="x " * (length // 2)) == "unsaid"


@pytest.mark.parametrize("said", ["", "...", "مرحبا أنا من دبي and ich wohne in Köln 我喜欢茶", "a" * 20_000])
def test_any_words_can_be_held_against(said):
    """Three languages in a turn, right-to-left text, nothing at all."""
    assert verdict(spoken(f"U: {said}"), "Is from Mars", quote="Mars") in ("unsaid", "invented")
