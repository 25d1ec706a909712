"""The profile's settings as the learning model reads them: which topics and slots there are, and what events
are told apart by."""

from collections.abc import Iterator

from echoic.memory.profile.slots import ProfileSettings, Topic
from echoic.workers.evidence.operations import TOPICS, Asked

OWN_TOPICS = ("assistant", "promises")
"""Topics with a meaning of their own: they stay, whatever slots there are."""


def asked_of(profile: ProfileSettings) -> Asked:
    """What an answer may hold; without slots and tags, what it always may."""
    tags = tuple(tag.name for tag in profile.event_tags)
    if not profile.topics:
        return Asked(tags=tags)
    own = TOPICS if profile.overwrite_user_profiles is None else OWN_TOPICS
    slots = [sub.name for topic in profile.topics.values() for sub in topic.sub_topics]
    topics = tuple(dict.fromkeys([*profile.topics, *own]))
    return Asked(topics, tuple(dict.fromkeys(slots)) if profile.profile_strict_mode else (), tags)


def instructions(profile: ProfileSettings) -> str:
    """What is said of them, behind the instructions that are the same for everybody; empty without any."""
    return "\n".join(_lines(profile))


def _lines(profile: ProfileSettings) -> Iterator[str]:
    if profile.event_theme_requirement:
        yield f"What is worth writing down: {profile.event_theme_requirement}"
    if profile.topics:
        new = "" if profile.profile_strict_mode else " or a short new name of one or two words"
        yield f'"sub_topic": the slot of the topic that the fact belongs in{new}, or "". Slots:'
        for topic in profile.topics.values():
            yield from _slots(topic)
    if profile.event_tags:
        yield '"tags": what the conversation as a whole is, or "" where that cannot be told:'
        yield from (f"- {_told(tag.name, tag.description)}" for tag in profile.event_tags)


def _slots(topic: Topic) -> Iterator[str]:
    yield f"- {_told(topic.topic, topic.description)}"
    for sub in topic.sub_topics:
        known = f" When there is one already: {sub.update_description}" if sub.update_description else ""
        yield f"  - {_told(sub.name, sub.description)}{known}"


def _told(name: str, about: str) -> str:
    return f"{name}: {' '.join(about.split())}" if about else name
