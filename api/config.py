"""The API's settings: read once at start, frozen, passed in."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from echoic.memory.config import read_settings

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""Names of this machine that no other machine can be called."""


class ApiSettings(BaseSettings):
    """Each field is read from `ECHOIC_API_<NAME>`; the text under a field is its documentation."""

    model_config = SettingsConfigDict(
        env_prefix="ECHOIC_API_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address on which the API listens; another than this machine's own belongs behind TLS."""
    port: int = Field(8090, ge=0, le=65_535)
    """Port of the API; 0 takes a free one."""
    hosts: str = ""
    """Names under which the API is reached, with commas between them, such as `memory.example.com`. Requests
    for another name are refused; this machine's own names always count."""
    rate_per_minute: int = Field(600, ge=1, le=1_000_000)
    """Requests that one key may send in a minute; a minute's worth may come at once."""
    streams: int = Field(1_000, ge=1, le=100_000)
    """Most streams of live events at once, of all keys together."""

    whatsapp_verify_token: SecretStr = SecretStr("")
    """Verify token of the webhook of WhatsApp's Cloud API, as you enter it at Meta. Empty: there is no such
    webhook."""
    whatsapp_app_secret: SecretStr = SecretStr("")
    """Secret of your app at Meta, which signs each delivery to that webhook."""

    whatsapp_token: SecretStr = SecretStr("")
    """Access token of your app at Meta, with which voice notes are fetched, to be heard by the ears of this
    machine (`pip install 'echoic[local]'`). Empty: they are left alone."""
    whatsapp_url: str = Field("https://graph.facebook.com/v23.0", pattern=r"^https?://")
    """Address of Meta's Graph API."""

    webhook_secret: SecretStr = SecretStr("")
    """Signs what a database's trigger tells of each message of a chat (docs/channels.md). Empty: it sends a
    key."""

    @property
    def host_names(self) -> frozenset[str]:
        return frozenset(
            {*LOOPBACK, *(name.strip().lower() for name in self.hosts.split(",") if name.strip())}
        )


def load_api_settings(**overrides: object) -> ApiSettings:
    """Settings from the environment and `overrides`.

    Raises:
        ConfigInvalid: a value is wrong; the sentence names the variable.
    """
    return read_settings(ApiSettings, overrides)
