"""Words: keys, terms, small talk and follow-ups, in more than one script."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from echoic.memory.text.words import (
    MAX_TERM_CHARS,
    asked_terms,
    clean,
    is_follow_up,
    is_small_talk,
    normalise,
    spelled_end,
    terms,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What's my dog called?", "what’s  MY dog called"),
        ("Straße", "STRASSE"),
        ("ﬁne", "fine"),
        ("one, two — three…", "one two three"),
        ("cafe\u0301", "café"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_the_same_words_give_the_same_key(one: str, other: str) -> None:
    """However they are written."""
    assert normalise(one) == normalise(other)


def test_different_words_give_different_keys() -> None:
    """Nothing that carries meaning is dropped: digits, symbols, other scripts."""
    texts = ["C", "C++", "3", "4", "أين أسكن", "我住在哪里", "हिन्दी", "हिन्द", "👍", ""]
    assert len({normalise(text) for text in texts}) == len(texts)


@pytest.mark.parametrize("text", ["a\0b", "lone \ud800 surrogate", "\udfff", "fine", "مرحبا", "\ud83d\ude00"])
def test_cleaned_text_can_be_stored(text: str) -> None:
    """Without NUL, and encodable, so that Postgres and JSON take it."""
    cleaned = clean(text)
    assert "\0" not in cleaned
    assert json.loads(json.dumps(cleaned).encode()) == cleaned.encode().decode()


def test_cleaning_keeps_what_can_be_kept() -> None:
    """A surrogate pair becomes its character; everything else stays as it was."""
    assert clean("\ud83d\ude00 ok") == "😀 ok"
    assert clean("a\0b\ud800c") == "abc"
    assert clean("tab\tnew\nline é") == "tab\tnew\nline é"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is my dog called?", ["dog", "call"]),
        ("My dogs' call", ["dog", "call"]),
        ("Caroline's dog, Caroline", ["carolin", "dog", "carolin"]),
        ("José’s café", ["jose", "cafe"]),
        ("room 5, 12.50 €", ["room", "5", "12", "50"]),
        ("I don't know what you're on about", ["know"]),
        ("l'école d’Élodie", ["ecol", "elodi"]),
        ("nell'albergo dell’Anna, un'auto", ["albergo", "anna", "auto"]),
        ("O'Brien, ma'am", ["obrien", "maam"]),
        ("٣ ३ ３ 3", ["3", "3", "3", "3"]),
        ("Łódź, Bjørn, œuf", ["lodz", "bjorn", "oeuf"]),
        ("Þór, Għawdex", ["thor", "ghawdex"]),
        ("ısparta ISPARTA Isparta", ["isparta", "isparta", "isparta"]),
        ("!!! … 👍 ❤️", []),
        ("", []),
    ],
)
def test_terms_are_stems_without_stop_words(text: str, expected: list[str]) -> None:
    """In order, as often as they were said."""
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("أسكن في لشبونة", "لشبونة"),
        ("Я живу в Лиссабоне", "лиссабоне"),
        ("我住在里斯本", "你住在里斯本吗"),
        ("ビスケットという犬", "犬の名前はビスケット"),
        ("제 개는 비스킷이에요", "비스킷은 어디에 있어요"),
        ("मेरा कुत्ता बिस्किट", "बिस्किट कहाँ है"),
        ("ฉันอยู่ที่ลิสบอน", "ลิสบอน"),
        ("ich wohne in Zürich", "Zurich"),
    ],
)
def test_terms_meet_in_every_script(said: str, asked: str) -> None:
    """A word said is found by a question that holds it, also where words are not separated by spaces."""
    assert set(terms(said)) & set(terms(asked))


def test_combining_marks_stay_in_their_word() -> None:
    """Devanagari vowel signs are no separators."""
    assert terms("हिन्दी भाषा") == ["हिन्दी", "भाषा"]


def test_an_endless_word_is_cut() -> None:
    """An index of Postgres refuses entries of several kilobytes."""
    assert max(map(len, terms("x" * 100_000 + " " + "й" * 100_000 + " " + "里" * 1_000))) <= MAX_TERM_CHARS


def test_stemming_is_safe_in_threads() -> None:
    """A stemmer keeps the word it works on in itself: two threads must not mix theirs up."""
    words = [
        f"{stem}{ending}"
        for stem in ("walk", "jump", "paint", "order")
        for ending in ("ing", "ed", "s", "er")
    ]
    texts = [" ".join(f"{word}{number}x {word}" for word in words) for number in range(200)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(terms, texts)) == [terms(text) for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        *("mm hm", "Mhm.", "mmhmm", "uh huh", "Hmm…", "um", "er", "ah", "oh"),
        *(
            "yes",
            "Yeah!",
            "no",
            "nope",
            "ok",
            "OK, thanks.",
            "okay great thank you so much",
            "right",
            "sure",
            "of course",
        ),
        *(
            "Hello!",
            "hi there",
            "Good morning, how are you?",
            "hey",
            "bye",
            "Bye bye!",
            "see you later",
            "take care, bye",
            "You too!",
        ),
        *("I see", "sounds good", "got it", "never mind", "no problem", "can you hear me?", "haha", "wow"),
        *("I understand.", "I am good, thanks", "See you around!", "Have a nice day"),
        *("", "   ", "…", "?!", "👍", ";)"),
    ],
)
def test_small_talk_asks_nothing(text: str) -> None:
    """It holds nothing to look up and nothing to learn."""
    assert is_small_talk(text)


@pytest.mark.parametrize(
    "text",
    [
        *("Danke, tschüss!", "Sí, claro.", "c'est ça, merci", "ja prima", "Olá, tudo bem?", "İyi günler!"),
        *("はい、ありがとう。", "네, 감사합니다", "嗯，好的，谢谢", "شكراً جزيلاً", "जी हाँ", "Да, спасибо"),
        *("danke 😊", "Thank you ❤️", "はい👍", "спасибо 👌🏽"),
    ],
)
def test_small_talk_is_known_in_every_language(text: str) -> None:
    """All of it in one of them, with spaces or without."""
    assert is_small_talk(text)


def test_small_talk_without_spaces_is_read_once() -> None:
    """It could be cut in a million ways."""
    assert is_small_talk("好好的" * 33)
    assert not is_small_talk("好好的" * 33 + "猫")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "yes, my name is Ana",
            "no, Lisbon",
            "Biscuit",
            "hello, this is Tom",
            "thanks to my sister",
            "I'm a nurse",
            "seven",
            "42",
            "today",
        ),
        *(
            "good question: where do I live?",
            "why?",
            "and hers?",
            "the right one",
            "fine arts",
            "no sugar please, I am diabetic",
        ),
        *("gut, in Leeds", "no, el martes", "はい、猫が二匹います", "네, 고양이 두 마리요", "这个", "भाई"),
        *("Ben", "Bello", "prima", "um dia", "nada", "sí, thanks"),
        *("tack så mycket", "ευχαριστώ", "ขอบคุณ", "kiitos"),
    ],
)
def test_words_with_content_are_not_small_talk(text: str) -> None:
    """Nor are fillers alone, which may be a name elsewhere, and what is said in a language without a file."""
    assert not is_small_talk(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "and hers?",
            "What about his?",
            "how about Tom?",
            "why?",
            "Why not?",
            "when?",
            "since when?",
            "with whom?",
            "how much",
        ),
        *(
            "When was that?",
            "how old is he?",
            "who gave it to me?",
            "where does she live now?",
            "Which one?",
            "what else",
            "but why",
        ),
        *("what's her name?", "is it far?", "and my sister's?", "tell me more", "what did they say about it"),
    ],
)
def test_follow_ups_lean_on_the_turn_before(text: str) -> None:
    """They are asked together with it."""
    assert is_follow_up(text)


@pytest.mark.parametrize(
    "text",
    [
        *("Und ihre?", "¿Y cuándo fue?", "Et la sienne ?", "E dela?", "A jej?", "Почему?", "O kaç yaşında?"),
        *("彼女は？", "그녀는요?", "那她呢？", "我弟弟呢？", "كم عمره؟", "और उसका?"),
        *("okay, und Bens?", "um, no wait and Tom's?", "ah ya ¿y por qué no?", "哦为什么"),
        *("なるほど、なんで？", "why not 🤔", "लेकिन क्यों 😊"),
    ],
)
def test_follow_ups_are_known_in_every_language(text: str) -> None:
    """By what they begin with, by all their words, or by a pronoun."""
    assert is_follow_up(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "What is my dog called?",
            "Where do I live?",
            "who is my sister?",
            "how old is Biscuit?",
            "My name is Ana",
        ),
        *(
            "is there a train to Porto?",
            "this is my sister Maria",
            "when did Maria donate her car?",
            "how did Gina promote her store?",
        ),
        "what did she tell me about the garden and the new fence last summer",
        *("yes", "ok thanks", "bye", "", "👍"),
        *("Wie alt ist Ana?", "¿Dónde vivo?", "小丽多大了？", "Kaç yaşındayım?", "Quelle langue j'étudie ?"),
        *("varför?", "γιατί;", "ทำไม"),
    ],
)
def test_whole_questions_stand_alone(text: str) -> None:
    """So do small talk, and languages without a file."""
    assert not is_follow_up(text)


def test_a_very_long_text_is_neither() -> None:
    """It is decided by its length, not by reading it."""
    text = "yes and it " * 10_000
    assert not is_small_talk(text)
    assert not is_follow_up(text)


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("Where do I go to work out?", ["go", "work"]),
        ("Wie heißt denn mein Hund?", ["hund"]),
        ("¿Dónde está mi casa?", ["casa"]),
        ("Где находится моя собака?", ["находится", "собака"]),
        ("Go home", ["go", "home"]),
        ("", []),
        ("Die, die!", ["die", "die"]),
    ],
)
def test_a_question_is_asked_without_the_stop_words_of_its_language(question, left):
    """What is stored keeps them: "die" is an article, or a word, by the language around it."""
    assert asked_terms(question) == left
    assert set(left) <= set(terms(question))


def test_a_question_in_characters_keeps_its_content():
    """Pairs of characters that are a stop word, or stand in one, go; the others stay."""
    asked = asked_terms("我的狗叫什么名字?")
    assert "狗叫" in asked and "名字" in asked and set(asked) <= set(terms("我的狗叫什么名字?"))


@pytest.mark.parametrize("marks", ["\u0301", "\u0301\u0316", "\u093c\u0345\u0f71", "\u05b0\u0e38"])
def test_accents_without_end_are_parted_and_kept(marks: str) -> None:
    """No more than Unicode's stream-safe format has in a row; what is readable stays as it is."""
    said = f"one a{marks * 100} two e{marks} three"
    cleaned = clean(said)
    assert clean(cleaned) == cleaned and cleaned.replace("\u034f", "") == said
    assert not re.search(rf"[{marks}]{{31}}", cleaned) and f"e{marks} three" in cleaned


@pytest.mark.parametrize("text", ["😀" * 100, "—" * 100, "👩\u200d🚒" * 50, "เก่งๆ" * 50, "…!?¿" * 40])
def test_what_is_no_accent_is_not_parted(text: str) -> None:
    """Smileys, dashes and vowel signs in their words."""
    assert clean(text) == text


@pytest.mark.parametrize("compare", [normalise, terms, asked_terms, clean])
def test_endless_accents_take_no_time(compare) -> None:
    """Also in words that did not come through `clean`: it was half a minute, with the interpreter locked."""
    began_s = time.thread_time()
    compare("a" + "\u0301\u0316" * 50_000)
    assert time.thread_time() - began_s < 3


def test_a_question_is_no_longer_for_signs_that_stand_for_many() -> None:
    assert len(normalise(spelled_end("\ufdfa" * 5_000, 2_000))) <= 2_000
    assert spelled_end("where is the ﬁle?", 6) == " file?"
    assert spelled_end("where is it?", 6) == "is it?"
