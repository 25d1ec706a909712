"""Which of a client's methods its tests have called: tests/clients/run.py puts the count into its table."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Calls:
    """Of the public methods of some classes."""

    methods: frozenset[str]
    called: set[str] = field(default_factory=set)

    @property
    def told(self) -> str:
        return f"{len(self.called)} of {len(self.methods)}"


@contextmanager
def counted(*kinds: type) -> Iterator[Calls]:
    """Calls of their methods while the block runs."""
    methods = {
        (kind, name): method
        for kind in kinds
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
    calls = Calls(frozenset(f"{kind.__name__}.{name}" for kind, name in methods))
    with pytest.MonkeyPatch.context() as patch:
        for (kind, name), method in methods.items():
            patch.setattr(kind, name, _noting(calls, f"{kind.__name__}.{name}", method))
        yield calls


def _noting(calls: Calls, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def noting(*args: Any, **options: Any) -> Any:
        calls.called.add(name)
        return method(*args, **options)

    return noting
