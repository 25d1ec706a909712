"""The slots that a profile has and the tags that events carry: one YAML file, variables before it, and before
both what was set over the API.

The keys are Memobase's, so that its file counts here as it is.
"""

import logging
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from echoic.memory.config import plainly, read_settings
from echoic.memory.errors import ConfigInvalid
from echoic.memory.store.database import Connection
from echoic.memory.store.queries import query
from echoic.memory.text.words import clean

log = logging.getLogger("echoic.profile")

STORED = "profile"
"""Key of what was set over the API, in the table `settings`."""
MOST_CHARS = 65_535
"""Of a configuration that is set over the API."""
MOST_DEPTH = 20
"""Of lists and keys in it, within each other."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Where there is one in C: the other takes seconds for 65,000 brackets."""


def unified(name: str) -> str:
    """A name of a slot as all are written: "Job Title" is `job_title`."""
    return "_".join(clean(name).lower().split())


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


Name = Annotated[str, BeforeValidator(lambda value: unified(value) if isinstance(value, str) else value)]
Given = Annotated[Name, Field(min_length=1, max_length=100)]
About = Annotated[str, BeforeValidator(lambda value: "" if value is None else value), Field(max_length=2_000)]


class SubTopic(_Part):
    """One slot of a topic."""

    name: Given
    description: About = ""
    update_description: About = ""
    """What is to become of the slot when something new is said."""
    validate_value: bool | None = None


class Topic(_Part):
    """A topic, and its slots."""

    topic: Given
    description: About = ""
    sub_topics: tuple[Annotated[SubTopic, BeforeValidator(_named)], ...] = ()


class Tag(_Part):
    """What events are told apart by; a model gives each event its value."""

    name: Given
    description: About = ""


Place = Annotated[
    str,
    BeforeValidator(
        lambda value: "/".join(map(unified, value.split("/"))) if isinstance(value, str) else value
    ),
]
FEATURES: dict[str, tuple[str, ...]] = {
    "appointment": ("health", "work", "plans", "promises"),
    "celebration": ("family", "friends", "food", "health", "plans"),
    "gift": ("family", "friends", "pets", "hobbies", "opinions"),
    "health": ("health", "food", "family", "promises"),
    "recipe": ("food", "health", "family", "home"),
    "restaurant": ("home", "food", "health", "opinions"),
    "shopping": ("things", "home", "family", "food", "opinions"),
    "small_talk": ("family", "friends", "pets", "hobbies", "plans"),
    "support": ("things", "home", "promises", "opinions"),
    "travel": ("travel", "home", "family", "food", "health", "plans"),
    "work": ("work", "plans", "promises"),
}
"""By Echoic's own topics."""
Tags = tuple[Annotated[Tag, BeforeValidator(_named)], ...]


class ProfileSettings(BaseSettings):
    """Slots, events and their context. Each field is a key of the file, or `ECHOIC_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="ECHOIC_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    profile_strict_mode: bool = False
    """Whether a profile has the slots that are named here and no others; what fits none stays a fact."""
    profile_validate_mode: bool = True
    """Whether a model looks a second time at what goes into a slot that has a description. A slot's
    `validate_value` counts before it."""
    max_profile_subtopics: int = Field(15, ge=1, le=1_000)
    """Most slots of one topic: where there are more, the nearest ones of those that nobody named become one,
    until about half are left."""
    max_pre_profile_token_size: int = Field(128, ge=8, le=8_000)
    """Most tokens that one slot shows: the most important facts first."""
    additional_user_profiles: tuple[Topic, ...] = ()
    """Topics and slots beside Echoic's own topics, as a list of `topic`, `description`, `sub_topics`; each
    of these a name, or `name`, `description`, `update_description`, `validate_value`."""
    overwrite_user_profiles: tuple[Topic, ...] | None = None
    """The same, instead of Echoic's own topics and the additional ones."""
    feature_topics: dict[Name, tuple[Place, ...]] | None = None
    """What a conversation needs of a profile, by the name of a feature, such as `restaurant`: topics, or
    single slots as `topic/slot`. What is set stands in the place of Echoic's own table."""
    event_tags: Tags = ()
    """What each event is told apart by: names, or `name` and `description`."""
    event_theme_requirement: str = Field("", max_length=2_000)
    """What of a conversation is worth learning, in words for the model."""

    @property
    def topics(self) -> Mapping[str, Topic]:
        """What is configured, by name; a topic that is named twice has the slots of both."""
        named = self.additional_user_profiles if self.overwrite_user_profiles is None else ()
        found: dict[str, Topic] = {}
        for one in self.overwrite_user_profiles or named:
            before = found.get(one.topic)
            slots = {sub.name: sub for sub in (*(before.sub_topics if before else ()), *one.sub_topics)}
            about = one.description or (before.description if before else "")
            found[one.topic] = Topic(topic=one.topic, description=about, sub_topics=tuple(slots.values()))
        return found

    def slot(self, topic: str, sub_topic: str) -> SubTopic | None:
        """The configured slot of this name."""
        named = self.topics.get(topic)
        return next((one for one in named.sub_topics if one.name == sub_topic), None) if named else None

    def needed_by(self, feature: str) -> tuple[str, ...]:
        """The topics and slots that a feature needs.

        Raises:
            ConfigInvalid: there is none of this name.
        """
        table = FEATURES if self.feature_topics is None else self.feature_topics
        if unified(feature) not in table:
            raise ConfigInvalid(f"There is no feature of this name. There are: {', '.join(sorted(table))}.")
        return table[unified(feature)]

    def has(self, topic: str, sub_topic: str) -> bool:
        """Whether a profile shows this slot."""
        return not self.profile_strict_mode or self.slot(topic, sub_topic) is not None


