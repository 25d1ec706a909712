"""Whose a memory is: Mem0 knows users, agents, apps and runs, the house knows persons.

An agent, app or run that is named without a user gets a person of its own, whose id no user can have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from echoic.api.mem0.faults import invalid
from echoic.memory.identity.ids import MAX_ID_CHARS
from echoic.memory.text.words import clean

Kind = Literal["user", "agent", "app", "run"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FIELDS = tuple(f"{kind}_id" for kind in KINDS)
ANY = "*"
"""Stands for every entity of a kind."""


@dataclass(frozen=True, slots=True)
class Names:
    """The entities that a request names for what it adds or removes."""

    user_id: str | None = None
    agent_id: str | None = None
    app_id: str | None = None
    run_id: str | None = None

    @property
    def person(self) -> str | None:
        """Under which id the house keeps it; None: nobody is named."""
        named = ((kind, getattr(self, f"{kind}_id")) for kind in KINDS)
        return next((person_of(kind, name) for kind, name in named if name), None)

    @property
    def labels(self) -> dict[str, str]:
        """What a fact or turn keeps of them beside its person and its agent."""
        own = {"app_id": self.app_id, "run_id": self.run_id}
        return {field: name for field, name in own.items() if name}


def names_in(*places: Mapping[str, Any] | None) -> Names:
    """The entities of a request, wherever in it they stand; the first place counts.

    Raises:
        Problem: 400; a name is no text.
    """
    found: dict[str, str] = {}
    for place in places:
        for field in FIELDS:
            if place and place.get(field) not in (None, "") and field not in found:
                found[field] = name_of(place[field], field)
    return Names(**found)


def name_of(value: Any, field: str) -> str:
    """A name as text; programs count their users, too.

    Raises:
        Problem: 400; it is neither text nor a number, or nothing that every store can hold.
    """
    name = "" if isinstance(value, bool) or not isinstance(value, str | int) else str(value)
    if not name.strip() or len(name) > MAX_ID_CHARS or clean(name) != name:
        raise invalid(f"{field} is 1 to {MAX_ID_CHARS} characters of text.")
    return name


def person_of(kind: Kind, name: str) -> str:
    """Under which id the house keeps what belongs to this entity alone.

    Raises:
        Problem: 400; a user who bears such an id would be somebody else, or everybody.
    """
    if name == ANY:
        raise invalid(f"`{ANY}` names nobody in particular.")
    if kind != "user":
        return f"mem0.{kind}:{name}"
    if entity_of(name)[0] != "user":
        raise invalid("A user_id may not begin like an agent, app or run of Mem0's that has no user.")
    return name


def entity_of(person: str) -> tuple[Kind, str]:
    """The other way round."""
    beginning, _, name = person.partition(":")
    kind = next((kind for kind in KINDS[1:] if beginning == f"mem0.{kind}"), None)
    return (kind, name) if kind and name else ("user", person)
