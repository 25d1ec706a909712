"""The language files: what they hold is whole, and a language is added by adding one file."""

import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest
import stopwordsiso

from echoic.memory.text.canonical import _stem, beginning, same, same_stem, tokens
from echoic.memory.text.dates.feasts import feast_in
from echoic.memory.text.language import UNKNOWN, language_of, languages
from echoic.memory.text.people import key_of, keys_in, names
from echoic.memory.text.words import is_follow_up, is_small_talk

KIN = ("mother", "father", "sister", "brother", "son", "daughter", "friend", "doctor")


@pytest.mark.parametrize("code", sorted(languages()))
def test_a_file_holds_what_is_told_apart_by_it(code):
    """Without these words a check would be silent in this language, and nobody would notice."""
    language = languages()[code]
    assert language.name and language.negation and language.yes and language.no
    assert language.self
    assert set(KIN) <= set(language.people)
    assert language.secrets.get("numbers") and language.secrets.get("words")
    assert language.calendar


@pytest.mark.parametrize("code", sorted(languages()))
def test_a_file_says_how_its_language_speaks_of_time(code):
    """Every kind of pattern reads what its own words say, and none stands for another."""
    time = languages()[code].time
    assert len(time["months"]) == 12 and len(time["weekdays"]) == 7 and len(time["near"]) >= 3
    assert len(time["numbers"]) in (11, 13, 32) and len(time.get("days", range(31))) == 31
    assert set(time["seasons"]) == {"spring", "summer", "autumn", "winter"}
    assert set(time["units"]) == {"day", "week", "weekend", "month", "year"}
    assert all(time[kind] for kind in ("ago", "last", "this", "date", "season", "since"))
    assert all(time[kind] for kind in ("early", "middle", "late", "nth_week", "between", "within"))
    assert all(time[kind] for kind in ("lately", "last_night", "ago_half"))
    assert time.get("day_of_month") or time["ordinal_day"]
    assert all(feast_in(2026, days) for days in time["feasts"])
    assert all(time[kind] for kind in ("past", "before", "after", "change"))


@pytest.mark.parametrize("code", sorted(languages()))
def test_a_file_says_how_its_language_keeps_a_talk_going(code):
    """All of its small talk is known as that; what says nothing only beside it is not listed twice."""
    talk = languages()[code].talk
    assert all(talk[key] for key in ("small_talk", "sounds", "openers", "alone", "pronouns", "no_pronouns"))
    assert all(map(is_small_talk, talk["small_talk"]))
    assert not any(map(is_follow_up, talk["small_talk"]))
    assert not {*talk["small_talk"]} & {*talk.get("fillers", ())}


@pytest.mark.parametrize("code", sorted(languages()))
def test_a_role_has_one_key_in_every_language(code):
    """ "Mutter" is the mother of the other files."""
    for key in KIN:
        for phrase in languages()[code].people[key]:
            assert key_of(" ".join(phrase)) in (key, ""), phrase


@pytest.mark.parametrize(
    ("words", "key"),
    [("my mum", "mother"), ("meine Mutter", "mother"), ("私の母", "mother"), ("mi hermana", "sister")],
)
def test_people_are_found_by_what_they_are(words, key):
    """In the words of their language."""
    assert key in keys_in(tokens(words), language_of([f"{words} {words}"])) or names(
        key, tokens(words), UNKNOWN
    )


def test_a_mother_in_law_is_no_mother():
    """The longest name counts."""
    assert "mother" not in keys_in(tokens("my mother in law"), languages()["en"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("thirty four", "34"),
        ("Müller", "muller"),
        ("Dr. Patel", "doctor patel"),
        ("O'Brien", "O’Brien"),
        ("MCDONALD'S", "mcdonald's"),
        ("the 5th", "the 5"),
        ("le 1er", "le 1"),
    ],
)
def test_two_writings_are_one(one, other):
    """Case, accents, apostrophes, titles, and numbers in words."""
    english = languages()["en"]
    assert tokens(one, english) == tokens(other, english)


@pytest.mark.parametrize(("one", "other", "is_same"), [("dogs", "dog", True), ("cat", "car", False)])
def test_forms_of_a_word(one, other, is_same):
    """By the stemmer of its language."""
    assert same(one, other, languages()["en"]) == is_same


@pytest.mark.parametrize("texts", [[], [""], ["..."], ["12345"]])
def test_no_words_have_no_language(texts):
    """And nothing is told apart then."""
    assert language_of(texts) == UNKNOWN


@pytest.mark.parametrize("code", [code for code, language in languages().items() if language.stemmer])
def test_all_forms_of_a_word_begin_alike(code):
    """Where its beginning does not stand, nothing is named by it: Postgres reads no further."""
    language, stems = languages()[code], defaultdict(set)
    listed = {
        word for one in languages() if stopwordsiso.has_lang(one) for word in stopwordsiso.stopwords(one)
    }
    more = "anrufen angerufen aangevraagd aanvragen aangenaam häuser haeuser zeppelins zeppelin kitabı kitap"
    for word in tokens(" ".join([*listed, more])):
        stems[_stem(language.stemmer, word)].add(word)
    begun = [
        (".{0,3}".join(beginning(one, language)), forms)
        for forms in stems.values()
        for one in forms
        if not one.isdecimal()
    ]
    assert not [(begin, other) for begin, forms in begun for other in forms if not re.search(begin, other)]


def test_threads_stem_alike():
    # a fact is held against its words in a thread, and every batch of a worker in one of its own
    german = languages()["de"]
    forms = [f"{word}{number}" for number in range(400) for word in ("häuser", "nationen", "spielten")]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda form: same_stem(f"{form}en", form, german), forms))
    _stem.cache_clear()
    assert found == [same_stem(f"{form}en", form, german) for form in forms]
