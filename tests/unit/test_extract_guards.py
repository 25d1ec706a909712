"""A model's notes against the caller's words: what is not supported is not learned."""

from datetime import UTC, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from echoic.memory.errors import ModelAnswerInvalid
from echoic.memory.types import Fact, Turn
from echoic.workers.chat_model import parse_object
from echoic.workers.extractors.guards import Draft
from echoic.workers.extractors.lines import LINES_AT_ONCE, lines_of, portions
from echoic.workers.extractors.one_call import learned_from, read_answer
from echoic.workers.extractors.prompt import messages, schema

UTC_ZONE = ZoneInfo("UTC")
SAID_AT = datetime(2026, 11, 12, 18, 30, tzinfo=UTC)


def lines(*said):
    """Lines of a call: a text is the caller's, ("agent", text) the agent's."""
    pairs = [("user", text) if isinstance(text, str) else ("assistant", text[1]) for text in said]
    return lines_of(
        [
            Turn(uuid4(), "ana", "a", "c", place, role, text, SAID_AT)
            for place, (role, text) in enumerate(pairs)
        ],
        UTC_ZONE,
    )


def known(*texts):
    return [Fact(uuid4(), "ana", text, "", "", 0.5, "user", "a", SAID_AT) for text in texts]


def learn(said, notes, *, ended=(), facts=()):
    """Texts learned and known texts closed, from what the caller said and the model noted."""
    told = lines(*said) if not isinstance(said, str) else lines(said)
    planted = known(*facts)
    learned, closings = learned_from([Draft(note, 0) for note in notes], list(ended), told, planted)
    closed = {closing.fact_id for closing in closings}
    return [fact.text for fact in learned], [fact.text for fact in planted if fact.fact_id in closed]


@pytest.mark.parametrize(
    ("said", "note", "learned"),
    [
        ("My dog is called Biscuit.", "Dog is called Biscuit", ["Dog is called Biscuit"]),
        ("My dog is called Biscuit.", "The caller's dog is called Biscuit", ["Dog is called Biscuit"]),
        ("My dog is called Biscuit.", "My dog is called Biscuit.", ["Dog is called Biscuit"]),
        ("My dog is called Biscuit.", "Dog is called Rex", []),
        # one word of three may be paraphrase
        (
            "My dog is called Biscuit.",
            "Dog Biscuit is a beagle",
            ["Dog Biscuit is a beagle"],
        ),
        ("My dog is called Biscuit.", "Lives in Lisbon", []),
        ("I'm a nurse.", "Works as a nurse", ["Works as a nurse"]),
        ("I don't have a dog.", "Has a dog", []),
        ("I don't have a dog.", "Does not have a dog", ["Does not have a dog"]),
        ("I can't stand coriander.", "Likes coriander", []),
        ("I can't stand coriander.", "Dislikes coriander", ["Dislikes coriander"]),
        ("I've never been to Japan.", "Has been to Japan", []),
        ("I used to love coffee.", "Loves coffee", []),
        (
            "My wife Sofia can't eat gluten, she has coeliac disease.",
            "Wife Sofia has coeliac disease",
            ["Wife Sofia has coeliac disease"],
        ),
        ("My sister Ana is allergic to nuts.", "Is allergic to nuts", ["Sister Ana is allergic to nuts"]),
        ("Sadly our dog Rufus died in May.", "Died in May", ["Dog Rufus died in May"]),
        ("I moved to Rome with my wife Sofia.", "Moved to Rome", ["Moved to Rome"]),
        (
            "Last year I ran a marathon in Valencia.",
            "Ran a marathon in Valencia",
            ["Ran a marathon in Valencia in 2025"],
        ),
        ("I'm a nurse on the night shift and broke my wrist yesterday.", "Is a nurse", ["Is a nurse"]),
        ("Ich wohne in Hamburg.", "Wohnt in Hamburg", ["Wohnt in Hamburg"]),
    ],
)
def test_a_note_is_learned_as_far_as_the_caller_said_it(said, note, learned):
    """Names and numbers must have been said, denials stay denials, and another's facts stay another's."""
    assert learn(said, [note])[0] == learned


