"""Who is calling, and above all who is not: what a caller can set freely is never believed.

And no number stands anywhere in clear.
"""

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import phonenumbers
import pytest
from livekit import rtc

from echoic.agent.config import AgentSettings, load_agent_settings
from echoic.agent.identity.identity import USER_TOKEN, Identified, Rules, resolve
from echoic.memory.errors import ConfigInvalid
from echoic.memory.identity.phone import KEY_FILE, e164, open_phone_key, phone_user

TYPES, FORMAT = phonenumbers.PhoneNumberType, phonenumbers.PhoneNumberFormat
SECRET, OTHER_SECRET = "s" * 32, "o" * 32
LASTS_S = 3_600
"""Tokens are made when the tests are collected, long before some of them run."""
KEY = "k" * 32
NUMBER = "+4930123456"
STANDARD, SIP = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD, rtc.ParticipantKind.PARTICIPANT_KIND_SIP
RULES = Rules(identity_secret=SECRET, phone_key=KEY)


def token(secret: str = SECRET, **claims: Any) -> str:
    """A token that counts, with these claims changed; None takes one out."""
    whole = {"sub": "maya", "aud": "echoic", "exp": time.time() + LASTS_S} | claims
    return jwt.encode(
        {name: claim for name, claim in whole.items() if claim is not None}, secret, algorithm="HS256"
    )


def participant(identity: str = "web-1", kind: int = STANDARD, **attributes: str) -> Any:
    return SimpleNamespace(
        identity=identity, kind=kind, attributes=attributes, metadata='{"user_id": "maya"}', name="maya"
    )


def showing(text: str) -> Any:
    return participant(**{USER_TOKEN: text})


def phone(number: str | None, **attributes: str) -> Any:
    line = {} if number is None else {"sip.phoneNumber": number}
    return participant(f"sip_{number}", SIP, **line, **attributes)


def who(
    person: Any, metadata: str = "", rules: Rules = RULES, *, first: bool = True, **options: Any
) -> Identified:
    return resolve(person, "room-1", metadata, rules, first=first, **options)


def is_nobody(found: Identified) -> bool:
    return (
        found.how == "anonymous"
        and not found.persistent
        and not found.proven
        and found.user_id.startswith("anonymous:")
    )


def test_each_source_and_their_order():
    """Token before dispatch before phone number before identity; only a number is not proven."""
    metadata = json.dumps({"user_id": "from-dispatch"})
    assert who(showing(token()), metadata) == Identified("maya", "token", True, True)
    assert who(phone(NUMBER), metadata) == Identified(
        "from-dispatch", "dispatch", True, True, "Europe/Berlin"
    )
    assert who(phone(NUMBER)) == Identified(
        str(phone_user(NUMBER, key=KEY)), "phone", False, True, "Europe/Berlin"
    )
    stable = Rules(stable_identities=True)
    assert who(participant("web-1"), rules=stable) == Identified("id:web-1", "identity", True, True)
    assert is_nobody(who(participant("web-1")))


def test_nobody_is_never_the_same_one_twice():
    """Two anonymous calls share no id, and so no memory."""
    assert who(participant()).user_id != who(participant()).user_id


def test_what_a_caller_can_set_freely_counts_for_nothing():
    """Attributes, metadata and a name that claim somebody; a number set on the web; a line that claims."""
    forged = participant(
        "web-1", user_id="maya", **{"echoic.user_id": "maya", "sip.phoneNumber": NUMBER, "lk.user_id": "maya"}
    )
    assert is_nobody(who(forged))
    assert who(phone(NUMBER, user_id="maya")).how == "phone"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (token(OTHER_SECRET), "InvalidSignatureError"),
        (token(exp=time.time() - 60), "ExpiredSignatureError"),
        (token(exp=None), "MissingRequiredClaimError"),
        (token(aud="another"), "InvalidAudienceError"),
        (token(aud=None), "MissingRequiredClaimError"),
        (token(room="room-2"), "other_room"),
        (token(participant="web-2"), "other_participant"),
        (token(sub=None), "user_id"),
        (token(sub=""), "user_id"),
        (token(sub="m" * 201), "user_id"),
        (token(sub="a\0b"), "user_id"),
        (token(sub="phone:1234"), "user_id"),
        (token(sub="id:web-2"), "user_id"),
        (token(phone_number="withheld"), "no_number"),
        (token(phone_number=7), "no_number"),
        (
            jwt.encode({"sub": "maya", "aud": "echoic", "exp": time.time() + LASTS_S}, "", algorithm="none"),
            "InvalidAlgorithmError",
        ),
        ("no token at all", "DecodeError"),
        ("é.\ud800.x", "UnicodeEncodeError"),
        ("a." * 40_000, "DecodeError"),
    ],
)
def test_a_token_that_does_not_count_leaves_a_stranger_and_one_line(
    text: str, reason: str, caplog: pytest.LogCaptureFixture
):
    """Forged, stale, for another room, garbage: said once, without its content, and the next rule decides."""
    with caplog.at_level(logging.INFO, "echoic"):
        assert is_nobody(who(showing(text)))
    (line,) = caplog.records
    assert (line.getMessage(), line.source, line.reason) == ("identity.refused", "token", reason)  # type: ignore[attr-defined]
    assert text not in str(vars(line)) and "maya" not in str(vars(line))


