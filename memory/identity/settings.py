"""The settings of phone numbers as user ids: for agents, which take calls, and for channels of messages."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from echoic.memory.config import read_settings

SHORTEST_KEY = 32  # characters: below, HS256 is easier to guess than to break


class PhoneSettings(BaseSettings):
    """Each field is read from `ECHOIC_<NAME>`; the text under a field is its documentation."""

    # an empty variable is one that is not set: .env files and Compose pass such on
    model_config = SettingsConfigDict(
        env_prefix="ECHOIC_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        populate_by_name=True,
    )

    phone_key: SecretStr = SecretStr("")
    """Key of the hash that a phone number is stored as, 32 characters or more; changed, it makes every phone
    caller a new one. Empty: made once and kept in the data folder, which is enough for one host."""
    phone_region: str = Field("", pattern="^([A-Z]{2})?$")
    """Country of numbers that come without one, as `DE`. Empty: only numbers with a `+` identify their
    caller."""

    @field_validator("phone_region")
    @classmethod
    def _exists(cls, region: str) -> str:
        from phonenumbers import SUPPORTED_REGIONS  # a fifth of a second, for those who set it

        if region and region not in SUPPORTED_REGIONS:
            raise ValueError(f"there is no country {region} with telephone numbers")
        return region

    @field_validator("phone_key")
    @classmethod
    def _hard_to_guess(cls, key: SecretStr) -> SecretStr:
        return long_enough(key)


def load_phone_settings() -> PhoneSettings:
    """Settings from the environment.

    Raises:
        ConfigInvalid: a value is wrong; the sentence names the variable.
    """
    return read_settings(PhoneSettings, {})


def long_enough(key: SecretStr) -> SecretStr:
    """The key, if it is empty or cannot be guessed; else a ValueError, for the validator of a setting."""
    if 0 < len(key.get_secret_value()) < SHORTEST_KEY:
        raise ValueError(f"a key has {SHORTEST_KEY} characters or more; `openssl rand -hex 32` makes one")
    return key
