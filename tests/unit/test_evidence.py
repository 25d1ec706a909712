"""Operations held against the conversation they quote: right ones stand in any language, wrong ones fall."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from echoic.memory.types import CALLER, About, Fact, Turn
from echoic.workers.evidence.reading import read_answer
from echoic.workers.evidence.spoken import Spoken, language_of_turns
from echoic.workers.evidence.verify import Verdict, judged

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)


def spoken(*lines, known=(), about=CALLER):
    """Turns of one call, "A: " before the agent's."""
    turns = [
        Turn(uuid4(), "u", "a", "c", at, "assistant" if line.startswith("A: ") else "user", line[3:], NOW)
        for at, line in enumerate(lines)
    ]
    facts = [Fact(uuid4(), "u", text, "", 0.5, "user", "a", NOW, about=about) for text in known]
    return Spoken(turns, language_of_turns(turns), facts)


def weak(heard):
    """The same, as what a weak model says is held against it."""
    return replace(heard, takes_paraphrases=False)


def verdict(heard, fact="", **fields):
    """Why an operation on the last turn is refused; empty if it is not."""
    return judged_of(heard, fact, **fields).reason


def judged_of(heard, fact="", **fields):
    """What becomes of an operation on the last turn."""
    turns = [len(heard.turns)]
    answer = read_answer([{"fact": fact, "turns": turns, **fields}], len(heard.turns), len(heard.known))
    return judged(answer.operations[0], heard)


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
        ("Mam trzydzieści cztery lata", "Mam 34 lata", "Ma 34 lata"),
        ("Мне шестьдесят три", "Мне шестьдесят три", "63 года"),
        ("Встаю в полвосьмого", "Встаю в полвосьмого", "Встаёт в 7:30"),
        ("Дочка семилетняя", "Дочка семилетняя", "Дочке 7 лет"),
        ("Mam siedmioletnią córkę", "Mam siedmioletnią córkę", "Córka ma 7 lat"),
        ("عندي طفلين صغيرين", "عندي طفلين", "عنده 2 من الأطفال"),
        ("Otuzdört yaşındayım", "34 yaşındayım", "34 yaşında"),
        ("عمري أربعة وثلاثون سنة", "عمري 34 سنة", "عمره 34 سنة"),
        ("موعدي الساعة سبعة وثلاثين دقيقة", "الساعة سبعة وثلاثين", "موعده الساعة 7:30"),
        ("मेरी उम्र चौंतीस साल है", "मेरी उम्र चौंतीस साल है", "उम्र 34 साल"),
        ("저는 서른네살이에요", "저는 서른네살이에요", "34세이다"),
        ("매일 여섯 시 반에 일어나요", "여섯 시 반에 일어나요", "6시 30분에 일어난다"),
        ("월세가 팔십오만 원이에요", "월세가 팔십오만 원", "월세는 85만원이다"),
        ("딸이 구십구년생이에요", "딸이 구십구년생", "딸은 1999년생이다"),
    ],
)
def test_what_was_said_stands_in_any_words_for_it(said, quote, fact):
    """Numbers, titles, apostrophes, accents; no language is needed for it."""
    assert verdict(spoken(f"U: {said}"), fact, quote=quote) == ""


def test_what_was_masked_is_no_fact():
    heard = spoken("U: the wifi password is •••, and i live in leeds")
    assert [verdict(heard, one) for one in ("Password is •••", "Lives in Leeds")] == ["invented", ""]


@pytest.mark.parametrize(
    ("said", "invented", "right"),
    [
        ("i'm mainly in essex", "Is with Ines in Essex", "Is in Essex"),
        ("we've thirty people in the shop", "Shop has 3 people", "Shop has 30 people"),
        ("il marito di mia sorella non paga mai nessuno", "Marito di Ines non paga", "Marito non paga"),
        ("my number is 07700 900123", "Number is 7700 901", "Number is 0770 0900 123"),
        ("i work in the kitchen at macdonalds", "Works at Donalds", "Works at Mac Donalds"),
        ("bursadan çıktık eskişehire geldik", "Eskişehir'de kızı Ada var", "Eskişehir'de yaşıyor"),
        ("والخميس نشتغل من البيت", "يعمل يوم الجمعة", "يعمل يوم الخميس"),
    ],
)
def test_a_name_or_number_inside_others_was_not_said(said, invented, right):
    """ "Ines" stands in "mainly in essex", 3 in 30; what is only spaced otherwise was said."""
    heard = weak(spoken(f"U: {said}"))
    assert (verdict(heard, invented), verdict(heard, right)) == ("invented", "")


