"""How far a language model is trusted, as the worker's trial found it: written there, read by all."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, get_args
from urllib.parse import urlsplit

from echoic.memory.errors import StoreUnavailable
from echoic.memory.store.database import Database
from echoic.memory.store.queries import query

Grade = Literal["full", "adds", "none"]
SENTENCES: dict[Grade, str] = {
    "full": "it learns facts, and ends what is over",
    "adds": "it learns facts but is not trusted to end old ones: both stay, the newer first",
    "none": "it is too weak to learn facts; what is said is kept, and found, word for word",
}
"""One line for each grade."""
HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a model fared."""

    grade: Grade
    skills: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """What was asked of it: how often right, out of how many."""
    tools: bool = False
    """Whether it calls a tool when it should."""
    probes: str = ""
    """Hash of what it was asked."""

    @property
    def sentence(self) -> str:
        """One line for `doctor` and `talk`."""
        return SENTENCES[self.grade]


class Reads(Protocol):
    """What is used of an asyncpg connection."""

    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> Any: ...


async def keep_verdict(connection: Reads, url: str, model: str, verdict: Verdict) -> None:
    """Keep the verdict on the model that answers at an address, in place of the one before."""
    await connection.execute(query("put_setting"), _key(url, model), json.dumps(asdict(verdict)))


async def verdict_on(connection: Reads, url: str, model: str) -> Verdict | None:
    """The verdict; None while there is none, or for what another version of us wrote."""
    stored = await connection.fetchval(query("setting"), _key(url, model))
    try:
        kept = json.loads(str(stored))
        skills = {skill: (int(right), int(of)) for skill, (right, of) in kept["skills"].items()}
        verdict = Verdict(kept["grade"], skills, bool(kept["tools"]), str(kept["probes"]))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
    return verdict if verdict.grade in get_args(Grade) else None


async def calls_tools(db: Database, url: str, model: str) -> bool:
    """Whether the trial found that it does; False while there was none, or Postgres does not say."""
    try:
        verdict = await db.run(lambda connection: verdict_on(connection, url, model))
    except StoreUnavailable:
        return False
    return verdict is not None and verdict.tools


def _key(url: str, model: str) -> str:
    """A model of this machine is the same one whatever port it got this time."""
    host = urlsplit(url).hostname or ""
    where = "here" if host in HERE else url.rstrip("/")
    return f"model:{hashlib.sha256(json.dumps([where, model]).encode()).hexdigest()[:16]}"
