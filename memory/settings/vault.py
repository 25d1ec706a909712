"""Secrets at rest: encrypted with keys from the environment, so that a dump of the database holds none.

A key is Fernet's (AES-128-CBC with an HMAC). Several stand with commas between them: the first encrypts, all
decrypt, and `echoic settings rotate` encrypts everything anew with the first.
"""

import json
from collections.abc import Mapping

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from echoic.memory.config import MemorySettings
from echoic.memory.errors import ConfigInvalid


class VaultLocked(ConfigInvalid):
    """ECHOIC_SETTINGS_KEY is not set, so no secret can be kept: `echoic settings key` prints one."""


class SecretUnreadable(ConfigInvalid):
    """A stored secret is of another key than those in ECHOIC_SETTINGS_KEY: enter it again."""


class Vault:
    """Encrypts and decrypts; a secret is bound to what it is the secret of, and cannot be put elsewhere."""

    def __init__(self, settings: MemorySettings) -> None:
        self._fernet = fernet_of(settings.settings_key.get_secret_value())

    def lock(self, of: str, values: Mapping[str, str]) -> bytes:
        """The values, encrypted.

        Raises:
            VaultLocked: there is no key.
        """
        if self._fernet is None:
            raise VaultLocked
        return self._fernet.encrypt(json.dumps([of, dict(values)]).encode())

    def unlock(self, of: str, locked: bytes) -> dict[str, str]:
        """What `lock` was given.

        Raises:
            VaultLocked: there is no key.
            SecretUnreadable: none of the keys fits, or it is the secret of something else.
        """
        if self._fernet is None:
            raise VaultLocked
        try:
            whose, values = json.loads(self._fernet.decrypt(locked))
        except InvalidToken as exc:
            raise SecretUnreadable from exc
        if whose != of:
            raise SecretUnreadable
        found: dict[str, str] = values
        return found

    def rotate(self, locked: bytes) -> bytes:
        """The same, encrypted with the first key.

        Raises:
            VaultLocked, SecretUnreadable: as `unlock`.
        """
        if self._fernet is None:
            raise VaultLocked
        try:
            return self._fernet.rotate(locked)
        except InvalidToken as exc:
            raise SecretUnreadable from exc


def fernet_of(keys: str) -> MultiFernet | None:
    """What the keys encrypt with; None without any.

    Raises:
        ConfigInvalid: one of them is no key.
    """
    named = [key.strip() for key in keys.split(",") if key.strip()]
    try:
        return MultiFernet([Fernet(key) for key in named]) if named else None
    except ValueError as exc:
        raise ConfigInvalid(
            "ECHOIC_SETTINGS_KEY is wrong: a key is 32 bytes in URL-safe base64; `echoic settings key` "
            "prints one."
        ) from exc


def new_key() -> str:
    """A key for ECHOIC_SETTINGS_KEY."""
    return Fernet.generate_key().decode()
