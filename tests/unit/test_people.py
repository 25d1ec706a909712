"""Who is meant: what is shown of a fact tells whom it is about."""

import pytest

from echoic.memory.text.canonical import tokens
from echoic.memory.text.language import languages
from echoic.memory.text.people import may_be_one, mentions, shown
from echoic.memory.types import CALLER, About


@pytest.mark.parametrize(
    ("text", "about", "seen"),
    [
        ("73, in good health", About("mother"), "[mother] 73, in good health"),
        ("Ist 73", About("Mutter", "Ute"), "[Mutter Ute] Ist 73"),
        ("73岁", About("母亲"), "[母亲] 73岁"),
        ("父亲73岁", About("母亲"), "[母亲] 父亲73岁"),
        ("Ему 73 года", About("отец"), "[отец] Ему 73 года"),
        ("Works at Nokia", About("", "Ana"), "[Ana] Works at Nokia"),
        ("Brother is 40", About("sister"), "[sister] Brother is 40"),
    ],
)
def test_a_fact_that_does_not_say_whom_it_is_about_is_shown_with_them(text, about, seen):
    """In any language; another person in it is somebody else."""
    assert shown(text, about) == seen


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("Mother is 73", About("mother")),
        ("Mama ist 73", About("Mutter")),
        ("Mum is 73", About("Mutter")),
        ("Mutters Katze heißt Mia", About("Mutter")),
        ("Ana works at Nokia", About("sister", "Ana")),
        ("Sister works at Nokia", About("sister", "Ana")),
        ("妈妈73岁", About("母亲")),
        ("Начальника зовут Пётр", About("начальник")),
        ("Has a dog", CALLER),
        ("Has a dog", None),
        ("", None),
    ],
)
def test_a_fact_that_says_it_is_shown_as_it_is(text, about):
    """By role in any words and any language, or by name; so is the caller's, and one of whom nobody knows."""
    assert shown(text, about) == text
    assert shown(shown(text, about), about) == text


def test_what_was_shown_is_not_shown_twice():
    """Another program may store what it read."""
    once = shown("Is 73", About("mother", "Ute"))
    assert shown(once, About("mother", "Ute")) == once


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        (About("mother"), About("mother Ute"), True),
        (About("Mutter"), About("Mama"), True),
        (About("mother"), About("father"), False),
        (About("sister", "Ana"), About("sister", "Eva"), False),
        (About("mother"), CALLER, False),
        (About("mother"), None, True),
    ],
)
def test_who_may_be_one_person(one, other, may):
    """A role that has a name elsewhere may be the same; the caller is nobody else."""
    assert may_be_one(one, other) is may_be_one(other, one) is may


@pytest.mark.parametrize(
    ("code", "text", "key"),
    [
        ("en", "the babies", "child"),
        ("en", "my ma says", "mother"),
        ("de", "meinen Nachbarn", "neighbour"),
        ("de", "die Söhne", "son"),
        ("nl", "de poezen", "cat"),
        ("fr", "les petites filles", "granddaughter"),
        ("es", "el perrito", "dog"),
        ("it", "le amiche", "friend"),
        ("pt", "dos irmãos", "brother"),
        ("pl", "z siostrą", "sister"),
        ("pl", "mojej córce", "daughter"),
        ("pl", "u lekarza", "doctor"),
        ("ru", "с мужем", "husband"),
        ("ru", "двум дочкам", "daughter"),
        ("tr", "köpeğimin", "dog"),
        ("tr", "kardeşinden", "sibling"),
        ("ar", "ولابنتها", "daughter"),
        ("hi", "बच्चों को", "child"),
        ("ko", "고양이는", "cat"),
    ],
)
def test_people_are_named_in_every_form(code, text, key):
    """By the endings in each language's file."""
    assert key in {one.key for one in mentions(tokens(text, languages()[code]), languages()[code])}


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("de", "ich rauche nicht"),
        ("en", "I can manage, ma knees are done"),
        ("es", "vivo en Madrid y bebo vino"),
        ("fr", "en mars on va à la mer, c'est la même"),
        ("it", "capisco, è vicino"),
        ("nl", "dat was pas toen"),
        ("pl", "mam czas, było fajnie, czy pani ma"),
        ("pt", "o medicamento primeiro"),
        ("ru", "брать другой"),
        ("tr", "hâlâ gelmedi ama geldi mi"),
        ("hi", "दस सालों से"),
        ("ko", "아이고"),
    ],
)
def test_a_word_that_only_begins_alike_names_nobody(code, text):
    """ "nicht" is no "Nichte", and Polish "mam" (I have) no "mama": stems said so."""
    assert mentions(tokens(text, languages()[code]), languages()[code]) == []
