"""What a person may choose: tags and zones as the standards have them, switches that go together."""

import pytest

from echoic.agent.commands.memory_tools import consent_question
from echoic.memory.errors import ConfigInvalid
from echoic.memory.settings.personal import Choices, known_zone, language_tag, together
from echoic.memory.types import Caller

OFF = Choices(memory=False, consent="off")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("de", "de"),
        ("PT-br", "pt-BR"),
        ("zh-HANT-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-ROZAJ-biske", "sl-rozaj-biske"),
        ("de-CH-1996", "de-CH-1996"),
        ("en-US-u-ca-BUDDHIST", "en-US-u-ca-buddhist"),
        ("en-x-AA-Twain", "en-x-aa-twain"),
    ],
)
def test_a_tag_is_written_as_the_standard_has_it(given, written):
    """RFC 5646 2.1.1."""
    assert language_tag(given) == written


@pytest.mark.parametrize(
    "tag", ["", "d", "deutsch", "de_AT", "de-", "-de", "de-a", "de-x", "de AT", "dé", "١٢"]
)
def test_what_is_no_tag_is_refused(tag):
    """With a sentence that shows one."""
    with pytest.raises(ValueError, match="such as de or pt-BR"):
        language_tag(tag)


def test_a_zone_is_one_of_the_ianas():
    """And no file of the machine."""
    assert known_zone("America/Argentina/Buenos_Aires")
    for name in ("", "europe/lisbon", "Europe", "../UTC", "localtime", "GMT+99"):
        with pytest.raises(ValueError, match="no IANA time zone"):
            known_zone(name)


@pytest.mark.parametrize(
    ("before", "fields", "after"),
    [
        (Choices(), {"memory": False}, (False, "off")),
        (Choices(consent="on"), {"memory": False, "consent": "off"}, (False, "off")),
        (OFF, {"memory": True}, (True, "on")),
        (OFF, {"memory": True, "consent": "off"}, (True, "off")),
        (Choices(consent="off"), {"memory": True}, (True, "off")),
        (Choices(), {"consent": "off"}, (True, "off")),
        (OFF, {"language": "de"}, (False, "off")),
    ],
)
def test_memory_that_is_off_keeps_nothing(before, fields, after):
    """Turned on again, it keeps; a spoken no stays a no until it is taken back."""
    wanted = together(before, fields)
    assert (wanted.memory, wanted.consent) == after


@pytest.mark.parametrize(
    ("before", "fields"), [(OFF, {"consent": "on"}), (Choices(), {"memory": False, "consent": "on"})]
)
def test_memory_cannot_be_off_and_keep(before, fields):
    """Both at once is nobody's wish."""
    with pytest.raises(ConfigInvalid, match="turn `memory` on"):
        together(before, fields)


def test_every_choice_changes_the_version():
    """Or an edit could be lost."""
    others = [Choices(False), Choices(consent="on"), Choices(retention_days=1), Choices(language="de")]
    assert len({one.version for one in (*others, Choices(), Choices(timezone="UTC"))}) == 6


def test_a_chosen_zone_counts_before_any_other():
    """Also before one that a token named; nothing chosen changes nothing."""
    caller = Caller("ana", "echoic", "c", "Europe/Lisbon", timezone_known=True)
    assert Choices(timezone="Asia/Tokyo").applied_to(caller).timezone == "Asia/Tokyo"
    assert Choices().applied_to(caller) == caller


async def test_consent_is_asked_for_in_the_chosen_language():
    """Before a word was said; a language without a file is asked for in English."""
    german, english = await consent_question([], "de"), await consent_question([], "")
    assert german != english and await consent_question([], "xx") == english