def test_a_token_for_this_room_and_participant_counts():
    """Bound to the very room and person it is shown by, it names its user."""
    assert who(showing(token(room="room-1", participant="web-1"))).user_id == "maya"


def test_a_token_without_a_secret_counts_for_nothing():
    """Not even one that is signed with an empty key."""
    assert is_nobody(who(showing(token()), rules=Rules()))


def test_a_token_that_another_showed_before_counts_only_if_it_names_its_participant():
    """A token copied from somebody in the room opens no memory."""
    assert is_nobody(who(showing(token()), borrowed=True))
    assert who(showing(token(participant="web-1")), borrowed=True).user_id == "maya"


def test_a_phone_number_in_a_token_or_a_dispatch_is_the_one_who_calls_from_there():
    """Who writes today is remembered when they phone tomorrow."""
    line = who(phone(NUMBER)).user_id
    assert who(showing(token(phone_number="+49 30 123456"))) == Identified(line, "token", True, True)
    assert who(participant(), json.dumps({"phone_number": NUMBER})).user_id == line


def test_a_dispatch_without_a_participant_is_about_the_first_caller_only():
    """Whoever joins second does not inherit the first one's memory."""
    metadata = json.dumps({"user_id": "maya"})
    assert who(participant(), metadata).user_id == "maya"
    assert is_nobody(who(participant("web-2"), metadata, first=False))


def test_a_dispatch_for_one_participant_is_about_nobody_else():
    """The first to come is a stranger if another is named, who may come later."""
    metadata = json.dumps({"user_id": "maya", "participant": "web-1"})
    assert is_nobody(who(participant("web-2"), metadata))
    assert who(participant("web-1"), metadata, first=False).user_id == "maya"


@pytest.mark.parametrize(
    "metadata",
    [
        "maya",
        "{",
        "[" * 100_000,
        "null",
        "[]",
        '"maya"',
        "{}",
        '{"user_id": 7}',
        '{"user_id": null}',
        '{"user_id": {"a": 1}}',
        '{"user_id": ""}',
        '{"user_id": "phone:1234"}',
        '{"user_id": "\\ud800"}',
        '{"phone_number": [1]}',
        '{"user_id": "maya", "participant": 7}',
        "\0",
    ],
)
def test_garbage_in_the_dispatch_leaves_a_stranger(metadata: str):
    """Whatever the metadata holds, the call goes on, without anybody's memory."""
    assert is_nobody(who(participant(), metadata))


@pytest.mark.parametrize(
    "number",
    [
        *(
            None,
            "",
            "anonymous",
            "Restricted",
            "+266696687",
            "7378742833",
            "+86282452253",
            "1000",
            "+",
            "+0",
            "+1",
            "+10000000000",
        ),
        *(
            "5550100",
            "sip:maya@example.com",
            "+" * 300,
            "+49" + "3" * 40,
            "\0",
            "'; drop table turns; --",
            "\ud800",
            "+99912345678",
        ),
    ],
)
def test_a_withheld_number_is_nobody(number: str | None):
    """Also what carriers send in its place: all who withhold theirs would share one memory."""
    assert is_nobody(who(phone(number)))


NOBODYS = (TYPES.TOLL_FREE, TYPES.PREMIUM_RATE, TYPES.SHARED_COST, TYPES.UAN, TYPES.VOICEMAIL)
SOMEBODYS = (TYPES.FIXED_LINE, TYPES.MOBILE, TYPES.VOIP, TYPES.PERSONAL_NUMBER, TYPES.PAGER)


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_a_number_identifies_where_one_subscriber_answers_it(region: str):
    """In every country: a line of one's own does, as it is written at home and abroad; a short code, an
    emergency number, and a number that is many people's do not."""
    for kind in SOMEBODYS:
        if own := phonenumbers.example_number_for_type(region, kind):
            line = phonenumbers.format_number(own, FORMAT.E164)
            assert e164(line) == e164(phonenumbers.format_number(own, FORMAT.NATIONAL), region) == line
    for kind in NOBODYS:
        if many := phonenumbers.example_number_for_type(region, kind):
            assert e164(phonenumbers.format_number(many, FORMAT.E164)) is None
            assert e164(phonenumbers.format_number(many, FORMAT.NATIONAL), region) is None
    short = phonenumbers.PhoneMetadata.short_metadata_for_region(region)
    for code in (short.short_code, short.emergency, short.toll_free) if short else ():
        assert code is None or not code.example_number or e164(code.example_number, region) is None