@pytest.mark.parametrize(
    ("said", "fields", "reason"),
    [
        ("I live in Leeds", {"fact": "Lives in Leeds", "quote": "I moved to Hull last year"}, "unsaid"),
        ("I live in Leeds", {"fact": "Owns a boat called Marlene"}, "invented"),
        ("I live in Leeds", {"fact": "Lives in Leeds since 2019"}, "invented"),
        ("I don't smoke", {"fact": "Smokes"}, "denied"),
        ("Ich rauche nicht", {"fact": "Raucht"}, "denied"),
        ("I'm not divorced, who says I'm divorced", {"fact": "Is divorced"}, "denied"),
        ("J'ai jamais dit que j'étais végétarienne", {"fact": "Est végétarienne"}, "denied"),
        ("nadie ha dicho que yo sea diabético", {"fact": "Es diabético"}, "denied"),
        ("mica l'ho venduta la casa al mare", {"fact": "Ha venduto la casa al mare"}, "denied"),
        ("ben emekli olmadım", {"fact": "Emekli oldu"}, "denied"),
        ("卵アレルギーなんでケーキとか食べられないんですよ", {"fact": "卵アレルギーがある"}, ""),
        ("gluten yiyemiyorum çölyak hastasıyım", {"fact": "Çölyak hastası"}, ""),
        ("si mon dos allait mieux je reprendrais le judo", {"fact": "Fait du judo"}, "not meant"),
        (
            "utes mann hat sich das bein gebrochen",
            {"fact": "Schwester Ute brach das Bein", "about": "schwester, Ute"},
            "another's",
        ),
        ("小军的老师下个月生孩子", {"fact": "儿子小军下个月有孩子", "about": "儿子"}, "another's"),
        (
            "mąż anki stracił pracę w hucie",
            {"fact": "Siostra Anka straciła pracę", "about": "siostra, Anka"},
            "another's",
        ),
        (
            "eniştem Şükrü abi pansiyon işletiyor",
            {"fact": "Eniştesi Şükrü pansiyon işletiyor", "about": "enişte, Şükrü"},
            "",
        ),
        (
            "il mio capo, il dottor Rossi, va in pensione a marzo",
            {"fact": "Il capo, Rossi, smette di lavorare", "about": "capo, Rossi"},
            "",
        ),
        ("姓陈 不是成 在南京教书", {"fact": "在南京教书"}, ""),
        ("it's at half past three, two and a half hours", {"fact": "Is at 15:30 for 2.5 hours"}, ""),
        ("My wife lives in Rome", {"fact": "Lives in Rome"}, "another's"),
        ("Meine Frau wohnt in Rom", {"fact": "Wohnt in Rom"}, "another's"),
        ("I live in Leeds", {"fact": "Sister lives in Leeds", "about": "sister"}, "another's"),
        ("If I won, I'd buy a boat", {"fact": "Buys a boat"}, "not meant"),
        ("I'm a pirate", {"fact": "Is a pirate", "said": "playful"}, "not meant"),
        ("If we got a second dog we'd call him Ted", {"fact": "Has a second dog"}, "not meant"),
        ("ich bin zwölf", {"fact": "Ist 12 Jahre alt"}, ""),
        ("nací en el ochenta y uno", {"fact": "Nació en 1981"}, ""),
        ("abito qui da vent'anni", {"fact": "Abita qui da 20 anni"}, ""),
        ("我今年三十六岁", {"fact": "今年36岁"}, ""),
        ("我今年三十六岁", {"fact": "今年63岁"}, "invented"),
        ("家賃は八万五千円です", {"fact": "家賃は85000円"}, ""),
        ("家賃は八万五千円です", {"fact": "家賃は58000円"}, "invented"),
        ("Mam trzydzieści cztery lata", {"fact": "Ma 84 lata"}, "invented"),
        ("Мне тридцать четыре года", {"fact": "84 года"}, "invented"),
        ("Otuz dört yaşındayım", {"fact": "84 yaşında"}, "invented"),
        ("عمري أربعة وثلاثون سنة", {"fact": "عمره 84 سنة"}, "invented"),
        ("मेरी उम्र चौंतीस साल है", {"fact": "उम्र 84 साल"}, "invented"),
        ("저는 서른네 살이에요", {"fact": "84세이다"}, "invented"),
        ("월세가 팔십오만 원이에요", {"fact": "월세는 58만원이다"}, "invented"),
        ("Nur ein Scherz: ich wohne auf dem Mars", {"fact": "Wohnt auf dem Mars"}, "not meant"),
        ("У мужа моей сестры аллергия", {"fact": "У сестры аллергия", "about": "сестра"}, "another's"),
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


@pytest.mark.parametrize(
    ("question", "answer", "fact"),
    [
        (
            "You told me of an allotment, right?",
            "no idea where you've got that from",
            "Has an allotment",
        ),
        (
            "Is the flat in your name?",
            "It's my ex's, it never was in mine.",
            "The flat is in the caller's name",
        ),
        ("Tea or coffee?", "Just coffee", "Drinks tea"),
        ("Do you still take ramipril?", "Why do you ask?", "Takes ramipril"),
        ("Geçen sefer köpeğiniz vardı, değil mi?", "beni başkasıyla karıştırdınız galiba", "Köpeği var"),
    ],
)
def test_what_the_agent_asked_is_nothing_without_an_answer(question, answer, fact):
    """Neither yes nor little else: the caller speaks of something of their own, or chooses the other."""
    assert verdict(spoken(f"A: {question}", f"U: {answer}"), fact, quote=answer) in ("denied", "invented")


def test_what_gives_way_may_be_said_in_words_that_name_it():
    """ "Unemployed" is no word of the caller's; the bakery is what ended."""
    heard = spoken("U: they let me go from the bakery so i'm signing on", known=["Works at the bakery"])
    assert verdict(heard, "Is unemployed", op="replace 1", quote="they let me go from the bakery") == ""


def test_an_end_needs_words_that_touch_the_fact():
    """What somebody else did ends nothing of the caller's."""
    heard = spoken("U: My cleaner is divorced now", known=["Is married"])
    assert verdict(heard, op="end 1", quote="My cleaner is divorced now") == "unlike"
    heard = spoken("U: they collect the bins on Wednesday now", known=["Goes to yoga on Wednesdays"])
    assert verdict(heard, op="end 1", quote="they collect the bins on Wednesday now") == "unlike"
    heard = spoken("U: I'm divorced now", known=["Is married"])
    assert verdict(heard, op="end 1", quote="I'm divorced now") == ""


def test_a_brother_whom_the_speaker_names_is_no_speaker():
    """ "我" before him is "my"."""
    heard = spoken("U: 我哥哥去年离婚了", known=["已婚"], about=None)
    assert verdict(heard, quote="我哥哥去年离婚了", op="end 1") == "unlike"


def test_one_sister_does_not_close_the_other():
    """Nor does anybody else's news close the caller's: it is new, and the known fact stays beside it."""
    marta = About("sister", "Marta")
    heard = spoken("U: my sister Ana moved to Porto", known=["Sister Marta lives in Faro"], about=marta)
    moved = {"about": "sister, Ana", "op": "replace 1", "quote": "my sister Ana moved to Porto"}
    assert judged_of(heard, "Sister Ana lives in Porto", **moved) == Verdict("", (0,), keeps=True)
    heard = spoken("U: my wife lives in Rome", known=["Lives in Bristol"])
    moved = {"about": "wife", "op": "replace 1", "quote": "my wife lives in Rome"}
    assert judged_of(heard, "Wife lives in Rome", **moved) == Verdict("", (0,), keeps=True)


def test_a_fact_gives_way_to_one_of_the_same_matter():
    """A week away is no other home; a new home is one, in any words."""
    heard = spoken("U: ich bin diese woche in hamburg auf der messe", known=["Wohnt in Kassel"])
    away = {"op": "replace 1", "quote": "in hamburg auf der messe", "topic": "travel"}
    lives = [replace(fact, topic="home") for fact in heard.known]
    heard = replace(heard, known=lives)
    assert judged_of(heard, "Ist auf einer Messe in Hamburg", **away).keeps
    assert not judged_of(heard, "Ist in Hamburg", **away | {"topic": "home"}).keeps
    heard = replace(spoken("U: wir sind aus kassel weg nach hamburg"), known=lives)
    assert not judged_of(heard, "Zog nach Hamburg", **away | {"quote": "aus kassel weg nach hamburg"}).keeps


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


@pytest.mark.parametrize(
    ("said", "fact", "about", "reason"),
    [
        ("my daughter's husband is a plumber", "Son-in-law is a plumber", "son-in-law", ""),
        ("母の姉が長野に住んでいます", "伯母は長野に住んでいる", "伯母", ""),
        ("Córka mojej siostry mieszka w Krakowie", "Siostrzenica mieszka w Krakowie", "siostrzenica", ""),
        ("큰애가 내년에 중학교 들어가요", "첫째 아이가 중학교에 들어감", "첫째 아이", ""),
        ("my mother-in-law's eighty two", "Mother is 82", "mother", "another's"),
        ("my wife lives in Rome", "Sister lives in Rome", "sister", "another's"),
    ],
)
def test_kin_of_kin_may_be_told_of_by_one_word(said, fact, about, reason):
    """Two people side by side are a third; one alone is nobody else."""
    assert verdict(spoken(f"U: {said}"), fact, about=about) == reason


@pytest.mark.parametrize(
    ("question", "answer", "fact", "reason"),
    [
        ("Quer de manhã ou à tarde?", "tanto faz", "Não tem preferência de horário", ""),
        ("您要靠窗还是靠过道?", "都行", "对座位没有偏好", ""),
        ("Do you smoke?", "yes", "Does not smoke", "invented"),
        ("Do you smoke?", "no", "Does not smoke", ""),
    ],
)
def test_an_answer_says_what_the_question_left_open(question, answer, fact, reason):
    """It need not repeat a word; a yes says no "not"."""
    assert verdict(spoken(f"A: {question}", f"U: {answer}"), fact) == reason


@pytest.mark.parametrize(
    ("known", "said", "reason"),
    [
        ("Goes to yoga on Wednesdays", "no yoga for me this week", "unlike"),
        ("Goes to yoga on Wednesdays", "no yoga for me today", "unlike"),
        ("Goes to yoga on Wednesdays", "I gave up the yoga", ""),
        ("Ходит на танцы по средам", "в эту среду танцев не будет", "unlike"),
        ("수요일마다 요가를 한다", "이번 주 수요일은 요가 선생님이 아프대요", "unlike"),
        ("Works at Boots", "I left Boots this week", ""),
    ],
)
def test_one_occasion_ends_no_habit(known, said, reason):
    """What is off this week goes on next week."""
    assert verdict(spoken(f"U: {said}", known=[known]), op="end 1", quote=said) == reason


@pytest.mark.parametrize(
    ("said", "fact", "reason"),
    [
        ("my appointment is in January", "Appointment on 14 January 2027", "invented"),
        ("my appointment is in January", "Appointment in January 2027", ""),
        ("my appointment is on the fourteenth of January", "Appointment on 14 January 2027", ""),
        ("my appointment is on the second Thursday in January", "Appointment on 14 January 2027", ""),
        ("tenho consulta em janeiro", "Consulta em 14 de janeiro de 2027", "invented"),
    ],
)
def test_a_month_alone_has_no_day(said, fact, reason):
    """Whatever date a model gives it."""
    assert verdict(spoken(f"U: {said}"), fact, when=f"2027-01-14 day: {said}") == reason


@pytest.mark.parametrize(
    ("said", "fact", "when", "reason"),
    [
        (
            "meine Frau kommt am siebzehnten Dezember zurück",
            "Ehefrau kommt am 17. Dezember 2026 zurück",
            "2026-12-17 day: am siebzehnten Dezember",
            "",
        ),
        (
            "meine Frau kommt am siebzehnten Dezember zurück",
            "Ehefrau kommt am 27. Dezember 2026 zurück",
            "2026-12-27 day: am siebzehnten Dezember",
            "invented",
        ),
        ("we fly on March 3", "Flies on 13 March 2027", "2027-03-13 day: on March 3", "invented"),
        ("volamos el tres de marzo", "Vuela el 3 de marzo de 2027", "2027-03-03 day: el tres de marzo", ""),
        ("we fly next Friday", "Flies on 4 December 2026", "2026-12-04 day: next Friday", ""),
    ],
)
def test_a_day_that_is_said_with_its_month_is_that_day(said, fact, when, reason):
    """A model may work out a date, and not another than was said."""
    about = "Ehefrau" if "Ehefrau" in fact else "caller"
    assert verdict(spoken(f"U: {said}"), fact, quote=said, when=when, about=about) == reason


@pytest.mark.parametrize(
    ("said", "fact", "reason"),
    [
        ("वो दुकान तो बेच दी थी अब घर पर सिलाई करती हूँ", "घर पर सिलाई करती है", ""),
        ("मेरी बहन घर पर सिलाई करती है", "घर पर सिलाई करती है", "another's"),
        ("회는 못 먹어요 고기는 좋아해요", "고기를 좋아한다", ""),
        ("अगर लॉटरी लगी तो गोवा में रहेंगे", "गोवा में रहता है", "not meant"),
    ],
)
def test_a_verb_that_comes_last_ends_its_clause_and_says_who_is_meant(said, fact, reason):
    """Nobody writes commas where speech is recognised."""
    assert verdict(spoken(f"U: {said}"), fact, quote=said) == reason


@pytest.mark.parametrize(
    ("said", "fact", "reason"),
    [
        ("I've got a dozen hens", "Has 12 hens", ""),
        ("I've got a dozen hens", "Has 20 hens", "invented"),
        ("I've got half a dozen hens", "Has 6 hens", ""),
        ("I've got half a dozen hens", "Has 12 hens", "invented"),
        ("it takes three quarters of an hour", "Takes 45 minutes", ""),
        ("twice a day, for a fortnight", "Does it for 21 days", "invented"),
        ("ich wohne seit anderthalb Jahren hier", "Wohnt seit 1,5 Jahren hier", ""),
        ("ich wohne seit anderthalb Jahren hier", "Wohnt seit 18 Monaten hier", ""),
        ("ich wohne seit anderthalb Jahren hier", "Wohnt seit 5 Jahren hier", "invented"),
        ("عندي طفلين صغيرين", "عنده 2 من الأطفال", ""),
        ("ich laufe jeden Tag eine halbe Stunde", "Läuft täglich 30 Minuten", ""),
        ("ich laufe jeden Tag eine halbe Stunde", "Läuft täglich 45 Minuten", "invented"),
        ("on part une quinzaine de jours en Corse", "Part 15 jours en Corse", ""),
        ("tardo una hora y media en llegar", "Tarda 90 minutos en llegar", ""),
        ("ci metto mezz'ora a piedi", "Impiega 30 minuti a piedi", ""),
        ("tenho meia dúzia de galinhas", "Tem 6 galinhas", ""),
        ("ik reis anderhalf uur met de trein", "Reist 90 minuten met de trein", ""),
        ("mieszkam tu półtora roku", "Mieszka tu 18 miesięcy", ""),
        ("я живу здесь полгода", "Живёт здесь 6 месяцев", ""),
        ("işe yarım saat yürüyorum", "İşe 30 dakika yürüyor", ""),
        ("駅まで半時間歩きます", "駅まで30分歩く", ""),
        ("我上班要半个小时", "上班要30分钟", ""),
        ("여기 산 지 반년 됐어요", "여기 산 지 6개월", ""),
        ("أمشي نصف ساعة كل يوم", "يمشي 30 دقيقة كل يوم", ""),
        ("मैं रोज़ आधा घंटा चलता हूँ", "रोज़ 30 मिनट चलता है", ""),
    ],
)
def test_amounts_need_no_number_word(said, fact, reason):
    """A dozen is twelve and half an hour thirty minutes, as each language's file has it."""
    assert verdict(spoken(f"U: {said}"), fact, quote=said) == reason


@pytest.mark.parametrize(
    ("said", "fact", "reason"),
    [
        ("If you could, I'd take the ground floor because I use a wheelchair", "Uses a wheelchair", ""),
        (
            "wenn es ginge hätte ich gern unten ein Zimmer weil ich im Rollstuhl sitze",
            "Sitzt im Rollstuhl",
            "",
        ),
        ("si pudieran me vendría bien abajo porque uso silla de ruedas", "Usa silla de ruedas", ""),
        ("jeśli by się dało wolałbym parter bo jeżdżę na wózku", "Jeździ na wózku", ""),
        ("If I won I'd buy a boat because I love the sea", "Buys a boat", "not meant"),
        ("If I won I'd be glad because I'd buy a boat", "Buys a boat", "not meant"),
    ],
)
def test_the_reason_for_a_wish_is_so(said, fact, reason):
    """Whatever stands in the "if" before it."""
    assert verdict(spoken(f"U: {said}"), fact, quote=said) == reason


def test_a_weekday_that_was_off_yesterday_ends_no_habit():
    """ "No cards last night" says nothing of next Wednesday."""
    said = "Gestern war nichts mit Skat, das Lokal hatte zu."
    heard = spoken(f"U: {said}", known=["Spielt jeden Mittwoch Skat"])
    found = judged_of(heard, "Spielt keinen Skat mehr", quote=said, op="replace 1")
    assert found.keeps or found.reason


def test_a_known_fact_is_told_of_whoever_the_quote_is_about():
    """What else the turn says of others is no evidence about the caller's own job."""
    said = "Из аптеки я ушла ещё летом. Сижу с внуком, дочка на работу вышла."
    heard = spoken(f"U: {said}", known=["Работает провизором в аптеке."])
    found = judged_of(heard, "Уволилась из аптеки", quote="Из аптеки я ушла ещё летом.", op="replace 1")
    assert (found.reason, found.keeps) == ("", False)


def test_a_correction_denies_no_date_that_was_worked_out():
    """Of "not tomorrow, on Friday week" the model writes the day: it does not stand in the answer."""
    heard = spoken("A: Kiedy zdejmują gips, jutro?", "U: nie nie jutro tylko w przyszły piątek o ósmej")
    fields = {
        "quote": "w przyszły piątek o ósmej",
        "said": "answered",
        "when": "2026-12-04 day: w przyszły piątek",
    }
    assert verdict(heard, "Zdjęcie gipsu w piątek 4 grudnia 2026 o 8:00", **fields) == ""


def test_days_a_week_are_no_day_of_the_week():
    """ "Since this month three days" may replace "four days a week"."""
    heard = spoken("U: 今月から週三日に減らしてもらいました", known=["パン屋で週四日働いている"])
    found = judged_of(heard, "パン屋で週三日働いている", quote="今月から週三日", op="replace 1")
    assert (found.reason, found.keeps) == ("", False)


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        ("daar moet ik het met mijn man over hebben", "Is overgestapt op een warmtepomp"),
        ("da muss ich über alles noch mal schlafen", "Hat Geld überwiesen"),
    ],
)
def test_a_word_that_hangs_others_together_is_no_form_of_a_long_one(said, fact):
    """ "over" is not "overgestapt"."""
    assert verdict(weak(spoken(f"U: {said}")), fact, quote=said) == "invented"