def test_a_short_answer_is_understood_by_the_question():
    """ "Ingrid." says what the daughter is called."""
    said = [("agent", "What's your daughter called?"), "Ingrid."]
    assert learn(said, ["Daughter is called Ingrid"])[0] == ["Daughter is called Ingrid"]


def test_an_offer_of_the_agent_is_not_a_fact():
    """Names from what the agent states or offers do not count as said."""
    said = [("agent", "I could book the Sakura for Friday."), "That works, my wife is coming too."]
    assert learn(said, ["Has a table at the Sakura with wife on Friday"])[0] == []


def test_the_same_fact_is_learned_once():
    """Neither twice from one answer, nor when it is known, nor a poorer form of it."""
    notes = ["Dog Biscuit is a beagle", "Dog Biscuit is a beagle.", "Has a beagle"]
    assert learn("My dog Biscuit is a beagle.", notes)[0] == ["Dog Biscuit is a beagle"]
    assert (
        learn("My dog is called Biscuit.", ["Dog is called Biscuit"], facts=["The dog is called Biscuit"])[0]
        == []
    )


def test_another_fact_of_the_same_thing_is_not_known():
    """What somebody does and what they like are two facts."""
    assert learn("I love Rome.", ["Loves Rome"], facts=["Flies to Rome in May"])[0] == ["Loves Rome"]


def test_words_of_an_unrelated_known_fact_are_copied():
    """A small model mixes what it was shown into what it heard."""
    assert (
        learn(
            "He's called Brisket, not Biscuit.",
            ["Dog Brisket likes jazz"],
            facts=["Dog is called Biscuit", "Likes jazz"],
        )[0]
        == []
    )


def test_a_correction_in_the_same_breath_wins():
    """ "Tuesday the 17th. Sorry, no, Wednesday the 18th." """
    notes = ["Appointment is on Tuesday the 17th", "Appointment is on Wednesday the 18th"]
    assert (
        learn("My appointment is on Tuesday the 17th. Sorry, no, it's Wednesday the 18th.", notes)[0]
        == notes[1:]
    )


@pytest.mark.parametrize(
    ("said", "notes", "ended", "facts", "closed"),
    [
        (
            "I moved to Lisbon, I don't live in Leeds any more.",
            ["Moved to Lisbon"],
            [],
            ["Lives in Leeds", "Is a nurse"],
            ["Lives in Leeds"],
        ),
        ("I live in Lisbon now.", ["Lives in Lisbon now"], [0], ["Lives in Leeds"], ["Lives in Leeds"]),
        (
            "He's called Brisket, not Biscuit.",
            ["Dog is called Brisket"],
            [],
            ["Dog is called Biscuit"],
            ["Dog is called Biscuit"],
        ),
        (
            "I finally quit smoking!",
            ["Quit smoking"],
            [],
            ["Smokes ten cigarettes a day"],
            ["Smokes ten cigarettes a day"],
        ),
        (
            "Our dog Rufus died in May.",
            ["Dog Rufus died in May"],
            [0],
            ["Has a dog called Rufus"],
            ["Has a dog called Rufus"],
        ),
        ("Biscuit is a beagle.", ["Biscuit is a beagle"], [0], ["Dog is called Biscuit"], []),
        (
            "We got a second cat, her name is Olive.",
            ["Second cat is called Olive"],
            [0],
            ["Has a cat called Miso"],
            [],
        ),
        ("I'm 41 now.", ["Is 41 years old"], [], ["Is 40 years old"], ["Is 40 years old"]),
        ("I live in York.", ["Lives in York"], [], ["Lives in Leeds"], ["Lives in Leeds"]),
        ("My sister lives in York.", ["Sister lives in York"], [0], ["Lives in Leeds"], []),
        (
            "I've switched from an iPhone to a Pixel.",
            ["Switched from an iPhone to a Pixel"],
            [],
            ["Uses an iPhone"],
            ["Uses an iPhone"],
        ),
        ("I bought a kayak.", ["Bought a kayak"], [0], ["Lives in Bergen"], []),
        (
            "Ich wohne jetzt in Berlin.",
            ["Wohnt jetzt in Berlin"],
            [0],
            ["Wohnt in Hamburg"],
            ["Wohnt in Hamburg"],
        ),
    ],
)
def test_a_known_fact_ends_only_when_the_words_bear_it_out(said, notes, ended, facts, closed):
    """What the model calls ended must meet a word of ending or a new value of the same thing."""
    assert learn(said, notes, ended=ended, facts=facts)[1] == closed


