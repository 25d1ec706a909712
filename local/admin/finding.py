"""What `echoic doctor` finds out about one part."""

from dataclasses import dataclass
from typing import Literal

ANSWER_S = 5.0
"""Longest a part may take to answer."""

State = Literal["ok", "note", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One part: `broken` needs the advice, a `note` works as it is."""

    part: str
    state: State
    says: str
    advice: str = ""
