"""Card numbers, PINs, passwords and codes leave no digit behind, in any language; other numbers stay."""

import pytest

from echoic.memory.text.secrets import MASK, hide_secrets


@pytest.mark.parametrize(
    ("said", "asked", "secret"),
    [
        ("My card number is 4111 1111 1111 1111.", "", "4111"),
        ("it's " + "four " + "one " * 15 + "ok", "", "one one"),
        ("4111-1111-1111-1111", "", "4111"),
        ("my pin is 4321 please don't laugh", "", "4321"),
        ("the password i set up is Marmalade underscore ninety one", "", "Marmalade"),
        (
            "yes it says eight one five oh two two",
            "I texted you a six digit code, could you read it out?",
            "five",
        ),
        ("Sì, è tre tre zero nove cinque otto.", "Mi detta il codice che le è arrivato per SMS?", "nove"),
        ("die geheimzahl ist acht null drei eins falls sie das brauchen", "", "drei"),
        ("暗証番号は六八零二で合ってると思う", "", "八零"),
        ("ﾊﾟｽﾜｰﾄﾞはhimawari77", "", "himawari77"),
        ("код из смс сорок четыре девятнадцать ноль два", "", "девятнадцать"),
        ("인증번호 삼 팔 팔 공 사 일 이렇게 왔어요", "", "팔 팔"),
        ("La contraseña del wifi es Canelo dos mil nueve.", "", "Canelo"),
        ("de cvc achterop is een zeven zes en de kaart loopt tot mei", "", "zeven"),
        ("ओटीपी आया है नौ शून्य पाँच पाँच तीन एक", "", "शून्य"),
        ("le code de la carte bleue c'est sept sept quatre un", "", "quatre"),
        ("mon code est vingt et un douze", "", "vingt"),
        ("meine geheimzahl ist fünf fünf zwölf", "", "fünf"),
        ("el pin es veintidós cincuenta", "", "veintidós"),
        ("mój pin to tysiąc dwieście trzydzieści cztery", "", "tysiąc"),
        ("mój pin to piec szesc siedem osiem", "", "piec"),
        ("мой пин тысяча двести тридцать четыре", "", "тысяча"),
        ("pin kodum bin iki yüz otuz dört", "", "bin"),
        ("pin kodum binikiyüzotuzdört", "", "otuz"),
        ("الرقم السري اثنا عشر أربعة وثلاثون", "", "اثنا"),
        ("الرقم السري اثنا عشر أربعة و ثلاثون", "", "ثلاثون"),
        ("मेरा पिन बारह चौंतीस", "", "बारह"),
        ("비밀번호는 1234예요", "", "1234"),
        ("비밀번호는 일이삼사예요", "", "일이"),
        ("제 핀 번호는 일 이 삼 사예요", "", "사"),
        ("비밀번호가 천이백삼십사예요", "", "천이백"),
        ("pin은 일이공공이요", "", "공공"),
        ("공오구삼입니다", "인증번호가 어떻게 되세요?", "공오"),
        ("카드 번호는 사일일일 일일일일 일일일일 일일일일이에요", "", "일일"),
        ("मेरा पिन वन टू थ्री फोर", "", "वन"),
        ("I've been using Bluebell77 as the password and it won't let me in", "", "Bluebell77"),
        ("loguję się hasłem Bocian dziewięćdziesiąt cztery i nic", "", "Bocian"),
        ("wachtwoord kaasboer vierentwintig staat er genoteerd", "", "kaasboer"),
        ("lolaypaco61 que es mi clave de la banca", "", "lolaypaco61"),
        ("Kart şifrenizi söyler misiniz? dokuz iki yedi sıfır", "", "iki"),
        ("tabii dokuz iki yedi sıfır", "Kart şifrenizi söyler misiniz?", "iki"),
        ("sette sette due", "Mi legge le tre cifre sul retro della carta?", "sette"),
        ("卡号是六二二五七五三零一八四六九一二二，一共三百六十", "", "六二二五"),
        ("6 1 9 4, das ist die PIN von der Girokarte", "", "6 1"),
        ("copper lantern breakfast is the password", "", "lantern"),
        ("het wachtwoord is hoofdletter V, o, s, laag streepje, apenstaartje, 8 3", "", "apenstaartje"),
        ("Notez le mot de passe de la box : K majuscule, e, r, tiret du bas, 2 6", "", "K majuscule"),
        ("da steht 92 03 75", "Was steht in der SMS, die Sie gerade bekommen haben?", "92"),
        ("पीछे लिखा है २ ० ८", "कार्ड के पीछे वाले तीन अंक बता दीजिए।", "२ ०"),
        ("छह सौ उनतालीस। केक पे नाम लिखवाना", "कार्ड के पीछे का सीवीवी?", "उनतालीस"),
        ("와이파이 암호는 byeolbam2sul 다 소문자고", "", "byeolbam2sul"),
        ("감자전에막걸리, 영어 자판으로 치고", "병원 앱은 어떤 비밀번호로 하셨어요?", "감자전에막걸리"),
        ("yeni şifre tembel ayı uyudu alt çizgi sekiz, not al", "", "sekiz"),
        ("ابني غيّر باسورد الببجي وخلاه الأسد الجوعان ٩٩ وبعدين", "", "٩٩"),
        (
            "é quatro cinco zero sete, um sete dois nove, nove quatro três três, meia nove nove cinco",
            "",
            "meia",
        ),
        ("Twee zes, en dan dubbel vier", "Welke pincode wilt u?", "vier"),
        ("결제는 5387-2016-9940-7157 이 카드로 해 주세요", "", "5387"),
        ("numer karty " + "cztery " + "jeden " * 15, "", "jeden"),
        ("karta " + "czterdzieści jeden " + "jedenaście " * 7, "", "jedenaście"),
        ("номер карты сорок один " + "одиннадцать " * 7, "", "одиннадцать"),
        ("kart numaram kırk bir " + "on bir " * 7, "", "on bir"),
        ("رقم البطاقة واحد وأربعون " + "أحد عشر " * 7, "", "عشر"),
        ("मेरा कार्ड इकतालीस " + "ग्यारह " * 7, "", "ग्यारह"),
    ],
)
def test_what_must_never_be_kept_is_masked(said, asked, secret):
    """Said as such, or the answer to a question for it; spelled digits count too."""
    hidden = hide_secrets(said, asked)
    assert MASK in hidden and secret not in hidden


