"""By which setting a model file is in use."""

from collections.abc import Mapping
from pathlib import Path

from echoic.local.llm.model_files import pulled
from echoic.local.llm.models import SMOLLM2_NAMES
from echoic.local.speech.server import voices_in
from echoic.memory.config import LOCAL_EMBEDDING_MODEL, MemorySettings
from echoic.memory.settings.model_files import ModelFile

WITHOUT_KEYS = "calls without keys (ECHOIC_SPEECH)"
PACKAGED = {
    "moonshine-tiny-en": WITHOUT_KEYS,
    "joe-us": WITHOUT_KEYS,
    "silero-vad": "every call",
}


class Uses:
    """What the settings of this machine use of a folder of models."""

    def __init__(
        self, settings: MemorySettings, env: Mapping[str, str], folder: Path, vectors: str = ""
    ) -> None:
        """`vectors`: of which embedding model the stored ones are, whatever is set just now."""
        self._settings, self._env, self._folder, self._vectors = settings, env, folder, vectors

    def of(self, one: ModelFile) -> str:
        """The setting, or empty."""
        if one.dimensions:
            if self._embeds(one):
                return "ECHOIC_EMBEDDING_MODEL"
            return "the stored vectors" if self._vectors == f"{one.name}:{one.dimensions}" else ""
        if one.name in PACKAGED:
            return PACKAGED[one.name]
        if one.name in SMOLLM2_NAMES:
            return "ECHOIC_LLM_MODEL" if self._settings.llm_model.lower() in SMOLLM2_NAMES else ""
        if one.name in voices_in(self._folder).values():
            return WITHOUT_KEYS
        return self._replies(one)

    def _embeds(self, one: ModelFile) -> bool:
        wanted = one.name if one.removable else LOCAL_EMBEDDING_MODEL
        return not self._settings.embedding_url and self._settings.embedding_model == wanted

    def _replies(self, one: ModelFile) -> str:
        """As `choose_model` goes about it."""
        if file := self._env.get("ECHOIC_GGUF"):
            return "ECHOIC_GGUF" if Path(file).expanduser() == self._folder / f"{one.name}.gguf" else ""
        elsewhere = (
            self._settings.llm_url
            or self._settings.llm_model
            or self._settings.llm_api_key.get_secret_value()
        )
        newest = pulled(self._folder.parent)
        is_newest = newest is not None and newest.stem == one.name
        return "no other language model is set" if is_newest and not elsewhere else ""
