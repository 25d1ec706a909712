"""Turns as a Graphiti episode: Graphiti says what it would save, and we keep that before it is saved.

Graphiti alone would save at once, and a worker killed after that would have it all thought up, and saved, a
second time. Imported by `echoic.workers.graph.graphiti_env.load` only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import pydantic
from graphiti_core import Graphiti
from graphiti_core.cross_encoder.client import CrossEncoderClient
from graphiti_core.driver.driver import GraphDriver
from graphiti_core.edges import EntityEdge, EpisodicEdge, HasEpisodeEdge, NextEpisodeEdge
from graphiti_core.graphiti import AddEpisodeResults
from graphiti_core.helpers import parse_db_date
from graphiti_core.llm_client import LLMClient
from graphiti_core.llm_client.config import LLMConfig, ModelSize
from graphiti_core.nodes import EntityNode, EpisodeType, EpisodicNode, SagaNode
from graphiti_core.prompts.extract_edges import ExtractedEdges
from graphiti_core.prompts.models import Message
from graphiti_core.utils.maintenance.edge_operations import build_episodic_edges
from graphiti_core.utils.maintenance.graph_data_operations import retrieve_episodes

from echoic.memory.errors import MemoryFault, ModelAnswerInvalid
from echoic.memory.graph.types import time_of
from echoic.memory.text.words import terms
from echoic.workers.chat_model import ChatModel, Cost
from echoic.workers.extractors.lines import Line
from echoic.workers.graph.entity_types import GraphTypes
from echoic.workers.graph.graphiti_store import GraphStore, fault_of, plain
from echoic.workers.graph.triplets import CALLER, NAMESPACE

PREVIOUS = 2
"""Episodes before this one that the model is shown; Graphiti's ten do not fit a small model."""
AT_ONCE = 4
"""Model calls of one batch at the same time."""
SOURCE = "phone call"
INSTRUCTIONS = f"""
{CALLER} is the person whose memory this is; facts are about {CALLER}'s life. \
What only the agent says is never a fact: its lines help to understand {CALLER}'s answers. \
Never extract the agent as an entity."""
_TURNS = (
    "MATCH ()-[e:RELATES_TO]->() WHERE e.group_id = $group AND e.uuid IN $ids "
    "RETURN e.uuid AS id, e.turn_ids AS turn_ids"
)
_SAGA = """
MATCH (s:Saga {uuid: $id})
RETURN s.created_at AS created_at, s.first_episode_uuid AS first,
    s.last_episode_uuid AS last, s.summary AS summary
"""


@dataclass(frozen=True, slots=True)
class Episode:
    """What is read together: the lines of one call."""

    batch_id: UUID
    group: str
    call_id: str
    said_at: datetime
    lines: Sequence[Line]
    turn_ids: Sequence[UUID]


class MeteredModel(LLMClient):
    """Our model behind Graphiti's interface: no waits or retries of its own, costs and first fault kept.

    Graphiti swallows some errors (a date that could not be asked for); a batch in which that happened must
    not pass for read. A relation without any date that a calendar knows would cost one more call, and could
    never be ended by another: it counts from when it was said.
    """

    def __init__(self, model: ChatModel, said_at: datetime, cost: Cost) -> None:
        super().__init__(LLMConfig(model=model.name or "model", small_model=model.name or "model"))
        self._model, self._said_at, self._cost = model, said_at, cost
        self.fault: MemoryFault | None = None

    async def _generate_response(
        self,
        messages: list[Message],
        response_model: type[pydantic.BaseModel] | None = None,
        max_tokens: int = 0,
        model_size: ModelSize = ModelSize.medium,
        *,
        model: str | None = None,
    ) -> dict[str, Any]:
        if self.fault is not None:
            raise self.fault
        name = response_model.__name__ if response_model is not None else "answer"
        schema = (
            strict(response_model.model_json_schema()) if response_model is not None else {"type": "object"}
        )
        asked = [{"role": message.role, "content": message.content} for message in messages]
        try:
            answer = await self._model.ask(asked, name, schema, self._cost)
            if response_model is not None:
                _checked(answer, response_model)
        except MemoryFault as exc:
            self.fault = exc
            raise
        if response_model is ExtractedEdges:
            for edge in answer["edges"]:
                self._date(edge)
        return answer

    def _date(self, edge: dict[str, Any]) -> None:
        begins, ends = time_of(edge.get("valid_at")), time_of(edge.get("invalid_at"))
        if begins is None and ends is None:
            begins = self._said_at
        edge["valid_at"], edge["invalid_at"] = begins and begins.isoformat(), ends and ends.isoformat()


