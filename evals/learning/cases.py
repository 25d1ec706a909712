"""Exchanges, and what should and should not come of them (evals/data/extraction/README.md)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Words = Sequence[str]
Half = Literal["open", "sealed", "all"]


@dataclass(frozen=True, slots=True)
class Case:
    """One exchange."""

    case_id: str
    kind: str
    """Whether `model` is what a perfect model answered (`right`) or a mistake (`wrong`)."""
    known: tuple[str, ...]
    turns: tuple[dict[str, Any], ...]
    model: dict[str, Any] = field(default_factory=dict)
    learn: tuple[Words, ...] = ()
    never: tuple[Words, ...] = ()
    close: tuple[Words, ...] = ()
    keep: tuple[Words, ...] = ()

    @property
    def half(self) -> Half:
        return half_of(self.case_id)


def half_of(case_id: str) -> Half:
    """`open`: prompts and thresholds are chosen on it. `sealed`: run when done."""
    return "sealed" if int(hashlib.sha256(case_id.encode()).hexdigest()[-1], 16) % 2 else "open"


def drawn(case_id: str, one_in: int) -> bool:
    """Whether it is among the n-th part that its id's hash draws: a fair sample where a model is slow."""
    return int(hashlib.sha256(case_id.encode()).hexdigest()[:8], 16) % one_in == 0


def read(path: Path) -> list[Case]:
    """The cases of a file, or of all files of a folder; a known fact is a text, or an object with `text`."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [_case(json.loads(line)) for line in lines if line.strip()]


def _case(fields: dict[str, Any]) -> Case:
    known = tuple(fact if isinstance(fact, str) else fact["text"] for fact in fields.get("known", ()))
    lists = {name: tuple(fields.get(name, ())) for name in ("learn", "never", "close", "keep")}
    kind, model = fields.get("kind", "right"), fields.get("model", {})
    return Case(str(fields["id"]), kind, known, tuple(fields["turns"]), model, **lists)
