"""A chat program with characters: its database's trigger tells each message, its server asks what is known.

One memory for each pair of a person and a character: the character is the agent.
"""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from echoic.api.access.guard import Gate, Mind, Reads, UserId, Writes, sent_key
from echoic.api.channels.signatures import check_signature
from echoic.api.channels.storing import Written, store
from echoic.api.problems import of_invalid
from echoic.api.schemas.common import AgentId, Said
from echoic.api.schemas.facts import Moment
from echoic.api.schemas.recall import ItemAnswer
from echoic.memory.direct import OpenMemory
from echoic.memory.identity.ids import check_user_id
from echoic.memory.review import people
from echoic.memory.review.context import SEARCH_S
from echoic.memory.service import Memory
from echoic.memory.text.words import MOST_TEXT_CHARS, clean
from echoic.memory.types import Role

router = APIRouter(prefix="/channels/characters", include_in_schema=False)
Character = Annotated[AgentId, Path()]


def _kept(text: str) -> str:
    if not (kept := clean(text).strip()):
        raise ValueError("holds no words")
    return kept


Content = Annotated[str, Field(max_length=MOST_TEXT_CHARS), AfterValidator(_kept)]
Id = Annotated[str, Field(min_length=1, max_length=500)]


class MessageBody(BaseModel):
    """One message, as the trigger saw it; without an id it is stored each time that it is told."""

    model_config = ConfigDict(extra="ignore")

    id: Id | None = None
    role: Role = "user"
    content: Content
    created_at: Moment | None = None


class CreatedBody(BaseModel):
    """What the trigger tells: one message as `text`, or several; none asks how many wait."""

    model_config = ConfigDict(extra="ignore")

    user_id: str
    character_name: AgentId
    text: Content | None = None
    message_id: Id | None = None
    messages: Annotated[list[MessageBody], Field(max_length=100)] = Field(default_factory=list)

    def written(self, memory: Memory) -> list[Written]:
        told = [MessageBody(id=self.message_id, content=self.text)] if self.text else []
        return [
            Written(
                *(self.user_id, self.character_name, "characters"),
                *(one.id or uuid.uuid4().hex, one.role, one.content),
                one.created_at or memory.now(),
                dated=one.created_at is not None or one.id is None,
            )
            for one in (*told, *self.messages)
        ]


@router.post("/firebase/message-created")
async def message_created(request: Request, mind: Mind) -> dict[str, Any]:
    """Store what is told, and learn once a batch waits. With a key, or signed."""
    body = await request.body()
    signature = request.headers.get("x-echoic-signature")
    if signature is None:
        gate: Gate = request.app.state.gate
        access = await gate.identify(request, sent_key(request.headers))
        created = _read(body)
        await gate.allow(access, request, "write", created.user_id)
    else:
        detail = "The body is not signed with ECHOIC_API_WEBHOOK_SECRET."
        check_signature(request, request.app.state.webhook_secret, body, signature, detail)
        created = _read(body)
    await store(mind, created.written(mind))
    return await _batch(mind, created.user_id, created.character_name)


@router.post("/memory/check-batch/{user_id:id}/{character_name:id}")
async def check_batch(user_id: UserId, character_name: Character, who: Writes, mind: Mind) -> dict[str, Any]:
    """Learn now if a batch waits."""
    return await _batch(mind, user_id, character_name)


@router.get("/memory/search/{user_id:id}/{character_name:id}")
async def search(
    user_id: UserId,
    character_name: Character,
    who: Reads,
    mind: Mind,
    query: Annotated[Said, Query()],
    limit: Annotated[int, Query(ge=1, le=50)] = 5,
) -> dict[str, Any]:
    """What this character may know of this person for a question: as a block, and one by one."""
    found = await OpenMemory(mind).recall(user_id, query, scope=character_name, budget_s=SEARCH_S)
    results = [ItemAnswer.model_validate(item).model_dump(mode="json") for item in found.used[:limit]]
    return {"results": results, "context": found.block}


@router.get("/memory/stats/{user_id:id}/{character_name:id}")
async def stats(user_id: UserId, character_name: Character, who: Reads, mind: Mind) -> dict[str, Any]:
    """How much of this pair there is, and how much of it is not learned yet."""
    found = await people.pair(mind.db, user_id, character_name)
    counts = {"messages": found.turns, "unsynced": found.open_turns, "memories": found.facts}
    return {"user_id": user_id, "character_name": character_name, **counts}


@router.get("/memory/health")
async def health() -> dict[str, str]:
    """Whether this answers; `/readyz` says what does not."""
    return {"status": "ok"}


async def _batch(memory: Memory, user_id: str, character: str) -> dict[str, Any]:
    spooled = [turn for turn in await memory.spool.of_user(user_id) if turn.agent_id == character]
    waiting = (await people.pair(memory.db, user_id, character)).open_turns + len(spooled)
    triggered = waiting >= memory.settings.learn_turns
    if triggered:
        await memory.jobs.enqueue_learn(user_id, hurry=True)
    return {"unsynced": waiting, "triggered": triggered}


def _read(body: bytes) -> CreatedBody:
    try:
        created = CreatedBody.model_validate_json(body)
    except ValidationError as exc:
        raise of_invalid(exc) from None
    check_user_id(created.user_id)
    return created
