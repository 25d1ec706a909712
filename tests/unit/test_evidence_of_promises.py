"""Promises, dates and numbers, held against what was said: the kinds of evals/data/promises.jsonl."""

from dataclasses import replace

import pytest

from echoic.memory.types import About
from echoic.workers.evidence.reading import read_answer
from echoic.workers.evidence.verify import is_dated
from tests.unit.test_evidence import judged_of, spoken, verdict

PROMISE = {"topic": "promises"}
AGENT = {**PROMISE, "about": "agent"}


@pytest.mark.parametrize(
    ("said", "fact", "words", "reason"),
    [
        ("I'll get some more linctus", "Will collect the linctus on Wednesday", "on Wednesday", "invented"),
        ("I'll get some more on Wednesday", "Will get more on Wednesday", "on Wednesday", ""),
        ("土曜日の十時に行きます", "水曜日に行く", "水曜日", "invented"),
        ("土曜日の十時に行きます", "土曜日に行く", "土曜日", ""),
    ],
)
def test_a_date_explains_what_was_said_alone(said, fact, words, reason):
    """Its words stand in the turn, or it explains no day of the fact."""
    when = {"from": "2026-12-02", "precision": "day", "words": words}
    assert verdict(spoken(f"U: {said}"), fact, quote=said, when=when, **PROMISE) == reason


@pytest.mark.parametrize(
    ("words", "day", "dated"),
    [
        ("on Saturday", "2026-11-28", True),
        ("on Saturday", "2026-11-27", False),
        ("on 3 March", "2027-03-03", True),
        ("on 3 March", "2027-05-03", False),
        ("tomorrow", "2026-11-27", True),
        ("a week on Monday", "2026-12-07", True),
    ],
)
def test_a_date_is_of_the_day_that_its_words_name(words, day, dated):
    """A wrong one would be told as due; without it the promise stands."""
    heard = spoken(f"U: I'll come by {words}")
    when = {"from": day, "precision": "day", "words": words}
    (one,) = read_answer([{"fact": "Comes by", "when": when, **PROMISE}], 1, 0).operations
    assert is_dated(one, heard, (0,)) == dated


@pytest.mark.parametrize(
    ("said", "fact", "reason"),
    [
        ("I'll bring the forty pounds in cash", "Will bring sixty pounds in cash", "invented"),
        ("I'll bring the forty pounds in cash", "Will bring forty pounds in cash", ""),
        ("je vous fais un chèque de cinquante euros", "Fait un chèque de soixante-dix euros", "invented"),
        ("今度五千円を持っていきます", "三千円を持っていく", "invented"),
        ("I have a cat called Moth and a cat called Finch", "Has two cats", ""),
        ("j'ai 50 % de réduction sur mon canapé", "A 50 pour cent de réduction sur son canapé", ""),
        ("I swim at half past six", "Swims at six thirty", ""),
        ("quero um quarto com mesa", "Quer um quarto com mesa", ""),
    ],
)
def test_a_number_in_words_was_said(said, fact, reason):
    """Of more than ten: fewer are counted together, and "quarto" is a room."""
    assert verdict(spoken(f"U: {said}"), fact, quote=said) == reason


@pytest.mark.parametrize(
    ("offer", "answer", "fact", "reason"),
    [
        ("Soll ich dort anrufen?", "Nein nein, lassen Sie mal", "Ruft dort an", "unsaid"),
        ("Soll ich dort anrufen?", "Ja bitte, ich kann nicht", "Ruft dort an", ""),
        ("病院の予約をお取りしましょうか。", "いいえ、いりません", "病院の予約を取る", "unsaid"),
        ("I'll call them for you.", "No, not today", "Calls them", ""),
        ("I'll send you the form by email. Anything else?", "No, that's all", "Sends the form by email", ""),
        ("Shall I send you the form by email?", "Please do, I can't find it.", "Sends the form by email", ""),
        ("그럼 금요일 세 시에 만나요.", "저는 차가 없어요.", "금요일 세 시에 만난다", ""),
        ("I'll find out, one moment.", "Thanks", "Will check and get back", ""),
        ("Saturday is fine, somebody's here.", "Good", "Collects the key from Ms Petersen", "invented"),
    ],
)
def test_an_agent_undertakes_what_it_says(offer, answer, fact, reason):
    """In a word of its own, and not as an offer that is turned down."""
    heard = spoken("U: hello", f"A: {offer}", f"U: {answer}")
    assert verdict(heard, fact, quote=offer, **AGENT | {"turns": [2]}) == reason


def test_what_is_asked_for_and_denied_beside_it_is_denied():
    """ "No, look, tomorrow I can't call" is no promise to call tomorrow."""
    asked = "A: Ciao Davide, ci chiami tu domani per confermare la sala?"
    heard = spoken(asked, "U: no guarda domani non riesco a chiamare sono in treno")
    assert verdict(heard, "Chiama domani per confermare la sala", **PROMISE) == "denied"
    heard = spoken("A: Sind Sie noch bei der AOK versichert?", "U: Nee, ich bin zur Techniker gewechselt.")
    assert verdict(heard, "Ist bei der Techniker versichert") == ""