@pytest.mark.parametrize(
    "said",
    [
        "My postcode is SW1A 2AA and I was born in 1984.",
        "I have two kids, one dog and I live at 221 Baker Street.",
        "order 1234567890123 please",  # thirteen digits that fail Luhn's check
        "call me on oh seven seven double one two three",
        "call me on 07700 900123",  # "on" is ten in Turkish: 1007700900123 passes Luhn's check
        "Ich bin vierunddreißig und wohne in Kiel.",
        "Ich habe die PIN vergessen, ich bin dreißig und ganz durcheinander.",  # Turkish: 1000
        "Non ricordo il pin, sto male.",  # Polish: 100
        "Mieszkam na Długiej sto piętnaście, rocznik tysiąc dziewięćset osiemdziesiąty pierwszy.",
        "Я живу на Лесной сто пятнадцать, родился в тысяча девятьсот восемьдесят первом году.",
        "Bağdat Caddesi yüz on beş numarada oturuyorum, bin dokuz yüz seksen birde doğdum.",
        "أسكن في شارع النيل رقم مئة وخمسة عشر، ولدت عام ألف وتسعمئة وواحد وثمانين",
        "मैं एक सौ पंद्रह गांधी रोड पर रहता हूँ, उन्नीस सौ इक्यासी में पैदा हुआ।",
        "I forgot my password and my dog Rex died on Monday.",
        "Ich habe mein Passwort vergessen und muss zu meiner Mutter.",
        "我忘了密码，我住在上海",
        "비밀번호를 바꿔야 하는데 이사 때문에 바빠요, 네 번 해 봤어요",
        "우편번호는 공육이삼사예요, 저는 천구백팔십일년생이에요",
        "I'm a code monkey, twenty years now.",
        "my password manager is broken since the last update",
        "My password_hash column has warnings.",
        "验证码收到了，预约帮我改到十二号下午",  # 十二 are two digits, read sign by sign three
        "",
        "•••",
    ],
)
def test_other_words_stay_as_they_are(said):
    """Years, streets, phone and order numbers are no secrets."""
    assert hide_secrets(said) == said


@pytest.mark.parametrize(
    ("said", "asked", "stays"),
    [
        ("No no, è scaduta da sola, ogni 180 giorni.", "Ha dimenticato la password?", "scaduta da sola"),
        ("It was pelican88harbour. I opened it in 2019.", "Which password did you choose?", "in 2019"),
        ("38 05, però la usa mio figlio che ha 19 anni", "Mi dice il PIN?", "19 anni"),
        ("le code est 7316, et je vous appelle du 06 39 98 41 27", "", "06 39 98 41 27"),
        ("per vent'anni non dice una parola d'amore", "", "una parola d'amore"),  # "parola" is Turkish, too
    ],
)
def test_what_is_said_beside_a_secret_stays(said, asked, stays):
    """Another number, another sentence, and what only answers a question about a password."""
    assert stays in hide_secrets(said, asked)


def test_masking_takes_time_by_the_length_of_a_text():
    """Whoever pastes names of secrets by the thousand holds nobody up for minutes."""
    for piece in ("password k e r ", "password is x. ", "code 1234 ", "the code, 12. "):
        hidden = hide_secrets(piece * (20_000 // len(piece)))
        assert len(hidden) < 30_000


@pytest.mark.parametrize("said", ["my pin is 4321", "4111 1111 1111 1111", "the password is swordfish"])
def test_masking_twice_is_masking_once(said):
    """A turn may pass by more than one door."""
    assert hide_secrets(hide_secrets(said)) == hide_secrets(said)