@pytest.mark.parametrize(
    ("said", "fact", "of_a_weak_model"),
    [
        ("i don't eat anything with a face", "Is vegetarian", "invented"),
        ("bei mir ist es bloß der hohe Blutdruck", "Leidet an Hypertonie", "invented"),
        ("rzuciłem papierosy w wakacje", "Nie pali", "invented"),
        (
            "io er caffè nun lo tocco, er dottore me l'ha levato pe' via der core",
            "Ha disturbi cardiaci",
            "invented",
        ),
        ("actually मैं vegetarian हूँ", "शाकाहारी हैं", "invented"),
        ("Bir köpek gördüm", "Bir tekne aldı", "invented"),
    ],
)
def test_a_capable_models_own_words_may_be_others_than_the_callers(said, fact, of_a_weak_model):
    """That no word is shared says nothing against a fact; a weak model's invention is told by it."""
    assert verdict(spoken(f"U: {said}"), fact, quote=said) == ""
    assert verdict(weak(spoken(f"U: {said}")), fact, quote=said) == of_a_weak_model


@pytest.mark.parametrize(
    ("lines", "fact"),
    [
        (("A: With our Plus plan you get two lines.", "U: Ah, and how much is that?"), "Has two lines"),
        (("A: 您是住在滨江区吗", "U: 喂？听不清 你再说一遍"), "住在滨江区"),
        (
            ("A: Nel cruise sul Baltico si è trovata bene.", "U: mi confonde con un'altra"),
            "Ha fatto un cruise",
        ),
        (("U: mm", "U: oh"), "Keeps bees"),
    ],
)
def test_what_only_the_agent_said_is_no_paraphrase(lines, fact):
    """Nor is anything where the caller says nothing."""
    assert verdict(spoken(*lines), fact, quote=lines[-1][3:]) == "invented"