@pytest.mark.parametrize(
    ("question", "answer", "fact"),
    [
        (
            "Is the appointment on Monday?",
            "No, not Monday. Friday at ten in Leeds.",
            "Appointment is Friday at ten in Leeds",
        ),
        (
            "Ist der Termin am Montag?",
            "Nein, nicht Montag. Freitag um zehn in Leipzig.",
            "Termin ist am Freitag um zehn in Leipzig",
        ),
        (
            "Le rendez-vous est lundi ?",
            "Non, pas lundi. Vendredi à dix heures à Lyon.",
            "Rendez-vous vendredi à dix heures à Lyon",
        ),
    ],
)
def test_a_no_reaches_no_further_than_its_sentence(question, answer, fact):
    """What is said instead stands in the next one."""
    assert verdict(spoken(f"A: {question}", f"U: {answer}"), fact) == ""


def test_a_question_for_assent_tells_what_stands_before_it():
    """The agent named the garage; the caller told what they will do there."""
    said = "eu passo aí na terça para deixar a mota, está bem?"
    heard = spoken("A: Oficina do Zé, boa tarde.", f"U: {said}")
    assert verdict(heard, "Passa na oficina na terça para deixar a mota", quote=said, **PROMISE) == ""


@pytest.mark.parametrize(
    ("known", "said", "topic", "reason"),
    [
        ("Schickt das Formular bis Freitag.", "das formular hab ich gestern eingeworfen", "promises", ""),
        ("Spielt jeden Mittwoch Skat im Löwen", "gestern fiel skat bei mir aus", "hobbies", "unlike"),
        ("Goes to yoga on Wednesdays", "my yoga was cancelled yesterday", "hobbies", "unlike"),
        ("Goes to yoga on Wednesdays", "I have no yoga this week", "hobbies", "unlike"),
    ],
)
def test_a_promise_is_kept_on_a_day_and_a_habit_is_not_ended_by_one(known, said, topic, reason):
    """Of a fact whose kind nobody knows the operation's topic tells."""
    heard = spoken(f"U: {said}", known=[known], about=None)
    assert verdict(heard, op="end 1", quote=said, topic=topic) == reason


def test_a_promise_is_ended_by_words_that_mean_it():
    """A cough ends no promise to bring a key."""
    heard = spoken("U: I've a bit of a cough still", known=["Will bring the spare key on Sunday"])
    heard = replace(heard, known=[replace(heard.known[0], kind="promise", topic="promises")])
    ends = {"op": "end 1", "quote": "I've a bit of a cough still"}
    assert verdict(heard, topic="health", **ends) == "unlike"
    heard = replace(heard, turns=spoken("U: I did that yesterday").turns)
    assert verdict(heard, op="end 1", quote="I did that yesterday", **PROMISE) == ""


def test_the_agents_promise_gives_way_to_its_next():
    """ "Calls back on Friday" does not say who does, and is no fact of the caller's."""
    heard = spoken(
        "U: siz beni salı günü arayın",
        "A: Olur, salı günü ararım.",
        known=["Cuma günü geri arayacak."],
        about=None,
    )
    heard = replace(heard, known=[replace(heard.known[0], about=None)])
    found = judged_of(heard, "Salı günü arayacak", op="replace 1", quote="Olur, salı günü ararım.", **AGENT)
    assert (found.reason, found.keeps) == ("", False)


def test_a_promise_takes_the_place_of_no_other_fact():
    """That it names Ana does not end where she lives."""
    quote = "my brother karl brings ana the key to faro"
    heard = spoken(f"U: {quote}", known=["Sister Ana lives in Faro"], about=About("sister", "Ana"))
    heard = replace(heard, known=[replace(heard.known[0], topic="family")])
    fact = {"op": "replace 1", "quote": quote, "about": "brother, Karl", **PROMISE}
    assert judged_of(heard, "Brother Karl brings Ana the key to Faro", **fact).keeps


def test_a_promise_is_taken_over_or_moved():
    """By another person, and though the caller cannot do it tomorrow."""
    quote = "किराया कल नहीं दे पाऊँगा मंगलवार को दे दूँगा"
    heard = spoken(f"U: {quote}", known=["शुक्रवार तक किराया देगा।"], about=None)
    moved = judged_of(heard, "मंगलवार को किराया देगा", op="replace 1", quote=quote, **PROMISE)
    assert (moved.reason, moved.keeps) == ("", False)
    quote = "mein sohn karl bringt ihnen den schlüssel am samstag"
    heard = spoken(f"U: {quote}", known=["Bringt den Schlüssel am Freitag"], about=None)
    taken = judged_of(
        heard,
        "Sohn Karl bringt den Schlüssel am Samstag",
        op="replace 1",
        quote=quote,
        about="Sohn, Karl",
        **PROMISE,
    )
    assert (taken.reason, taken.keeps) == ("", False)


def test_a_name_that_the_agent_said_stands_in_what_the_caller_agreed_to():
    """ "Dr Meyer's surgery", and then "Wednesday at three?" – "Perfect"."""
    heard = spoken(
        "A: Cabinet du docteur Meyer, bonjour.",
        "U: c'est pour déplacer mon rendez-vous",
        "A: Mercredi à quinze heures quinze ?",
        "U: Parfait, je prends.",
    )
    assert verdict(heard, "A rendez-vous chez le docteur Meyer mercredi à 15 h 15") == ""
    assert verdict(heard, "A rendez-vous chez le docteur Blanc mercredi à 15 h 15") == "invented"


def test_a_no_behind_what_it_denies_denies_nothing_behind_it():
    """ "Antes de las siete no, que tengo pilates" is no "I never said that I do pilates"."""
    said = "Uy, antes de las siete no, que tengo pilates."
    assert verdict(spoken(f"U: {said}"), "Tiene pilates", quote=said) == ""
    said = "nunca dije que tengo pilates"
    assert verdict(spoken(f"U: {said}"), "Tiene pilates", quote=said) == "denied"