def test_a_mere_denial_of_what_ended_is_not_kept_beside_what_is_so_now():
    """The old fact is closed with a date; the new one says the rest."""
    said = "I'm not vegetarian any more, I eat fish now."
    assert learn(
        said, ["Is not vegetarian any more", "Eats fish now"], ended=[0], facts=["Is vegetarian"]
    ) == (["Eats fish now"], ["Is vegetarian"])


def test_leaving_is_not_kept_beside_what_is_new():
    """ "Left the bank" says no more than the closing does."""
    notes = ["Left the bank", "Works as a baker now"]
    assert learn("I left the bank. I'm a baker now.", notes, ended=[0], facts=["Works at a bank"]) == (
        notes[1:],
        ["Works at a bank"],
    )


def test_texts_are_short():
    """At most 200 characters, cut between words."""
    (text,) = learn("I like " + "boats and " * 60 + "ships.", ["Likes " + "boats and " * 60])[0]
    assert len(text) <= 200 and text.endswith(("boats", "and"))


def test_an_answer_with_odd_facts_keeps_the_good_ones():
    """Wrong lines, weights and topics get plain defaults; what has no text is left out."""
    answer = {
        "facts": [{"text": "Dog is called Rex", "line": 99, "topic": "?", "weight": "x"}, {"line": 1}, "no"],
        "ended": [0, "1", 2],
    }
    drafts, ended = read_answer(answer, 1)
    assert ([(draft.text, draft.line, draft.importance) for draft in drafts], ended) == (
        [("Dog is called Rex", 0, 0.5)],
        [1],
    )


@pytest.mark.parametrize("answer", [{}, {"facts": "none"}, {"facts": None}])
def test_an_answer_without_facts_is_refused(answer):
    """It counts as a failure of the batch."""
    with pytest.raises(ModelAnswerInvalid):
        read_answer(answer, 1)


def test_json_is_found_in_fences_and_thoughts():
    """Endpoints without a JSON mode wrap it."""
    assert parse_object('<think>{"a": 0}</think>\n```json\n{"a": 1}\n```') == {"a": 1}


@pytest.mark.parametrize("text", ["", "Sure!", "[1]", '{"a": ', "{" * 100_000])
def test_prose_is_refused(text):
    """What is no JSON object is not guessed at."""
    with pytest.raises(ModelAnswerInvalid):
        parse_object(text)


def test_the_prompts_beginning_never_changes():
    """The same bytes in every call, so that a server's prefix cache holds them; below 1,500 tokens."""
    first, second = (
        messages(lines("I'm a nurse."), [], UTC_ZONE),
        messages(lines("My dog is called Rex."), known("Lives in Leeds"), UTC_ZONE),
    )
    assert first[:-1] == second[:-1]
    assert sum(len(message["content"]) for message in first) < 1_500 * 4


def test_only_lines_and_facts_that_exist_can_be_named():
    """The JSON schema lists them."""
    fields = schema(2, 0)["properties"]
    assert fields["facts"]["items"]["properties"]["line"]["enum"] == [1, 2] and fields["ended"]["items"][
        "enum"
    ] == [0]


def test_many_lines_are_asked_in_portions():
    """In order, none twice, none left out."""
    many = lines(*(f"I own {number} boats." for number in range(25)))
    parts = list(portions(many))
    assert [line for part in parts for line in part] == many and max(map(len, parts)) <= LINES_AT_ONCE