@pytest.mark.parametrize(
    "number",
    [
        *("1000", "110", "112", "116117", "911", "0", "00", "+"),
        *("sip:10.0.0.1", "sip:maya@10.0.0.1", "sip:4930123456@example.com", "10.0.0.1", "192.168.178.20"),
        *("1-800-ANONYMOUS", "0800 ANONYMOUS", "ANONYMOUS", "+49 30 WITHHELD"),
        *("0800 1234567", "0900 1234567", "0180 5 123456", "+80012345678", "+1 800 555 1234"),
        *("call 030 123456", "030 123456, 030 123457", "2026-11-26", "tel:", "030 123456@host", "7378742833"),
    ],
)
def test_a_number_that_is_none_is_nobody_where_a_region_is_set(number: str):
    """Whoever cannot be called back by it alone would share one memory with all who show the same."""
    assert is_nobody(who(phone(number), rules=Rules(phone_key=KEY, phone_region="DE")))


def test_one_number_is_one_user_however_it_is_written():
    """With or without country, spaces and zeros; another number, key or extension is another user."""
    same = {
        phone_user(text, key=KEY, region="DE")
        for text in (NUMBER, "+49 (30) 123456", "004930123456", "030 123456", "٠٣٠١٢٣٤٥٦")
    }
    assert len(same) == 1
    assert phone_user("+4930123457", key=KEY) not in same
    assert phone_user(NUMBER, key="x" * 32) not in same
    assert e164("+493012345678;ext=12") != e164("+493012345678;ext=13")


def test_a_number_stands_neither_in_the_user_nor_in_a_log(caplog: pytest.LogCaptureFixture):
    """The identity of a line holds its number too: it is no user id, whatever the settings say."""
    with caplog.at_level(logging.DEBUG):
        found = [who(phone(NUMBER)), who(phone(NUMBER), rules=Rules()), who(phone("withheld 555-0100"))]
        careful = who(
            phone(NUMBER), rules=Rules(phone_key=KEY, trust_caller_id=False, stable_identities=True)
        )
    assert is_nobody(careful)
    everything = f"{found} {careful} {[vars(line) for line in caplog.records]} {RULES!r}"
    assert (
        "30123456" not in everything
        and "5550100" not in everything
        and KEY not in everything
        and SECRET not in everything
    )


def test_the_key_is_made_once_and_kept(tmp_path: Path):
    """Eight processes that start together have one key, as has the next start; only its owner reads it."""
    folder = tmp_path / "data"
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: open_phone_key(AgentSettings(), folder), range(8)))
    assert len(keys) == 1 and len(keys.pop()) == 64
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600 and [
        path.name for path in folder.iterdir()
    ] == [KEY_FILE]


def test_the_setting_comes_first(tmp_path: Path):
    """With a key in the settings none is made in the data folder."""
    assert open_phone_key(AgentSettings(phone_key=KEY), tmp_path) == KEY
    assert not list(tmp_path.iterdir())


def test_no_place_for_a_key_is_a_sentence(tmp_path: Path):
    """A data folder that is a file, and a key file that is empty."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigInvalid, match="ECHOIC_PHONE_KEY is not set"):
        open_phone_key(AgentSettings(), tmp_path / "file")
    (tmp_path / KEY_FILE).write_text("")
    with pytest.raises(ConfigInvalid, match="is empty"):
        open_phone_key(AgentSettings(), tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("identity_secret", "short"), ("phone_key", "short"), ("phone_region", "Germany")]
)
def test_a_wrong_setting_is_named_and_not_shown(name: str, value: str):
    """The start ends with the variable's name; its value, a secret perhaps, is not repeated."""
    with pytest.raises(ConfigInvalid, match=f"ECHOIC_{name.upper()} is wrong") as caught:
        load_agent_settings(**{name: value})
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("person", "metadata", "zone"),
    [
        (showing(token(zoneinfo="Asia/Tokyo")), '{"zoneinfo": "Europe/Paris"}', "Asia/Tokyo"),
        (participant(), '{"zoneinfo": "Europe/Paris"}', "Europe/Paris"),
        (participant(), '{"zoneinfo": "Europe/Paris", "participant": "another"}', ""),
        (participant(**{"echoic.zoneinfo": "America/Lima"}), "", "America/Lima"),
        (participant(**{"echoic.zoneinfo": "Mars/Base"}), "", ""),
        (participant(**{"echoic.zoneinfo": "../../etc/passwd"}), "", ""),
        (participant(**{"echoic.zoneinfo": "Europe"}), "", ""),
        (showing(token(secret=OTHER_SECRET, zoneinfo="Asia/Tokyo")), "", ""),
        (phone(NUMBER), "", "Europe/Berlin"),
        (phone("+14155550123"), "", "America/Los_Angeles"),
        (phone("+61412345678"), "", ""),  # a mobile of a country with several zones
        (phone(None), "", ""),
        (participant(**{"sip.phoneNumber": NUMBER}), "", ""),  # no phone: anybody can write this
        (participant(), "[not json", ""),
    ],
)
def test_where_a_caller_is(person: Any, metadata: str, zone: str) -> None:
    """Token, dispatch, attribute, the number's area; what is no time zone counts for nothing."""
    assert who(person, metadata).timezone == zone
