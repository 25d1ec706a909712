"""Which variables of the environment are settings, and which only look like one."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

PREFIX = "ECHOIC_"
BESIDE = frozenset(
    f"{PREFIX}{name}"
    for name in ("CHROMIUM", "DEBUG", "GGUF", "MCP_USER", "MODEL_SHA256", "MODEL_URL", "TEST_GGUF")
)
"""Read by themselves, where they are needed (docs/settings.md)."""


def settings_kinds() -> "tuple[type[BaseSettings], ...]":
    """Every kind of settings, in the order in which they are told; needs no optional package."""
    from echoic.agent.config import AgentSettings
    from echoic.api.config import ApiSettings
    from echoic.memory.config import MemorySettings
    from echoic.memory.profile.slots import ProfileSettings

    return MemorySettings, ProfileSettings, AgentSettings, ApiSettings


def names_of(kind: "type[BaseSettings]") -> Iterator[tuple[str, ...]]:
    """The variables of each field; the first one wins."""
    from pydantic import AliasChoices

    for name, field in kind.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            yield tuple(map(str, alias.choices))
        else:
            yield (f"{kind.model_config['env_prefix']}{name.upper()}",)


def misspelt(variables: Iterable[str]) -> Iterator[str]:
    """A sentence for each that begins as a setting does and is none, with the nearest that is one."""
    given = {name for name in variables if name.upper().startswith(PREFIX)} - BESIDE
    if not given:
        return
    known = BESIDE.union(*(names for kind in settings_kinds() for names in names_of(kind)))
    endings = [one.removeprefix(PREFIX) for one in known if one.startswith(PREFIX)]
    for name in sorted(given):
        if name.upper() not in known:
            near = get_close_matches(name.upper().removeprefix(PREFIX), endings, 1)
            meant = f" Is {PREFIX}{near[0]} meant?" if near else ""
            yield f"{name} is no setting and changes nothing.{meant}"
