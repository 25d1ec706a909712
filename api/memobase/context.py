"""A context for a prompt, and what an agent may bring up: the house's, as Memobase's clients read them."""

from dataclasses import dataclass, replace
from datetime import timedelta

from echoic.api.memobase import profile, project
from echoic.api.memobase.asker import About
from echoic.api.memobase.bodies import ProactiveBody
from echoic.api.memobase.frame import failed
from echoic.memory.profile import episodes
from echoic.memory.profile.context import GISTS, Shape, compile_context
from echoic.memory.profile.episodes import EpisodeFilter
from echoic.memory.profile.proactive import Proposal, proposals
from echoic.memory.profile.profile import Limits
from echoic.memory.recall.fusion import retells
from echoic.memory.review.reader import reader
from echoic.memory.service import Memory
from echoic.memory.text.people import shown
from echoic.memory.types import Caller, Item

LEAST_TOKENS, MOST_TOKENS = 8, 100_000
MOST_DAYS = 36_500
PROPOSALS = 3


@dataclass(frozen=True, slots=True)
class Knobs:
    """How a context is to be, beside which part of the profile is wanted."""

    tokens: int
    share: float
    days: int
    fill: bool
    least: float
    """With what is spoken of: how near an event must be."""
    whole_profile: bool
    """False: only what is near to what is spoken of."""
    template: str


async def compiled(about: About, limits: Limits, spoken_of: str, knobs: Knobs) -> str:
    """The context of one person; never empty.

    Raises:
        Problem: 500, the share of the profile is none.
    """
    if not 0 < knobs.share <= 1:
        raise failed(500, "profile_event_ratio is more than 0 and at most 1.")
    memory, user_id = about.memory, about.user_id
    caller, choices = await reader(memory, user_id, call_id=about.caller.call_id)
    if not choices.memory:  # nothing is recalled of them, and the frame stays
        limits, spoken_of = Limits(slots=0), ""
    elif spoken_of and not knobs.whole_profile:
        near = await profile.profiles(about, Limits(only=limits.only), spoken_of)
        limits = replace(limits, only=tuple(f"{slot.topic}/{slot.sub_topic}" for slot in near))
    language = await project.language(memory) or choices.language_code
    days = max(0, min(knobs.days, MOST_DAYS))
    tokens = max(LEAST_TOKENS, min(knobs.tokens, MOST_TOKENS))
    shape = Shape(tokens, knobs.share, days, knobs.fill, limits, "", language, knobs.template)
    shape = replace(shape, learned=True, last=choices.memory and not spoken_of)
    found = await _near(memory, caller, spoken_of, knobs.least, days) if spoken_of else []
    return (await compile_context(memory, caller, shape, found)).block


async def _near(memory: Memory, caller: Caller, text: str, least: float, days: int) -> list[Item]:
    """Gists of events, nearest first."""
    vector = (await memory.embedder.embed_batch([text]))[0]
    wanted = EpisodeFilter(caller.agent_id, memory.now() - timedelta(days=days), learned=True)
    near = await episodes.gists_near(memory.db, caller.user_id, vector, wanted, least, GISTS)
    seen = [one for one in near if one.fact.user_id in caller.ids]
    return [Item.of_fact(one.fact, "events", one.similarity or 0) for one in seen]


async def brought_up(about: About, body: ProactiveBody) -> str | None:
    """What an agent may bring up, a line for each; None: nothing that is not spoken of already.

    No model is asked whether the moment is right.
    """
    spoken = "\n".join(one.content for one in body.messages)
    found = await proposals(about.memory, await about.reader(), PROPOSALS * 2)
    lines = [_line(one) for one in found if one.fact is None or not retells(one.fact.text, spoken)]
    return "\n".join(lines[:PROPOSALS]) or None


def _line(one: Proposal) -> str:
    place = "::".join(filter(None, (one.topic, one.sub_topic)))
    said = shown(one.fact.text, one.fact.about) if one.fact else one.description
    at = f" ({one.at.date()})" if one.at else ""
    return f"- {place}: {' '.join(said.split())}{at}".rstrip(": ")
