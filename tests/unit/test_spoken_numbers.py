"""Number words of languages whose words stand in their file, read as numbers; words that are none stay."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from unicode_rbnf import RbnfEngine

from echoic.memory.text.canonical import tokens
from echoic.memory.text.dates.days import asked_days
from echoic.memory.text.language import languages
from echoic.memory.text.numbers.spoken import with_digits
from echoic.memory.text.secrets import hide_secrets

READ = sorted(code for code, language in languages().items() if language.numbers)
ALONE = [code for code in READ if code != "ko"]
"""Whose numbers are read wherever they stand: in Korean 1, 2 and 4 are "work", "this" and "yes" too."""
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


@pytest.mark.parametrize("code", ALONE)
def test_every_number_below_ten_thousand_is_read(code):
    """As it is counted."""
    engine = RbnfEngine.for_language(code)
    numbering = ["spellout-numbering"]
    said = (engine.format_number(number, ruleset_names=numbering).text for number in range(10_000))
    assert [read(text.replace("\u00ad", ""), code) for text in said] == list(map(str, range(10_000)))


@pytest.mark.parametrize(
    ("rules", "counter"),
    [
        ("spellout-numbering", " 달러"),
        ("spellout-numbering", "년"),
        ("spellout-cardinal-financial", " 퍼센트"),
        ("spellout-cardinal-native-attributive", "살"),
        ("spellout-cardinal-native-attributive", " 명"),
    ],
)
def test_every_korean_number_is_read_before_what_it_counts(rules, counter):
    """Sino-Korean and native, with a space and without."""
    engine = RbnfEngine.for_language("ko")
    said = {at: engine.format_number(at, ruleset_names=[rules]).text + counter for at in range(1, 10_000)}
    assert not {at for at, text in said.items() if read(text, "ko") != f"{at}{counter}"}


def test_korean_numbers_that_are_no_other_words_are_read_alone():
    """Two towns, a bag and a hundred days are other words."""
    engine = RbnfEngine.for_language("ko")
    said = {
        at: engine.format_number(at, ruleset_names=["spellout-numbering"]).text for at in range(11, 10_000)
    }
    unread = {said[at] for at in said if read(said[at], "ko") != str(at)}
    assert unread == set("이천 이천이 사천 사천이 백 백일 백이 백사 백구 천 천일 천이 천사 천구".split())


@pytest.mark.parametrize("code", ALONE)
def test_every_form_of_a_number_is_read(code):
    """Genders, cases, and for Hindi a word for each number up to a hundred."""
    wrong = [
        (number, text)
        for number, text in spelled(code, "cardinal", SAMPLE)
        if read(text, code).strip() != str(number) and text != "семью"  # "my family"
    ]
    assert not wrong


@pytest.mark.parametrize("code", [code for code in ALONE if code != "pl"])
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
        ("ko", "서른네살이에요", "34살이에요"),
        ("ko", "삼십사 세 어머니", "34 세 어머니"),
        ("ko", "스무 살, 열한 시에", "20 살, 11 시에"),
        ("ko", "오후 네 시 반", "오후 4 시 반"),
        ("ko", "백스물한 명", "121 명"),
        ("ko", "만 서른네 살", "만 34 살"),  # by the calendar, not by years begun
        ("ko", "이천이십육년 삼월 십일에", "2026년 3월 10일에"),
        ("ko", "오월 이십일이에요", "5월 20일이에요"),
        ("ko", "유월에, 시월 삼 일", "6월에, 10월 3 일"),
        ("ko", "만 오천 원", "15000 원"),
        ("ko", "3만 5천원", "35000원"),
        ("ko", "1억 2천만 원", "120000000 원"),
        ("ko", "이 년 전에 이 층에서", "2 년 전에 이 층에서"),  # "on this floor"
        ("ko", "이박 삼일로", "2박 3일로"),
        ("ko", "두세 명, 이삼 년", "2 3 명, 2 3 년"),
        ("ko", "삼십이 넘었어요", "30이 넘었어요"),
        ("ko", "한 시간 반, 사흘 동안", "1 시간 30, 3 동안"),
        ("ko", "두 아들과 세 딸, 삼남매", "2 아들과 3 딸, 3남매"),
        ("ko", "주 오일 근무, 칠 점 이", "주 5일 근무, 7 점 2"),
        ("ko", "공일공에 삼사오육", "0 1 0에 3 4 5 6"),
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
        ("ko", "네, 알겠어요. 네 살고 있어요"),
        ("ko", "저만 가요, 이만 끊을게요"),
        ("ko", "이 일은 제 일이에요, 이번 일요일"),
        ("ko", "한국 사람이고 이사 왔어요, 이사이에"),
        ("ko", "이수만, 한구, 오천식, 천명관, 오세훈"),
        ("ko", "이천에 살아요, 천만에요, 만일 오시면"),
        ("ko", "천사 같고, 구조대, 사회, 공원, 사장님"),
        ("ko", "열이 나요, 팔이 아파요, 열심히 일해요"),
        ("ko", "하나도 없어요, 왜 그렇게 해야 하나요"),
        ("ko", "한번 해 볼게요, 한참, 두통, 세배, 네덜란드"),
        ("ko", "이 분은 제 동생, 이 사람, 이 년이"),
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
        ("ko", "서른네살", "34 살"),
        ("ko", "오만 원", "5만원"),
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
        ("오월 이십삼일에 제가 뭐라고 했죠", "@05-23"),
    ],
)
def test_days_are_asked_for_in_words(said, day):
    """As with digits."""
    assert day in asked_days(said, datetime(2026, 11, 21, tzinfo=UTC), ZoneInfo("UTC"))


def test_a_danda_ends_a_sentence_and_no_word():
    """So that its last word is known: "है", and 39."""
    hindi = languages()["hi"]
    assert tokens("मेरी उम्र उनतालीस है।", hindi) == ["मेरी", "उम्र", "39", "है"]
    assert with_digits("मेरी उम्र उनतालीस।", hindi) == "मेरी उम्र 39।"


@pytest.mark.parametrize("text", ["wie viel ist 10²", "²", "١٢³ ⑤ ½ Ⅻ", "5² в кубе"])
@pytest.mark.parametrize("code", sorted(languages()))
def test_what_looks_like_a_digit_and_is_none_is_read_as_a_word(text, code):
    """A power, a circled five: no number word of any language, and no error."""
    assert with_digits(text, languages()[code])
    assert tokens(text, languages()[code]) is not None
    assert hide_secrets(text) == text
    asked_days(text, datetime(2026, 11, 21, tzinfo=UTC), ZoneInfo("UTC"))
