"""`POST /v1/chat/completions`, `GET /v1/models`: OpenAI's protocol. A program in any language has memory by
an address and a header."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from echoic.api.access.guard import IsKnown, Mind, Speaks, id_in_header
from echoic.api.gateway.model import Model
from echoic.api.problems import MEDIA
from echoic.api.schemas.common import ProblemBody
from echoic.memory.chat.conversations import Conversations, Said, Whom
from echoic.memory.chat.messages import asked_in, with_block
from echoic.memory.chat.reply import EVENTS
from echoic.memory.errors import ConfigInvalid
from echoic.memory.identity.ids import check_agent_id

log = logging.getLogger("echoic.api")
router = APIRouter(tags=["gateway"])
AGENT = Header(alias="Echoic-Agent", description="Which agent answers; default: `ECHOIC_AGENT_ID`.")


class ChatBody(BaseModel):
    """As OpenAI has it: whatever else it holds is passed on as it is."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    messages: list[dict[str, Any]] = Field(
        min_length=1, examples=[[{"role": "user", "content": "What is my dog called?"}]]
    )
    """The conversation."""
    model: str | None = Field(None, examples=["gpt-4.1-mini"])
    """Default: the model of the settings."""


def _refusal(says: str) -> dict[str, Any]:
    return {"model": ProblemBody, "content": {MEDIA: {}}, "description": says}


AWAY: dict[int | str, dict[str, Any]] = {
    502: _refusal("The model cannot be reached"),
    504: _refusal("The model does not answer"),
}


@router.get(
    "/models",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}, **AWAY},
    response_class=Response,
)
async def list_models(who: IsKnown, request: Request) -> Response:
    """The models that a request may name, as OpenAI lists them: what programs ask first to offer a choice."""
    model: Model = request.app.state.model
    request.scope["echoic.give_back"]()
    return await model.names()


@router.post(
    "/chat/completions",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}, EVENTS: {}}}, **AWAY},
    response_class=Response,
)
async def complete_chat(
    body: ChatBody,
    who: Speaks,
    mind: Mind,
    request: Request,
    agent: Annotated[str | None, AGENT] = None,
) -> Response:
    """Ask the model of the settings, with what is remembered of the person whom the header Echoic-User names.
    Without it nobody is remembered. Answers, also refusals, are the model's own."""
    model: Model = request.app.state.model
    talk: Conversations = request.app.state.conversations
    agent_id = id_in_header(agent) if agent else ""
    if agent_id:
        check_agent_id(agent_id)
    asked_of = model.body(await request.json())
    asked = asked_in("messages", asked_of)
    said = None if who.user_id is None or asked is None else Said(Whom(who.user_id, agent_id), asked)
    if said is not None:
        asked_of = with_block(asked_of, said.asked, await _block(talk, said, mind.settings.recall_budget_s))
    request.scope["echoic.give_back"]()  # a model takes seconds: others are answered meanwhile

    def over(reply: str, is_complete: bool) -> None:
        if said is not None:
            said.reply, said.interrupted = reply.strip(), not is_complete
            talk.record_soon(said)

    return await model.answer(asked_of, over, request.is_disconnected)


async def _block(talk: Conversations, said: Said, budget_s: float) -> str:
    """Whatever is wrong with memory, the model is asked."""
    try:
        return (await talk.recall(said.whom, said.asked, budget_s=budget_s)).block
    except ConfigInvalid:  # the client's mistake
        raise
    except Exception as exc:
        log.error("gateway.not_recalled", extra={"error": type(exc).__name__})
        return ""
