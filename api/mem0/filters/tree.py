"""A filter as a tree of AND, OR and NOT, and the persons whom it names.

Persons who are named are looked up, and nobody else: `{"OR": [{"user_id": …}, {"agent_id": …}]}` shows that
user's memories and the agent's own, never what another user told the same agent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from echoic.api.mem0.entities import ANY, FIELDS, KINDS, name_of, person_of
from echoic.api.mem0.faults import invalid
from echoic.api.mem0.filters import conditions
from echoic.api.mem0.filters.conditions import DATES, IDS, TEXTS, Test, every, listed, operators

MOST_DEPTH = 20
MOST_CONDITIONS = 500
MOST_PERSONS = 200
KEYS = ("AND", "OR", "NOT", *FIELDS, *DATES, "categories", "metadata", *TEXTS, *IDS)


@dataclass(slots=True)
class Filter:
    """A filter that was read."""

    test: Test = lambda one: True
    users: list[str] = field(default_factory=list)
    """Users that it names, in order."""
    others: list[str] = field(default_factory=list)
    """Persons that stand for the agents, apps and runs that it names."""
    everybody: bool = False
    """It asks for every user."""
    conditions: int = 0

    @property
    def is_empty(self) -> bool:
        """It names nobody."""
        return not (self.users or self.others or self.everybody)

    def add(self, test: Test) -> None:
        """It counts as well."""
        self.test = every([self.test, test])


def read_filter(tree: Any) -> Filter:
    """The filter that a request sent; None counts as an empty one.

    Raises:
        Problem: 400; it has an unknown key or operator, or a value that does not fit.
    """
    found = Filter()
    found.test = _read({} if tree is None else tree, found, MOST_DEPTH, positive=True)
    if len(found.users) + len(found.others) > MOST_PERSONS:
        raise invalid(f"filters: at most {MOST_PERSONS} users, agents, apps and runs are named.")
    return found


def _read(tree: Any, found: Filter, depth: int, *, positive: bool) -> Test:
    if not isinstance(tree, Mapping):
        raise invalid("filters: an object is needed.")
    found.conditions += len(tree)
    if not depth or found.conditions > MOST_CONDITIONS:
        raise invalid("filters: too many conditions, or too deep.")
    return every([_condition(str(key), value, found, depth, positive) for key, value in tree.items()])


def _condition(key: str, value: Any, found: Filter, depth: int, positive: bool) -> Test:
    if key in ("AND", "OR", "NOT"):
        return _branches(key, value, found, depth, positive and key != "NOT")
    if key in FIELDS:
        return every(
            [_entity(key, *one, found, positive) for one in operators(value, ("eq", "ne", "in"), key)]
        )
    if key in DATES:
        return conditions.date_test(key, value)
    if key == "categories":
        return conditions.category_test(value)
    if key == "metadata":
        return conditions.metadata_test(value)
    if key in TEXTS:
        return conditions.text_test(key, value)
    if key in IDS:
        return conditions.id_test(key, value)
    raise invalid(f"filters: a key is unknown; there are {', '.join(KEYS)}.")


def _branches(key: str, value: Any, found: Filter, depth: int, positive: bool) -> Test:
    branches = [value] if isinstance(value, Mapping) else value
    if not isinstance(branches, list) or not branches:
        raise invalid(f"filters: {key} is a list of conditions.")
    tests = [_read(one, found, depth - 1, positive=positive) for one in branches]
    if key == "AND":
        return every(tests)
    return lambda one: any(test(one) for test in tests) == (key == "OR")


def _entity(key: str, operator: str, wanted: Any, found: Filter, positive: bool) -> Test:
    kind = KINDS[FIELDS.index(key)]
    names = [name_of(one, key) for one in (listed(wanted, key) if operator == "in" else [wanted])]
    if positive and operator != "ne":
        if ANY in names:
            found.everybody = found.everybody or kind == "user"
        else:
            whose = found.users if kind == "user" else found.others
            whose += [one for one in (person_of(kind, name) for name in names) if one not in whose]
    return conditions.entity_test(kind, operator, set(names))
