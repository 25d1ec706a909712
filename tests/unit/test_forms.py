"""Other forms of a question's words, in any language and script."""

import pytest

from echoic.memory.text.forms import FROM_LATIN, StoredForms, asked_forms, is_form
from echoic.memory.text.words import asked_terms, terms


async def found(question, *said):
    """What is stored that the question looks for, besides its own words."""
    stored = StoredForms({term for text in said for term in terms(text)})
    looked_for = await stored.of(asked_forms(question, asked_terms(question)))
    return {term for found in looked_for.values() for term in found}


@pytest.mark.parametrize(
    ("question", "said", "form"),
    [
        ("Welche Wohnungen habe ich?", "Meine Wohnung liegt am Hafen", "wohnung"),
        ("¿Dónde trabajaba mi padre?", "Mi padre trabajó en el puerto", "trabajo"),
        ("Где моя собака?", "С собакой мы гуляем утром", "собакои"),
        ("Где Оля?", "Я встретил Олю в Сочи", "олю"),
        ("Де Оля?", "Я бачив Олі в Києві", "олі"),
        ("Πού είναι το μικρό;", "Η μικρή κοιμάται", "μικρη"),
        ("Co z moim kotem? A koty?", "Mój kot jest chory", "kot"),
        ("मेरे बेटे को क्या पसंद है", "मेरा बेटा खेलता है", "बेटा"),
        ("Wann kommt Jörg?", "Joerg kommt am Sonntag", "joerg"),
        ("أين السيارة؟", "اشتريت سيارة حمراء", "سيارة"),
        ("मेरी गाडी कहां है", "मेरी गाड़ी लाल है", "गाड़ी"),
    ],
)
async def test_a_word_is_found_in_another_form(question, said, form):
    """No language need be known: Arabic without its article, Hindi with or without its dots."""
    assert form in await found(question, said)


@pytest.mark.parametrize(
    ("question", "said", "form"),
    [
        ("我在台湾住哪里", "我住在臺灣的臺北", "臺灣"),
        ("張偉是誰", "张伟是医生", "张伟"),
        ("章伟是谁", "张伟是医生", "张伟"),
        ("りんごは好き？", "リンゴをよく食べる", "リン"),
    ],
)
async def test_what_is_read_alike_is_found_in_other_signs(question, said, form):
    """Traditional or simplified, one kana or the other, and a name as the ears wrote it."""
    assert form in await found(question, said)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Was muss ich verlängern?", "Ich bin verliebt"),
        ("Wie war die Trauung?", "Der Traum war schlecht"),
        ("Jaka to książka?", "Pracuję jako pielęgniarz, jak ojciec"),
        ("Jak zdrowie mojej matki?", "Pracuję jako pielęgniarz"),
    ],
)
async def test_a_longer_word_keeps_its_vowels_and_one_that_would_be_no_word(question, said):
    """Without them five letters are three, with which other words begin too."""
    assert not await found(question, said)


async def test_an_english_question_looks_for_no_other_beginnings():
    """Its stems suffice: "organ" is no "organise"."""
    assert await found("Where did I see the organisation?", "The organist plays the organ") == set()


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Where is Berlin?", "Я живу в Берлине сейчас, а Берлин большой"),
        ("Who lives in Porto?", "मेरी बहन पोर्टो में रहती है"),
        ("Чем болеет Фатима?", "Fatima has a cold"),
        ("पोर्टो में कौन रहता है?", "My sister lives in Porto"),
    ],
)
async def test_a_name_is_found_in_another_script(question, said):
    """Neither need be translated."""
    assert await found(question, said)


@pytest.mark.parametrize("text", ["Where is berlin?", "Where is Eva?", "🙂 Ok?", "123 4567", "", "的的的"])
def test_nothing_is_looked_for_across_scripts_but_names(text):
    """Of what speech recognition writes as a name, and long enough to be one."""
    assert not [form for form in asked_forms(text, asked_terms(text)) if form[0] == FROM_LATIN]


@pytest.mark.parametrize(
    "text",
    [
        "Mera kutta बहुत bhookha hai 🐕",  # romanised Hindi, in two scripts, with an emoji
        "Ich habe gestern einen meeting im office gehabt",
        "ｆｕｌｌ ｗｉｄｔｈ ١٢٣",
        "\u200d\u200c\u0301 ङ्क़ ́",
        "ﷺ ㋿ 𓀀𓀁 ꙮ",
    ],
)
async def test_any_words_have_forms(text):
    """Mixed, romanised, or of a language that nobody knows: no error, and no form is a term."""
    forms = asked_forms(text, asked_terms(text))
    assert all(is_form(form) for form in forms) and not any(is_form(term) for term in terms(text))
    assert await StoredForms(terms(text)).of(["*x", "x"]) == {"*x": []}


async def test_words_that_are_said_later_are_found():
    """What is held grows with the call."""
    stored = StoredForms(terms("Мы гуляем утром"))
    assert await stored.of(["*собак"]) == {"*собак": []}
    stored.add(terms("С собакой"))
    assert await stored.of(["*собак"]) == {"*собак": ["собакои"]}
