"""How far learning is with one person, and having it hurry; their graph, at any date."""

from urllib.parse import quote

from fastapi import APIRouter, Response

from echoic.api.access.guard import Mind, Reads, UserId, Writes
from echoic.api.problems import Problem
from echoic.api.schemas.facts import When
from echoic.api.schemas.people import BatchAnswer, LearningAnswer, LearnTask
from echoic.api.schemas.system import EdgeAnswer, GraphAnswer, GraphOfAgent, NodeAnswer
from echoic.memory.review import people
from echoic.memory.review.graph import UserGraph, graphs_of
from echoic.memory.store.batches import open_turns

router = APIRouter(tags=["learning"])


@router.get("/users/{user_id:id}/learning")
async def read_learning(user_id: UserId, who: Reads, mind: Mind) -> LearningAnswer:
    """Whether something waits to be learned, or is being learned, and how the last batches ended."""
    waiting = await open_turns(mind.db, user_id)
    found = [BatchAnswer.model_validate(one) for one in await people.batches(mind.db, user_id)]
    running = any(one.state == "running" and one.kind == "learn" for one in found)
    state = "running" if running else "waiting" if waiting else "idle"
    return LearningAnswer(state=state, open_turns=waiting, batches=found)


@router.post("/users/{user_id:id}/learn", status_code=202)
async def learn_now(user_id: UserId, who: Writes, mind: Mind, response: Response) -> LearnTask:
    """Have a worker learn what was said, now rather than later; follow `learning`, or the events."""
    follow = f"/v1/users/{quote(user_id, safe='')}/learning"
    response.headers["Location"] = follow
    waiting = await open_turns(mind.db, user_id)
    queued = await mind.jobs.enqueue_learn(user_id, hurry=True)
    return LearnTask(open_turns=waiting, queued=queued, follow=follow)


@router.get("/users/{user_id:id}/graph")
async def read_graph(user_id: UserId, who: Reads, mind: Mind, at: When | None = None) -> GraphAnswer:
    """Who and what belongs to one person, as nodes and edges; `at` a date, as it was then."""
    if mind.graph is None:
        raise Problem(409, "graph-off", mind.graph_fault or "The graph is off: ECHOIC_GRAPH=on turns it on.")
    return GraphAnswer(
        at=at, graphs=[_drawn(one) for one in await graphs_of(mind.db, mind.graph, user_id, at)]
    )


def _drawn(graph: UserGraph) -> GraphOfAgent:
    """An edge goes from id to id; a relation knows its ends by name."""
    ids = {entity.name: str(entity.entity_id) for entity in graph.entities}
    nodes = [
        NodeAnswer(id=str(one.entity_id), name=one.name, labels=list(one.labels), summary=one.summary)
        for one in graph.entities
    ]
    edges = [
        EdgeAnswer(
            id=str(one.edge_id),
            source=ids.get(one.source, ""),
            target=ids.get(one.target, ""),
            name=one.name,
            text=one.text,
            valid_from=one.valid_from,
            valid_until=one.valid_until,
        )
        for one in graph.relations
    ]
    return GraphOfAgent(agent_id=graph.agent_id, nodes=nodes, edges=edges)
