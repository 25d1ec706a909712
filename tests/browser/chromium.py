"""The Chromium of this machine, or a sentence that says how to get one: nothing is downloaded."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "The browser tests need a Chromium, and {}. Install one (Debian: apt install chromium), "
    "name one by ECHOIC_CHROMIUM=PATH, or leave these tests to CI."
)


class ChromiumMissing(Exception):
    """There is no browser; the message is a sentence."""


def find_chromium(env: Mapping[str, str] = os.environ) -> Path:
    """The one that `ECHOIC_CHROMIUM` names, else the first on the PATH.

    Raises:
        ChromiumMissing: there is none.
    """
    named = env.get("ECHOIC_CHROMIUM")
    path = env.get("PATH", "")
    found = next(
        (found for name in ([named] if named else NAMES) if (found := shutil.which(name, path=path))), None
    )
    if found is None:
        raise ChromiumMissing(
            MISSING.format(f"ECHOIC_CHROMIUM={named} is none" if named else "none is on the PATH")
        )
    return Path(found)
