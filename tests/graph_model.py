"""What a perfect model answers to Graphiti's questions, for sentences of a test: for a `ScriptedModel`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from echoic.workers.graph.entity_types import DEFAULT, GraphTypes
from tests.fakes import Request


class Boat(BaseModel):
    """What floats."""


OWN_TYPES = GraphTypes(entities={"Boat": Boat})
"""For the setting that replaces the types."""


@dataclass(frozen=True)
class Said:
    """One sentence of a caller, and what it states."""

    text: str
    source: str
    relation: str
    target: str
    fact: str
    kind: str = "Place"
    """Entity type of the target."""
    valid_at: str | None = None
    ends: str = ""
    """A known fact with these words is no longer true."""


class GraphitiAnswers:
    """Call it with a chat request."""

    def __init__(self, said: Sequence[Said]) -> None:
        self._said = said

    def __call__(self, request: Request) -> dict[str, Any]:
        asked = str(request["messages"][-1]["content"])
        return getattr(self, f"_{request['response_format']['json_schema']['name']}")(asked)

    def _heard(self, asked: str) -> list[Said]:
        message = _between(asked, "CURRENT MESSAGE") or _between(asked, "CURRENT_MESSAGE")
        return [one for one in self._said if one.text in message]

    def _ExtractedEntities(self, asked: str) -> dict[str, Any]:
        kinds = ["Entity", *DEFAULT.entities]
        found = (
            {"Caller": "Person"}
            | {one.target: one.kind for one in self._heard(asked)}
            | {one.source: "Person" for one in self._heard(asked)}
        )
        return {
            "extracted_entities": [
                {"name": name, "entity_type_id": kinds.index(kind), "episode_indices": [0]}
                for name, kind in found.items()
            ]
        }

    def _NodeResolutions(self, asked: str) -> dict[str, Any]:
        new, known = json.loads(_between(asked, "ENTITIES")), json.loads(_between(asked, "EXISTING ENTITIES"))
        ids = {one["name"]: one["candidate_id"] for one in known}
        return {
            "entity_resolutions": [
                {"id": one["id"], "name": one["name"], "duplicate_candidate_id": ids.get(one["name"], -1)}
                for one in new
            ]
        }

    def _ExtractedEdges(self, asked: str) -> dict[str, Any]:
        edges = [
            {
                "source_entity_name": one.source,
                "target_entity_name": one.target,
                "relation_type": one.relation,
                "fact": one.fact,
                "valid_at": one.valid_at,
                "invalid_at": None,
                "episode_indices": [0],
            }
            for one in self._heard(asked)
        ]
        return {"edges": edges}

    def _EdgeDuplicate(self, asked: str) -> dict[str, Any]:
        fact = _between(asked, "NEW FACT")
        ends = next((one.ends for one in self._said if one.fact == fact), "")
        known = re.findall(
            r"'idx': (\d+), 'fact': (['\"])(.*?)\2\}",
            _between(asked, "EXISTING FACTS") + _between(asked, "FACT INVALIDATION CANDIDATES"),
        )
        return {
            "duplicate_facts": [],
            "contradicted_facts": [
                int(number) for number, _, text in known if ends and ends in text and text != fact
            ],
        }

    def _SummarizedEntities(self, asked: str) -> dict[str, Any]:
        return {"summaries": []}


def _between(text: str, tag: str) -> str:
    match = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return match[1].strip() if match else ""
