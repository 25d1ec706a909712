"""Whose a memory is: Mem0 knows users, agents, apps and runs, the house knows persons.

An agent, app or run that is named without a user gets a person of its own, whose id no user can have.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from echoic.api.mem0.faults import invalid
from echoic.memory.identity.ids import MAX_ID_CHARS
from echoic.memory.text.words import clean

Kind = Literal["user", "agent", "app", "run"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FIELDS = tuple(f"{kind}_id" for kind in KINDS)
BESIDE = ("org_id", "project_id", "version", "output_format")
"""Parameters that clients send with every request, and that say nothing of what is removed."""
MOST_FILTER_CHARS = 10_000
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


def names_asked(query: Mapping[str, str]) -> Names:
    """The entities of a query; the Python client writes `filters` as Python does.

    Raises:
        Problem: 400; it cannot be read, and is not taken for no filter.
    """
    return names_in(query, _plain_names(query["filters"]) if "filters" in query else None)


def names_to_forget(query: Mapping[str, str]) -> Names:
    """The same, of a deletion.

    Raises:
        Problem: 400; what stands beside the names might narrow it down, and is not passed over.
    """
    if query.keys() - {*FIELDS, *BESIDE, "filters"}:
        raise invalid(f"What is removed is named by {', '.join(FIELDS)}: by nothing else.")
    return names_asked(query)


def _plain_names(text: str) -> dict[str, Any]:
    try:
        found = ast.literal_eval(text) if len(text) <= MOST_FILTER_CHARS else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
    if not isinstance(found, dict) or not found or set(found) - set(FIELDS):
        raise invalid(f"filters: an object of {', '.join(FIELDS)}; conditions cannot be used to delete.")
    return found


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
