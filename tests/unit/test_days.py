"""Dates in questions, and the terms of the days on which something was said."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from echoic.memory.text.dates.days import asked_days, day_terms, stored_terms
from echoic.memory.text.dates.words import speaks_of
from echoic.memory.text.words import terms

EVALS = Path(__file__).parents[2] / "evals" / "data"
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
        ("between 3 June and August 2022", ["@2022", "@06", "@07", "@08"]),
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
    assert sorted(asked(text)) == sorted(expected)


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
        ("上個禮拜二我說了什麼", ["@11-10"]),
        ("上週二我說了什麼", ["@11-10"]),
        ("三個月前我去了哪裡", ["@2026", "@08"]),
        ("先週末", ["@11-14", "@11-15"]),
        ("Letzten Sommer?", SUMMER),
        ("अगस्त से क्या बदला है?", ["@08", "@2026", "@09", "@10", "@11"]),
    ],
)
def test_dates_in_other_languages(text: str, expected: list[str]) -> None:
    """No one tells which language it is; number words are read too."""
    assert sorted(asked(text)) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Was habe ich am 12.11. gesagt?", ["@11", "@11-12"]),
        ("qué pasó el 3/5/2025", ["@2025", "@05", "@05-03"]),
        ("ماذا قلت في ١٢/١١", ["@11", "@11-12"]),
        ("ماذا قلت في ٢٠٢٤", ["@2024"]),
        ("2025年11月12日と2025/10/3に何を話しましたか", ["@2025", "@11", "@11-12", "@10", "@10-03"]),
        ("what did I say on 12/10/2025", ["@2025", "@10", "@10-12", "@12", "@12-10"]),
        ("zwischen dem 3.5. und dem 5.5.", ["@05", "@05-03", "@05-04", "@05-05"]),
        ("was ist am 31.2.2025", ["@2025", "@02"]),
        ("es kostet 12.50 Euro und ist um 9:30 in 3-4 Tagen da, 50/50, 192.168.1.1", []),
    ],
)
def test_dates_in_figures(text: str, expected: list[str]) -> None:
    """In the order of their language; in English, which has two, in both."""
    assert sorted(asked(text)) == sorted(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("a year and a half ago", "vor anderthalb Jahren", "hace un año y medio", "il y a un an et demi"),
        *("un anno e mezzo fa", "há um ano e meio", "anderhalf jaar geleden", "półtora roku temu"),
        *("полтора года назад", "bir buçuk yıl önce", "一年半前", "일 년 반 전에"),
        *("قبل سنة ونصف", "डेढ़ साल पहले"),
    ],
)
def test_years_and_a_half_are_not_cut(text: str) -> None:
    """It was no year at all, or a whole one."""
    assert sorted(asked(text)) == ["@05", "@2025"]


def test_the_last_season_is_over_and_this_one_may_not_be() -> None:
    """In winter, last winter was that of a year ago."""
    january = datetime(2026, 1, 10, tzinfo=UTC)
    found = [asked_days(text, january, GREENWICH) for text in ("last winter", "this winter", "last autumn")]
    assert found[0] == ["@2024", "@2025", "@12", "@01", "@02"]
    assert found[1] == ["@2025", "@2026", "@12", "@01", "@02"]
    assert found[2] == ["@2025", "@09", "@10", "@11"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at the end of August", ["@08", *(f"@08-{day}" for day in range(21, 32))]),
        ("early last month", ["@2026", "@10", *(f"@10-{day:02}" for day in range(1, 11))]),
        ("in the first week of October", ["@10", *(f"@10-{day:02}" for day in range(1, 8))]),
        ("at the beginning of the year", ["@2026", "@01", "@02"]),
        ("on Tuesday of last week", ["@11-10"]),
        ("Dienstag letzter Woche", ["@11-10"]),
        ("上周二我说了什么", ["@11-10"]),
        ("el verano del año pasado", ["@2025", "@06", "@07", "@08"]),
        ("in March twenty twenty four", ["@2024", "@03"]),
        ("from Monday to Wednesday", ["@11-16", "@11-17", "@11-18"]),
        ("from Friday to Monday", ["@11-13", "@11-14", "@11-15", "@11-16"]),
        ("between November and January", ["@11", "@12", "@01"]),
        ("since Thursday", ["@11-19", "@11-20", "@11-21"]),
        ("in the last few days", [f"@11-{day}" for day in range(16, 22)]),
        ("on the 12th", ["@11-12"]),
        ("Was habe ich am 25. im letzten Monat gesagt?", ["@10-25"]),
        ("a fortnight ago", [f"@11-{day:02}" for day in range(2, 9)]),
        ("half a year ago", ["@2026", "@05"]),
        ("last night", ["@11-20", "@11-21"]),
        ("Co robiłem zeszłego lata?", SUMMER),
        ("Gdzie byłem dwa lata temu?", ["@2024"]),
        ("Ile lat ma mój syn, ma trzy lata?", []),
        ("it takes two weeks to arrive", []),
        ("Easter 2025", ["@2025", "@04", "@04-18", "@04-19", "@04-20", "@04-21"]),
        ("Ostern 2024", ["@2024", "@03", "@04", "@03-29", "@03-30", "@03-31", "@04-01"]),
        ("from the 13th to the 15th of May", ["@05", "@05-13", "@05-14", "@05-15"]),
        ("from December to March 2026", ["@2025", "@2026", "@12", "@01", "@02", "@03"]),
        ("between January and March", ["@01", "@02", "@03"]),
        ("the summer before last", ["@2025", "@06", "@07", "@08"]),
        ("tell me about the first time we met", []),
        ("who lives on the second floor?", []),
        ("qual é a minha cidade natal?", []),
        ("bom dia, uma pergunta", []),
        ("last Christmas", ["@12", "@12-24", "@12-25", "@12-26"]),
        ("über Ostern", ["@04", "@04-03", "@04-04", "@04-05", "@04-06"]),
        ("cuma günü ne dedim", ["@11-20"]),
        ("cumartesi günü ne dedim", ["@11-14"]),
        ("추석에 뭐 했지", ["@09", "@09-24", "@09-25", "@09-26"]),
    ],
)
def test_times_are_composed(text, expected):
    """A part of one, one within another, from one to another, since one; feasts by Easter and by the moon."""
    assert sorted(asked(text)) == sorted(expected)


def test_the_end_of_a_long_text_asks():
    """What was pasted before it names any number of days."""
    assert asked("in April we went out " * 5_000 + "and now " * 300 + "what did I say in March?") == ["@03"]
    assert asked("monday tuesday friday " * 10_000)


@pytest.mark.parametrize("day", ["2024-02-29", "2026-01-01", "2026-12-31", "2031-03-31", "2050-06-15"])
def test_every_text_is_read_on_any_day(day):
    """Also where a feast's day is not known, and of the first century."""
    now = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
    lines = (EVALS / "days.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    for text in [*texts, "99 years ago", "since 31 January", "the 30th of February 2024", "29 February 2023"]:
        assert all(term.startswith("@") for term in asked_days(text, now, LOS_ANGELES)), text
    assert asked_days("last week", datetime(1, 1, 2, tzinfo=UTC), GREENWICH) == []


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
        ("妻の名前は何？", False),
        ("母は元気？", False),
        ("いつも何を飲む？", False),
        ("前の上司は誰？", True),
        ("halam nerede yaşıyor?", False),
        ("Eskişehir'de kim yaşıyor?", False),
        ("eski evim neredeydi?", True),
        ("我在旧金山的朋友叫什么", False),
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


@pytest.mark.parametrize(
    ("text", "before"),
    [("내 전화번호가 뭐야", False), ("민수 전에 상사는?", True), ("娘の名前は", False), ("ne kadar?", False)],
)
def test_a_word_that_begins_like_before_asks_for_nothing_earlier(text: str, before: bool) -> None:
    """Where a language writes no spaces, or its endings together with the word."""
    assert speaks_of("before", text) is before


@pytest.mark.parametrize("text", ["मैं कहाँ रहता था।", "मैं कहाँ रहता था॥", "मैं कहाँ रहता था?"])
def test_a_word_ends_where_its_sentence_does(text: str) -> None:
    """A danda is no part of the last word."""
    assert speaks_of("past", text)


@pytest.mark.parametrize(
    ("zone", "said", "asked_on", "text"),
    [
        ("America/Los_Angeles", "2026-12-31T20:00", "2027-01-10", "What did I say in December?"),
        ("America/Los_Angeles", "2026-12-31T20:00", "2027-01-10", "What did I say in December 2026?"),
        ("America/Los_Angeles", "2026-12-31T20:00", "2027-01-10", "Was habe ich letztes Jahr gesagt?"),
        ("Pacific/Auckland", "2027-01-01T10:00", "2027-06-10", "¿Qué dije en enero de 2027?"),
        ("Pacific/Auckland", "2027-01-01T10:00", "2027-06-10", "What did I say this year?"),
        ("Asia/Kolkata", "2027-03-01T05:00", "2027-03-10", "What did I tell you this month?"),
    ],
)
def test_months_and_years_are_the_callers(zone: str, said: str, asked_on: str, text: str) -> None:
    """What was said at their edge is of another in UTC, and looked up by its day, as the same term."""
    where = ZoneInfo(zone)
    has = day_terms(datetime.fromisoformat(said).replace(tzinfo=where))
    for one in asked_days(text, datetime.fromisoformat(asked_on).replace(hour=12, tzinfo=where), where):
        assert set(stored_terms(one)) & set(has), one


def test_the_first_and_the_last_day_that_there_is_have_none_beside_them() -> None:
    """They are asked about all the same."""
    for now, zone in (
        (datetime(1, 5, 1, tzinfo=UTC), "Asia/Tokyo"),
        (datetime(9999, 5, 1, tzinfo=UTC), "America/Lima"),
    ):
        assert asked_days("this year", now, ZoneInfo(zone)) == [f"@{now.year}"]
