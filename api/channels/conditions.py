"""Conditions on what is known about a record, as Dify writes them: what is not understood is refused."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Operator = Literal[
    "contains", "not contains", "start with", "end with", "is", "is not", "in", "not in",
    "empty", "not empty", "before", "after",
]  # fmt: skip
Name = Literal["kind", "role", "said_at", "day"]
"""What a record's metadata says."""

_TESTS: dict[Operator, Callable[[str, str], bool]] = {
    "contains": lambda own, wanted: wanted in own,
    "not contains": lambda own, wanted: wanted not in own,
    "start with": str.startswith,
    "end with": str.endswith,
    "is": str.__eq__,
    "is not": str.__ne__,
    "empty": lambda own, _: not own,
    "not empty": lambda own, _: bool(own),
    "before": str.__lt__,  # dates of one form, in UTC, stand in the order of their letters
    "after": str.__gt__,
}


class Condition(BaseModel):
    """One of them; of several names any may fit."""

    model_config = ConfigDict(extra="ignore")

    name: Name | Annotated[list[Name], Field(min_length=1, max_length=10)]
    comparison_operator: Operator
    value: str | Annotated[list[str], Field(max_length=100)] | None = None

    def fits(self, metadata: Mapping[str, str]) -> bool:
        names = self.name if isinstance(self.name, list) else [self.name]
        return any(self._fits(metadata[name]) for name in names)

    def _fits(self, own: str) -> bool:
        values = self.value if isinstance(self.value, list) else [self.value or ""]
        if self.comparison_operator in ("in", "not in"):
            return (own in values) == (self.comparison_operator == "in")
        return any(_TESTS[self.comparison_operator](own, one) for one in values or [""])


class Conditions(BaseModel):
    """All of them together."""

    model_config = ConfigDict(extra="ignore")

    logical_operator: Literal["and", "or"] = "and"
    conditions: Annotated[Sequence[Condition], Field(max_length=50)] = ()

    def fit(self, metadata: Mapping[str, str]) -> bool:
        fits = [one.fits(metadata) for one in self.conditions]
        return not fits or (all(fits) if self.logical_operator == "and" else any(fits))
