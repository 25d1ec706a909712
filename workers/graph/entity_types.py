"""What kinds of things callers talk about: entity and edge types for `episodes`, replaceable by a setting.

A type is a pydantic model; its docstring is what the model reads. None of ours has fields: each field would
cost one more call a thing.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from echoic.memory.errors import ConfigInvalid


class Person(BaseModel):
    """A human being: the caller, a relative, a friend, a colleague, a doctor."""


class Place(BaseModel):
    """Where somebody lives, goes or comes from: a country, city, street, building or room."""


class Organisation(BaseModel):
    """A company, school, club, hospital, authority or shop."""


class Pet(BaseModel):
    """An animal that belongs to somebody."""


class Event(BaseModel):
    """Something that happened or will happen at a time: a wedding, an operation, an appointment, \
a journey."""


class Preference(BaseModel):
    """What somebody likes, dislikes, wants or avoids: a food, a colour, a way of being spoken to."""


class Plan(BaseModel):
    """What somebody intends to do and has not done yet."""


class Thing(BaseModel):
    """A possession, a medicine, an illness, a hobby or a piece of work."""


class LivesIn(BaseModel):
    """A person lives in a place. A new home ends the one before."""


class WorksAt(BaseModel):
    """A person works for an organisation or in a job. A new employer ends the one before."""


class IsRelatedTo(BaseModel):
    """A person is a relative, partner, friend or acquaintance of another; the fact says which."""


class Owns(BaseModel):
    """A person has a pet or a thing."""


class Likes(BaseModel):
    """A person likes something, or prefers it to something else.

    A changed mind ends what was liked before.
    """


class Dislikes(BaseModel):
    """A person dislikes, avoids or does not tolerate something."""


class Plans(BaseModel):
    """A person intends to do something, or to go somewhere."""


class TookPartIn(BaseModel):
    """A person was at an event, or will be."""


Types = Mapping[str, type[BaseModel]]


@dataclass(frozen=True, slots=True)
class GraphTypes:
    """The kinds of entities and edges; `between`: which edge types join which entity types."""

    entities: Types
    edges: Types = field(default_factory=dict)
    between: Mapping[tuple[str, str], list[str]] = field(default_factory=dict)


DEFAULT = GraphTypes(
    entities={
        one.__name__: one for one in (Person, Place, Organisation, Pet, Event, Preference, Plan, Thing)
    },
    edges={
        one.__name__: one for one in (LivesIn, WorksAt, IsRelatedTo, Owns, Likes, Dislikes, Plans, TookPartIn)
    },
    between={
        ("Person", "Place"): ["LivesIn", "Plans"],
        ("Person", "Organisation"): ["WorksAt"],
        ("Person", "Person"): ["IsRelatedTo"],
        ("Person", "Pet"): ["Owns", "Likes", "Dislikes"],
        ("Person", "Thing"): ["Owns", "Likes", "Dislikes"],
        ("Person", "Preference"): ["Likes", "Dislikes"],
        ("Person", "Plan"): ["Plans"],
        ("Person", "Event"): ["TookPartIn", "Plans"],
        ("Entity", "Entity"): [],
    },
)


def types_of(setting: str) -> GraphTypes:
    """The types that `ECHOIC_GRAPH_TYPES` names, as `module:NAME`; ours when it is empty.

    Raises:
        ConfigInvalid: there is no such thing, or it is no `GraphTypes`.
    """
    if not setting:
        return DEFAULT
    module, _, name = setting.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigInvalid(
            f"ECHOIC_GRAPH_TYPES is wrong: {setting!r} cannot be imported; it is written as module:NAME."
        ) from exc
    if not isinstance(found, GraphTypes):
        raise ConfigInvalid(
            f"ECHOIC_GRAPH_TYPES is wrong: {setting!r} is not a workers.graph_types.GraphTypes."
        )
    return found
