"""A phone number becomes a user id by a keyed hash: the same caller is known again, and the number stands
nowhere."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import phonenumbers

from echoic.memory.errors import ConfigInvalid
from echoic.memory.identity.settings import PhoneSettings

PREFIX = "phone:"
KEY_FILE = "phone.key"
TYPES = phonenumbers.PhoneNumberType
ONE_PERSONS = frozenset(
    (
        *(TYPES.FIXED_LINE, TYPES.MOBILE, TYPES.FIXED_LINE_OR_MOBILE),
        *(TYPES.VOIP, TYPES.PERSONAL_NUMBER, TYPES.PAGER),
    )
)
"""Kinds of numbers at which one subscriber answers. Toll-free, premium and shared-cost numbers, and those of
voicemail or of a whole company, are shown by many who call."""
WITHHELD = frozenset(
    phonenumbers.convert_alpha_characters_in_number(word)
    for word in ("anonymous", "blocked", "private", "restricted", "unavailable", "unknown", "withheld")
)
"""What carriers send in place of a number that is withheld: the word, typed on a keypad. All who withhold
theirs would share one memory."""


def phone_user(number: str, *, key: str, region: str = "") -> str | None:
    """The user who calls from this number; None when it is none: withheld, garbage, or national while no
    region is set.

    Args:
        number: as the trunk sends it, `+4930123456`, or a national one.
        region: where national numbers are at home, as `DE`; empty: only numbers with a `+` are known.
    """
    line = e164(number, region)
    return (
        None if line is None else PREFIX + hmac.new(key.encode(), line.encode(), hashlib.sha256).hexdigest()
    )


def e164(number: str, region: str = "") -> str | None:
    """The number as `+` and its digits (and its extension, which is another person's phone); None when no
    single subscriber can be reached by it."""
    parsed = _read(number, region)
    if parsed is None or _stands_for_none(number, str(parsed.national_number)):
        return None
    # UNKNOWN for one that is not valid: a range that was given out later than this library makes strangers
    if phonenumbers.number_type(parsed) not in ONE_PERSONS:
        return None
    line = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return f"{line};ext={parsed.extension}" if parsed.extension else line


def _read(number: str, region: str) -> phonenumbers.PhoneNumber | None:
    """The number that the whole text is, as it can be dialled in the region: digits of an address or a date
    are none, nor are letters."""
    try:
        parsed = phonenumbers.parse(number, region or None)
        dialable = phonenumbers.Leniency.VALID
        numbers = phonenumbers.PhoneNumberMatcher(number, region or None, dialable, max_tries=1)
    except (phonenumbers.NumberParseException, UnicodeError):
        return None
    return parsed if number.strip() in (found.raw_string for found in numbers) else None


def open_phone_key(settings: PhoneSettings, data_dir: Path) -> str:
    """The key of the hash: the setting, else one that is made once and kept in the data folder.

    Agents on several hosts need the setting.

    Raises:
        ConfigInvalid: there is no setting, and the folder cannot hold a key.
    """
    if key := settings.phone_key.get_secret_value():
        return key
    path = data_dir / KEY_FILE
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigInvalid(
            "ECHOIC_PHONE_KEY is not set, and ECHOIC_DATA_DIR cannot be written to keep a key: set one of "
            "them."
        ) from exc
    if not key:
        raise ConfigInvalid(
            f"{KEY_FILE} in the data folder is empty: put it back from a backup, or remove it to have "
            "callers start anew."
        )
    return key


def _make_key(path: Path) -> None:
    """Under its name only when it is whole; of several processes that try, one wins and all read the same."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(handle)
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first
    finally:
        draft.unlink()


def _stands_for_none(number: str, national: str) -> bool:
    digits = "".join(letter for letter in number if letter.isdigit())
    return digits in WITHHELD or national in WITHHELD or len(set(national)) == 1