class NoReranking(CrossEncoderClient):
    """Graphiti's default wants a key; adding episodes ranks nothing."""

    async def rank(self, query: str, passages: list[str]) -> list[tuple[str, float]]:
        return [(passage, 0.0) for passage in passages]


class _Thinking(Graphiti):
    """Graphiti up to the point where it would save."""

    async def retrieve_episodes(
        self, reference_time: datetime, *_: Any, group_ids: list[str] | None = None, **options: Any
    ) -> list[EpisodicNode]:
        driver = options.get("driver") or self.driver
        return await retrieve_episodes(driver, reference_time, PREVIOUS, group_ids, options.get("source"))

    async def _process_episode_data(
        self,
        episode: Any,
        nodes: list[EntityNode],
        entity_edges: list[EntityEdge],
        now: datetime,
        group_id: str,
        saga: Any = None,
        saga_previous_episode_uuid: str | None = None,
        node_episode_index_map: dict[str, list[int]] | None = None,
        clients: Any = None,
    ) -> tuple[list[EpisodicEdge], EpisodicNode]:
        episode.entity_edges = [edge.uuid for edge in entity_edges]
        return build_episodic_edges(nodes, [episode.uuid], now, node_episode_index_map), episode


async def think(
    store: GraphStore, driver: GraphDriver, model: ChatModel, types: GraphTypes, what: Episode, cost: Cost
) -> dict[str, Any]:
    """What Graphiti makes of an episode, as JSON-ready values: nodes, edges, and the episode itself.

    Among the edges are old ones that it ends.

    Raises:
        ModelUnavailable, ModelAnswerInvalid, StoreUnavailable: nothing is known; `cost` counts what was asked
            all the same.
    """
    client = MeteredModel(model, what.said_at, cost)
    graphiti = _Thinking(
        graph_driver=driver,
        llm_client=client,
        embedder=store.embedder,
        cross_encoder=NoReranking(),
        max_coroutines=AT_ONCE,
    )
    try:
        made = await graphiti.add_episode(
            name=f"{what.call_id} {what.said_at.isoformat()}",
            episode_body=_body(what.lines),
            source_description=SOURCE,
            reference_time=what.said_at,
            source=EpisodeType.message,
            group_id=what.group,
            entity_types=dict(types.entities),
            edge_types=dict(types.edges) or None,
            edge_type_map=dict(types.between) or None,
            custom_extraction_instructions=INSTRUCTIONS,
        )
        known = await _known_turns(driver, what.group, [edge.uuid for edge in made.edges])
        saga = await _saga(driver, what)
    except MemoryFault:
        raise
    except Exception as exc:
        if client.fault is not None:
            raise client.fault from exc
        raise fault_of(exc) from exc
    if client.fault is not None:
        raise client.fault
    return _kept(made, what, known) | saga


async def save(store: GraphStore, driver: GraphDriver, result: Mapping[str, Any]) -> int:
    """Enter what was made of an episode; twice is once. Returns how many relations that are."""
    nodes = [EntityNode.model_validate(one) for one in result["nodes"]]
    edges = [EntityEdge.model_validate(one) for one in result["edges"]]
    episode = EpisodicNode.model_validate(result["episode"])
    mentions = [EpisodicEdge.model_validate(one) for one in result["mentions"]]
    await store.save(driver, nodes, edges, [episode], mentions)
    saga = SagaNode.model_validate(result["saga"])
    has = _between(HasEpisodeEdge, saga.uuid, episode)
    following = _between(NextEpisodeEdge, result["after"], episode) if result["after"] else None
    await store.save_saga(driver, saga, has, following)
    return len(edges)


