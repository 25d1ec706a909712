"""Dates in questions, and the terms of the days on which something was said."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from echoic.memory.text.days import asked_days, day_terms
from echoic.memory.text.time_words import speaks_of
from echoic.memory.text.words import terms

SATURDAY = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
GREENWICH, LOS_ANGELES = ZoneInfo("UTC"), ZoneInfo("America/Los_Angeles")


def asked(text: str) -> list[str]:
    return asked_days(text, SATURDAY, GREENWICH)


def test_a_turn_has_its_year_month_and_day() -> None:
    """In UTC, whatever zone it was said in."""
    assert day_terms(datetime(2023, 5, 7, 23, 30, tzinfo=LOS_ANGELES)) == ["@2023", "@05", "@05-08"]


def test_no_spoken_word_is_a_day_term() -> None:
    """Otherwise words of a caller could pass for dates."""
    assert not any(term.startswith("@") for term in terms("@05 @2023 me@05-08.example @@"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What did I say in May?", ["@05"]),
        ("on May 7th, 2023", ["@05", "@05-07", "@2023"]),
        ("on the 7th of march", ["@03", "@03-07"]),
        ("between 3 June and August 2022", ["@06", "@08", "@06-03", "@2022"]),
        ("31 February", ["@02"]),
        ("29 February", ["@02", "@02-29"]),
        ("today", ["@11-21"]),
        ("what was it yesterday?", ["@11-20"]),
        ("the day before yesterday", ["@11-19"]),
        ("on Monday", ["@11-16"]),
        ("last Saturday", ["@11-14"]),
        ("last weekend", ["@11-14", "@11-15"]),
        ("two weeks ago", ["@11-02", "@11-03", "@11-04", "@11-05", "@11-06", "@11-07", "@11-08"]),
        ("3 days ago", ["@11-18"]),
        ("zero days ago", ["@11-21"]),
        ("last month", ["@2026", "@10"]),
        ("eleven", []),
        ("11 months ago", ["@2025", "@12"]),
        ("a year ago", ["@2025"]),
        ("this year", ["@2026"]),
    ],
)
def test_dates_of_a_question(text: str, expected: list[str]) -> None:
    """As the calendar of the caller has them."""
    assert asked(text) == expected


WEEK_BEFORE_LAST = [f"@11-{day:02}" for day in range(2, 9)]
SUMMER = ["@2026", "@06", "@07", "@08"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Was habe ich letzten Sommer gemacht?", SUMMER),
        ("Was war am einundzwanzigsten Juni?", ["@06", "@06-21"]),
        ("¿Qué hice hace dos semanas?", WEEK_BEFORE_LAST),
        ("Qu'est-ce que j'ai fait l'été dernier ?", SUMMER),
        ("Cosa ho fatto due settimane fa?", WEEK_BEFORE_LAST),
        ("O que fiz no mês passado?", ["@2026", "@10"]),
        ("Wat deed ik eergisteren?", ["@11-19"]),
        ("Co było dwudziestego pierwszego maja?", ["@05", "@05-21"]),
        ("Где я был две недели назад?", WEEK_BEFORE_LAST),
        ("geçen yaz ne yaptım?", SUMMER),
        ("ماذا قلت قبل أسبوعين؟", WEEK_BEFORE_LAST),
        ("मैं दो हफ्ते पहले कहाँ था?", WEEK_BEFORE_LAST),
        ("11月に何を話しましたか", ["@11"]),
        ("我去年夏天去了哪里?", ["@06", "@07", "@08", "@2025"]),
        ("지난달에 뭐 했어?", ["@2026", "@10"]),
        ("Letzten Sommer?", SUMMER),
        ("अगस्त से क्या बदला है?", ["@08", "@2026", "@09", "@10", "@11"]),
    ],
)
def test_dates_in_other_languages(text: str, expected: list[str]) -> None:
    """No one tells which language it is; number words are read too."""
    assert sorted(asked(text)) == sorted(expected)


def test_the_last_season_is_over_and_this_one_may_not_be() -> None:
    """In winter, last winter was that of a year ago."""
    january = datetime(2026, 1, 10, tzinfo=UTC)
    found = [asked_days(text, january, GREENWICH) for text in ("last winter", "this winter", "last autumn")]
    assert found[0] == ["@2024", "@12", "@2025", "@01", "@02"]
    assert found[1] == ["@2025", "@12", "@2026", "@01", "@02"]
    assert found[2] == ["@2025", "@09", "@10", "@11"]


@pytest.mark.parametrize(
    ("text", "past"),
    [
        ("Wo habe ich früher gewohnt?", True),
        ("¿Dónde trabajaba antes?", True),
        ("我以前住在哪里?", True),
        ("где я раньше жил?", True),
        ("Wo wohnt meine Schwester?", False),
        ("¿Cómo se llama mi perro?", False),
        ("मेरी बहन कहाँ रहती है?", False),
        ("내 강아지 이름이 뭐야", False),
    ],
)
def test_questions_about_the_past(text: str, past: bool) -> None:
    """What is no longer true may answer those."""
    assert speaks_of("past", text) is past


@pytest.mark.parametrize(
    "text",
    ["may I ask you something", "we march on", "room 2043", "99999 junebugs", "", "第五章", "tomorrow"],
)
def test_other_words_are_no_dates(text: str) -> None:
    """ "May" and "march" are verbs, too."""
    assert not any(term.startswith(("@0", "@1")) for term in asked(text))


def test_a_day_of_the_caller_may_touch_two_days_in_utc() -> None:
    """Yesterday evening in Los Angeles is today in UTC."""
    assert asked_days("yesterday", SATURDAY, LOS_ANGELES) == ["@11-20", "@11-21"]
    assert set(day_terms(datetime(2026, 11, 20, 20, 0, tzinfo=LOS_ANGELES))) & {"@11-20", "@11-21"}


def test_since_a_month_is_every_month_from_it():
    """Each with its year; one that lies ahead was last year's."""
    now = datetime(2026, 2, 10, tzinfo=UTC)
    found = asked_days("what changed since December?", now, ZoneInfo("UTC"))
    assert set(found) == {"@12", "@2025", "@2026", "@01", "@02"}
    assert {"@2024", "@03", "@2025"} <= set(
        asked_days("since the beginning of March 2024", datetime(2025, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))
    )
    assert "@01" not in asked_days("since last November", datetime(2026, 11, 21, tzinfo=UTC), ZoneInfo("UTC"))


@pytest.mark.parametrize("text", ["मैं कहाँ रहता था।", "मैं कहाँ रहता था॥", "मैं कहाँ रहता था?"])
def test_a_word_ends_where_its_sentence_does(text: str) -> None:
    """A danda is no part of the last word."""
    assert speaks_of("past", text)