PLAIN = ProfileSettings.model_construct()
"""Nothing is configured."""


class _File(ProfileSettings):
    """The same, of a file's keys alone."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


@cache
def configured(file: Path | None) -> ProfileSettings:
    """What the file and the environment say; read once.

    Raises:
        ConfigInvalid: the file cannot be read, or a value is wrong; the sentence names which.
    """
    try:
        named = ProfileSettings() if file is None else _of_yaml(file.read_text(encoding="utf-8"))
        return _with(named, read_settings(ProfileSettings, {}))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigInvalid(f"ECHOIC_PROFILE_FILE cannot be read ({type(exc).__name__}).") from exc
    except SettingsError as exc:
        raise ConfigInvalid(f"The profile's settings are wrong: {exc}. Lists are JSON there.") from exc


async def read_profile(connection: Connection, file: Path | None) -> ProfileSettings:
    """What counts now: what was set over the API, before the environment and the file."""
    base, text = configured(file), await connection.fetchval(query("setting"), STORED)
    try:
        return base if not text else _with(base, parsed(text))
    except ConfigInvalid:
        log.error("profile.not_usable")  # written by another version
        return base


async def write_profile(connection: Connection, text: str) -> None:
    """Set it for every process, from now on; empty: the file and the environment count again.

    Raises:
        ConfigInvalid: it is no YAML, or a value is wrong.
    """
    if len(text) > MOST_CHARS:
        raise ConfigInvalid(f"A profile's configuration has {MOST_CHARS:,} characters at most.")
    parsed(text)
    await connection.execute(query("put_setting"), STORED, text)


@lru_cache(maxsize=8)
def parsed(text: str) -> ProfileSettings:
    """Settings of YAML; what it does not name is not set in them.

    Raises:
        ConfigInvalid: it is no YAML, or a value is wrong.
    """
    return _of_yaml(text)


def _of_yaml(text: str) -> ProfileSettings:
    found = read_yaml(text)
    given = {str(key): value for key, value in found.items() if value is not None}
    try:
        return _File(**given)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"][:4])
        raise ConfigInvalid(f"The profile's configuration: {where}: {plainly(first['msg'])}.") from exc


def read_yaml(text: str) -> dict[str, Any]:
    """The keys of a configuration, with their values.

    Without references, of which a few, nested, become more than memory holds; and no deeper than makes sense.

    Raises:
        ConfigInvalid: it is no YAML, or has no keys.
    """
    try:
        depth = 0
        for event in yaml.parse(text, _LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_DEPTH or isinstance(event, yaml.AliasEvent):
                raise yaml.YAMLError
        found = yaml.load(text, _LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise ConfigInvalid("The profile's configuration is no YAML.") from exc
    if not isinstance(found or {}, dict):
        raise ConfigInvalid("The profile's configuration is YAML, but no keys with values.")
    return found or {}


def _with(base: ProfileSettings, above: ProfileSettings) -> ProfileSettings:
    return base.model_copy(update={name: getattr(above, name) for name in above.model_fields_set})