@pytest.mark.parametrize(
    ("said", "fact", "about", "reason"),
    [
        ("our wee bairn's just started at the nursery", "Daughter started at a nursery", "daughter", ""),
        ("mon daron il taffe à la RATP", "Le père travaille à la RATP", "père", ""),
        ("mały chodzi na basen w środy", "Syn chodzi na basen w środy", "syn", ""),
        (
            "they did my hip on the ninth so i'm up and about",
            "Had a hip operation on the ninth",
            "caller",
            "",
        ),
        ("my neighbour's not well she's had a stroke", "Has had a stroke", "caller", "another's"),
        ("mother in law's eighty two", "Mother is eighty two", "mother", "another's"),
    ],
)
def test_a_word_for_somebody_that_is_not_known_is_no_other_person(said, fact, about, reason):
    """Only who is named as somebody else is another: dialects and slang have words that no list has."""
    fields = {} if about == "caller" else {"about": about}
    assert verdict(spoken(f"U: {said}"), fact, quote=said, **fields) == reason


@pytest.mark.parametrize(
    ("lines", "fact", "about", "reason"),
    [
        (["U: my mother's 73 and in good health"], "73, in good health", "mother", ""),
        (["U: Meine Mama ist dreiundsiebzig"], "Ist 73", "Mutter", ""),
        (["U: 我妈妈今年七十三岁"], "73岁", "母亲", ""),
        (["U: Mi madre vive en Lugo"], "Vive en Lugo", "madre", ""),
        (["U: Моя сестра работает в банке"], "Работает в банке", "сестра", ""),
        (["U: My mum lives in Hull. She's 73."], "Is 73", "mum", ""),
        (["A: How old is your mother?", "U: She's 73."], "Is 73", "mother", ""),
        (["U: my friend Priya has a nut allergy"], "Has a nut allergy", "friend, Priya", ""),
        (["U: my son's teacher moved to Leeds"], "Moved to Leeds", "son", "another's"),
        (["U: my brother works at a bank"], "Works at a bank", "sister", "another's"),
        (["U: My sister rang. My brother is in hospital."], "In hospital", "sister", "another's"),
        (["U: My mum called about my brother. He's in hospital."], "In hospital", "mum", "another's"),
        (
            ["U: I've come down with shingles, so when mum rang I slept"],
            "Has shingles",
            "mother",
            "another's",
        ),
        (["U: Ich habe Gürtelrose, und als Mama anrief, schlief ich"], "Hat Gürtelrose", "Mama", "another's"),
        (["U: My mum rang. Priya has a nut allergy."], "Has a nut allergy", "mum", "another's"),
    ],
)
def test_whom_a_fact_is_about_need_not_stand_in_it_twice(lines, fact, about, reason):
    """Where the clause that it rests on names them, or they were named last; not where it is another's."""
    assert verdict(spoken(*lines), fact, about=about) == reason


