"""Files of models are those that Echoic pins, or are not used."""

import hashlib
from pathlib import Path

from echoic.memory.errors import ConfigInvalid


def verified(path: Path, sha256: str) -> bytes:
    """The file's bytes.

    Raises:
        ConfigInvalid: it cannot be read, or its SHA-256 is not the pinned one.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigInvalid(f"{path.name} cannot be read: {exc.strerror}. Install Echoic again.") from exc
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ConfigInvalid(
            f"{path.name} is not the file that Echoic pins (sha256 differs): install Echoic again."
        )
    return content
