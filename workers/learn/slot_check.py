"""A second look at what goes into a slot that says what it is for: what does not fit stays a fact, outside
of the slot."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from echoic.memory.errors import ModelAnswerInvalid
from echoic.memory.profile.slots import ProfileSettings
from echoic.memory.text.people import shown
from echoic.memory.types import Fact
from echoic.workers.learn.conversation import one_line
from echoic.workers.model.chat import ChatModel, Message

SYSTEM = """\
A profile has slots. You read statements about a person, each with its slot and what that slot \
is for. Answer in JSON: "misplaced", the numbers of the statements that do not say what their slot is for. A \
statement that says it only in part, or in another language, is not misplaced."""


async def well_placed(model: ChatModel, facts: Sequence[Fact], profile: ProfileSettings) -> tuple[Fact, ...]:
    """The facts, those without their slot that a model finds do not belong there.

    Raises:
        ModelUnavailable: it does not answer.
    """
    looked_at = [fact for fact in facts if _is_checked(fact, profile)]
    if not looked_at:
        return tuple(facts)
    try:
        answer = await model.ask(_messages(looked_at, profile), "misplaced", _schema(len(looked_at)))
    except ModelAnswerInvalid:
        return tuple(facts)  # the first look stands: evidence for the fact itself was checked before
    named = answer.get("misplaced") if isinstance(answer, dict) else None
    numbers = {one for one in named if isinstance(one, int)} if isinstance(named, list) else set()
    wrong = {fact.fact_id for number, fact in enumerate(looked_at, 1) if number in numbers}
    return tuple(replace(fact, sub_topic="") if fact.fact_id in wrong else fact for fact in facts)


def _is_checked(fact: Fact, profile: ProfileSettings) -> bool:
    slot = profile.slot(fact.topic, fact.sub_topic)
    if slot is None or not slot.description:
        return False
    return profile.profile_validate_mode if slot.validate_value is None else slot.validate_value


def _messages(facts: Sequence[Fact], profile: ProfileSettings) -> list[Message]:
    told = []
    for number, fact in enumerate(facts, 1):
        slot = profile.slot(fact.topic, fact.sub_topic)
        about = slot.description if slot else ""
        place = one_line(f"slot: {fact.topic}/{fact.sub_topic} ({about})")
        told.append(f"{number}. {one_line(shown(fact.text, fact.about))}\n   {place}")
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "\n".join(told)}]


def _schema(facts: int) -> dict[str, Any]:
    numbers = {"type": "integer", "enum": list(range(1, facts + 1))}
    properties = {"misplaced": {"type": "array", "items": numbers, "maxItems": facts}}
    return {
        "type": "object",
        "properties": properties,
        "required": ["misplaced"],
        "additionalProperties": False,
    }