@pytest.mark.parametrize(
    ("asks", "answers", "fact"),
    [
        ("What am I allergic to?", "You are allergic to peanuts.", "Is allergic to peanuts"),
        ("Wo wohne ich denn?", "Du wohnst in Kiel.", "Wohnt in Kiel"),
        ("¿A qué soy alérgica?", "Eres alérgica al marisco.", "Es alérgica al marisco"),
        ("私の犬の名前は何ですか？", "犬の名前はポチですよ。", "犬の名前はポチ"),
        ("मेरे कुत्ते का नाम क्या है?", "आपके कुत्ते का नाम शेरू है।", "कुत्ते का नाम शेरू है"),
    ],
)
def test_what_the_agent_answers_is_no_fact_of_the_callers_question(asks, answers, fact):
    """The question shares a word with it, and memory would confirm itself; what a question tells stands."""
    for heard in (spoken(f"U: {asks}", f"A: {answers}"), spoken(f"A: {answers}", f"U: {asks}")):
        assert (
            verdict(heard, fact, quote=asks, turns=[1 + (heard.turns[0].role == "assistant")]) == "invented"
        )
    swims = spoken("A: The pool opens at nine.", "U: Is that when my daughter Nell swims?")
    assert (
        verdict(swims, "Daughter Nell swims", quote="my daughter Nell swims?", about="daughter, Nell") == ""
    )
