"""Number words of languages whose words stand in their file, read as numbers; words that are none stay."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from unicode_rbnf import RbnfEngine

from echoic.memory.text.canonical import tokens
from echoic.memory.text.days import asked_days
from echoic.memory.text.language import languages
from echoic.memory.text.numbers.spoken import with_digits

READ = sorted(code for code, language in languages().items() if language.numbers)
SAMPLE = [*range(101), 115, 342, *range(200, 1000, 100), 1981, 2024, 15_000, 123_456, 250_000, 1_500_000]
MISSPELT = ("третьому", "восемьдесят")
"""By Unicode, in ordinals: it is "третьему" and "восьмидесят-"."""
MONTHS = ("الأول", "الثاني")
"""In Arabic "first" and "second" are names of months too: "كانون الأول"."""


def read(text, code):
    return with_digits(text, languages()[code])


def spelled(code, kind, numbers):
    """Each number in each gender and case that Unicode's rules (CLDR) know."""
    engine = RbnfEngine.for_language(code)
    parts = ("tens", "ones", "year", "fraction")
    for rule in engine.rulesets:
        if rule.startswith(f"spellout-{kind}") and not any(rule.endswith(part) for part in parts):
            for number in numbers:
                text = engine.format_number(number, ruleset_names=[rule]).text
                yield number, text.replace("\u00ad", "")


@pytest.mark.parametrize("code", READ)
def test_every_number_below_ten_thousand_is_read(code):
    """As it is counted."""
    engine = RbnfEngine.for_language(code)
    numbering = ["spellout-numbering"]
    said = (engine.format_number(number, ruleset_names=numbering).text for number in range(10_000))
    assert [read(text.replace("\u00ad", ""), code) for text in said] == list(map(str, range(10_000)))


@pytest.mark.parametrize("code", READ)
def test_every_form_of_a_number_is_read(code):
    """Genders, cases, and for Hindi a word for each number up to a hundred."""
    wrong = [
        (number, text)
        for number, text in spelled(code, "cardinal", SAMPLE)
        if read(text, code).strip() != str(number) and text != "семью"  # "my family"
    ]
    assert not wrong


@pytest.mark.parametrize("code", [code for code in READ if code != "pl"])
def test_every_form_of_an_ordinal_is_read(code):
    """They say days and hours."""
    wrong = [
        (number, text)
        for number, text in spelled(code, "ordinal", range(1, 100))
        if read(text, code).strip() != str(number)
        and text not in MONTHS
        and not any(word in text for word in MISSPELT)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("code", "said", "number"),
    [
        ("pl", "tysiąc dziewięćset osiemdziesiąty pierwszy", "1981"),
        ("pl", "dwudziestego trzeciego", "23"),
        ("pl", "o siódmej", "o 7"),
        ("pl", "dwoje dzieci", "2 dzieci"),
        ("pl", "półtora tysiąca", "1500"),
        ("pl", "15 tysięcy", "15000"),
        ("ru", "тысяча девятьсот восемьдесят первый", "1981"),
        ("ru", "две тысячи двадцать четвёртого", "2024"),
        ("ru", "у меня трое детей", "у меня 3 детей"),
        ("ru", "с двадцатью семью", "с 27"),
        ("ru", "восемьсот сорок один сто двадцать", "841 120"),
        ("tr", "otuzdört", "34"),
        ("tr", "bindokuzyüzseksenbir", "1981"),
        ("tr", "ayın yirmi üçünde", "ayın 23"),
        ("tr", "onbirinde", "11"),
        ("tr", "saat yedide", "saat 7"),
        ("ar", "أربعة وثلاثين", "34"),
        ("ar", "أربعة و ثلاثون", "34"),
        ("ar", "ثلاثمئة واثنان وأربعون", "342"),
        ("ar", "ألف وتسعمئة وواحد وثمانون", "1981"),
        ("ar", "الساعة الحادية عشرة", "الساعة 11"),
        ("ar", "خمستاشر", "15"),
        ("ar", "خمسة وستة", "5 و 6"),
        ("ar", "خمسين بالمئة", "50 بالمئة"),
        ("tr", "yüzde elli", "yüzde 50"),
        ("tr", "ona üç kitap", "ona 3 kitap"),
        ("hi", "उन्नीस सौ इक्यासी", "1981"),
        ("hi", "दो लाख पचास हजार", "250000"),
        ("hi", "डेढ़ सौ", "150"),
        ("hi", "तीसरी मंज़िल", "3 मंज़िल"),
        ("hi", "फ़ाइव सिक्स", "5 6"),
    ],
)
def test_numbers_are_read_as_they_are_said(code, said, number):
    """Written together or with "and", inflected, in the middle of words."""
    assert read(said, code) == number


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("pl", "pięć pięć pięć jeden dwa"),
        ("ru", "пять пять пять один два"),
        ("tr", "beş beş beş bir iki"),
        ("ar", "خمسة خمسة خمسة واحد اثنين"),
        ("hi", "पाँच पाँच पाँच एक दो"),
    ],
)
def test_digits_that_are_spelled_stay_apart(code, said):
    """A telephone number is no sum."""
    assert read(said, code) == "5 5 5 1 2"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("pl", "piec jest zepsuty, w czwartek"),
        ("ru", "люблю свою семью, в среду"),
        ("tr", "onu gördüm, yüzünü yıkadı"),
        ("ar", "لست هنا يوم الاثنين ولا يوم الأحد"),
        ("ar", "في تشرين الثاني"),
        ("hi", "घर पहले बदला"),
        ("ar", "ألست من رسم التنين"),
        ("hi", "छवि में दवा का सेवन"),
        ("pl", "mój pesel 007 i 1.500"),
    ],
)
def test_what_only_looks_like_a_number_stays(code, said):
    """A stove, a family, "him", Monday; and what is written in digits."""
    assert read(said, code) == said


def test_what_is_typed_without_accents_is_read_in_a_row():
    """ "piec" alone is a stove."""
    assert read("piec szesc siedem", "pl") == "5 6 7"


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        ("pl", "jedna siostra", "1 siostra"),
        ("ru", "один брат", "1 брат"),
        ("tr", "bir kardeş", "1 kardeş"),
        ("ar", "أربعة وثلاثون سنة", "34 سنة"),
        ("hi", "चौंतीस साल", "३४ साल"),
    ],
)
def test_a_number_is_equal_in_words_and_in_digits(code, said, told):
    """Also one that is an article."""
    assert tokens(said, languages()[code]) == tokens(told, languages()[code])


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("co mówiłam dwudziestego trzeciego maja", "@05-23"),
        ("что я говорила двадцать третьего мая", "@05-23"),
        ("yirmi üç mayıs günü ne demiştim", "@05-23"),
        ("ماذا قلت لك في ثلاثة وعشرين مايو", "@05-23"),
        ("तेईस मई को मैंने क्या कहा था", "@05-23"),
    ],
)
def test_days_are_asked_for_in_words(said, day):
    """As with digits."""
    assert day in asked_days(said, datetime(2026, 11, 21, tzinfo=UTC), ZoneInfo("UTC"))
