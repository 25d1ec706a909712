"""Piper's voices that were pulled: which one speaks a language."""

from pathlib import Path

from echoic.memory.embedding.files import ORIGIN

PIPER = "piper:"


def voices_in(models: Path) -> dict[str, str]:
    """ISO 639 code of a language -> the voice for it, by its folder's name: the one pulled last."""
    whole = sorted(models.glob(f"{PIPER}*/{ORIGIN}"), key=lambda file: file.stat().st_mtime)
    names = [file.parent.name for file in whole]
    return {name.removeprefix(PIPER).partition("_")[0]: name for name in names}