def strict(schema: Any) -> Any:
    """A schema as strict structured output wants it: every field required, none beside them, no defaults."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: strict(value) for key, value in schema.items() if key != "default" or isinstance(value, dict)
    }
    if "properties" in found:
        found |= {"required": list(found["properties"]), "additionalProperties": False}
    return found


def _checked(answer: dict[str, Any], response_model: type[pydantic.BaseModel]) -> None:
    try:
        response_model.model_validate(answer)
    except pydantic.ValidationError as exc:
        raise ModelAnswerInvalid("The language model did not answer in Graphiti's form.") from exc


def _body(lines: Sequence[Line]) -> str:
    shown: list[str] = []
    for line in lines:
        if line.before:
            shown.append(f"agent: {line.before}")
        shown.append(f"{CALLER}: {line.text}")
    return "\n".join(shown)


def _kept(made: AddEpisodeResults, what: Episode, known: Mapping[str, list[str]]) -> dict[str, Any]:
    """The episode gets its batch's id, so that the ledger knows its turns; each relation its own turns."""
    thought, own = made.episode.uuid, str(what.batch_id)
    made.episode.uuid = own
    edges: dict[str, EntityEdge] = {}
    for edge in made.edges:  # one that is both repeated and ended comes twice; the ended one comes last
        before = edges[edge.uuid].episodes if edge.uuid in edges else []
        edge.episodes = list(
            dict.fromkeys(own if one == thought else one for one in (*before, *edge.episodes))
        )
        said = _saying(edge.fact, what.lines) if own in edge.episodes else []
        edge.attributes = plain(edge.attributes) | {
            "turn_ids": list(dict.fromkeys([*known.get(edge.uuid, ()), *said]))
        }
        edges[edge.uuid] = edge
    for node in made.nodes:
        node.attributes = plain(node.attributes)
    for mention in made.episodic_edges:
        mention.source_node_uuid = own
    nodes = {node.uuid: node for node in made.nodes}
    return {
        "episode": json.loads(made.episode.model_dump_json()),
        "nodes": [json.loads(node.model_dump_json(exclude={"name_embedding"})) for node in nodes.values()],
        "edges": [json.loads(edge.model_dump_json(exclude={"fact_embedding"})) for edge in edges.values()],
        "mentions": [json.loads(mention.model_dump_json()) for mention in made.episodic_edges],
        "turn_ids": [str(turn_id) for turn_id in what.turn_ids],
    }


def _saying(fact: str, lines: Sequence[Line]) -> list[str]:
    """The turns that share most words with a relation; all of them if none shares any."""
    words = set(terms(fact))
    shared = [len(words & set(terms(line.text))) for line in lines]
    return [str(line.turn.turn_id) for line, count in zip(lines, shared, strict=True) if count == max(shared)]


async def _known_turns(driver: GraphDriver, group: str, edges: Sequence[str]) -> dict[str, list[str]]:
    """The turns of relations that are in the graph already: Graphiti drops what it does not know."""
    rows, *_ = await driver.execute_query(_TURNS, group=group, ids=list(edges))
    return {row["id"]: row["turn_ids"] or [] for row in rows}


async def _saga(driver: GraphDriver, what: Episode) -> dict[str, Any]:
    """The call as it will be after this episode, and the episode before."""
    own, saga_id = str(what.batch_id), str(uuid5(NAMESPACE, f"{what.group}:saga:{what.call_id}"))
    saga = SagaNode(
        uuid=saga_id, name=what.call_id, group_id=what.group, created_at=what.said_at, first_episode_uuid=own
    )
    rows, *_ = await driver.execute_query(_SAGA, id=saga_id)
    after = None
    for row in rows:
        saga.created_at = parse_db_date(row["created_at"]) or what.said_at
        saga.first_episode_uuid, saga.summary, after = row["first"] or own, row["summary"] or "", row["last"]
    saga.last_episode_uuid = own
    return {"saga": json.loads(saga.model_dump_json()), "after": after}


def _between(kind: Any, source: str, episode: EpisodicNode) -> Any:
    edge_id = str(uuid5(NAMESPACE, f"{kind.__name__}:{source}:{episode.uuid}"))
    ends = {"source_node_uuid": source, "target_node_uuid": episode.uuid}
    return kind(uuid=edge_id, group_id=episode.group_id, created_at=episode.created_at, **ends)
