"""How far a model is trusted with memory is measured once, by a few short calls of our own (probes.toml).

`full`: it may add facts and end them. `adds`: it may add, and what it would end stays beside what is new.
`none`: too weak; what was said is kept word for word. The verdict is kept in the database by a fingerprint of
the model, its address, our prompt and the probes, so nobody's call waits for it, and another model is
measured anew.
"""

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from echoic.memory.errors import ModelAnswerInvalid
from echoic.memory.model_verdict import Grade, Verdict, keep_verdict, verdict_on
from echoic.memory.service import Memory
from echoic.memory.types import CALLER, Fact, Turn
from echoic.workers.learn.extractor import Extraction, ModelSource, VerifiedExtractor, always
from echoic.workers.learn.prompt import fingerprint
from echoic.workers.model.chat import ChatModel

Progress = Callable[[int, int], None]
"""Told how much is done, and how much there is."""

SAID_AT = datetime(2026, 3, 4, 10, tzinfo=UTC)
LEAST_FOUND = 0.6
"""Of the facts asked for: a model that finds fewer is not asked."""
_DELETE_TOOL = {
    "type": "function",
    "function": {
        "name": "delete_from_memory",
        "description": "Delete what is stored about the caller.",
        "parameters": {
            "type": "object",
            "properties": {"what": {"type": "string"}},
            "required": ["what"],
        },
    },
}


async def graded(
    memory: Memory, model: ChatModel, *, anew: bool = False, on_progress: Progress | None = None
) -> Verdict:
    """How this model fared, from the database; tried now if it never was, or `anew`.

    Raises:
        StoreUnavailable: the verdict can be neither read nor kept.
        ModelUnavailable: the model does not answer: nothing is known about it.
    """
    name, probes = await model.served_name(), _hash()
    if not anew:
        kept = await memory.db.run(lambda connection: verdict_on(connection, model.url, name))
        if kept is not None and kept.probes == probes:
            return kept
    found = await tried(model, on_progress)
    await memory.db.run(lambda connection: keep_verdict(connection, model.url, name, found))
    return found


async def tried(model: ChatModel, on_progress: Progress | None = None) -> Verdict:
    """Ask the model our probes: one call for each conversation, and one for the tool.

    What is too weak beside known facts is asked again without any, as one that only adds is.

    Raises:
        ModelUnavailable: it does not answer, so nothing is known about it.
    """
    skills = await _skills(model, "full", on_progress)
    grade = grade_of(skills)
    if grade == "none":
        skills = await _skills(model, "adds", on_progress)
        grade = "adds" if grade_of(skills) != "none" else "none"
    return Verdict(grade, skills, await _calls_tools(model), _hash())


async def _skills(model: ChatModel, grade: Grade, on_progress: Progress | None) -> dict[str, tuple[int, int]]:
    zone = ZoneInfo("UTC")
    extractor = VerifiedExtractor(ModelSource(model, zone, grade=grade), zone, grade=grade)
    right: dict[str, list[bool]] = {"answers": []}
    for number, call in enumerate(_calls()):
        if on_progress:
            on_progress(number, len(_calls()) + 1)
        known = [_fact(number, text) for number, text in enumerate(call.get("known", []))]
        try:
            found = await extractor.extract(_turns(call["turns"]), always(known))
        except ModelAnswerInvalid:
            found = None
        right["answers"].append(found is not None)
        for probe in call["probe"]:
            passed = found is not None and _is_right(probe, found, known)
            right.setdefault(probe["skill"], []).append(passed)
    return {skill: (sum(results), len(results)) for skill, results in right.items()}


def grade_of(skills: Mapping[str, tuple[int, int]]) -> Grade:
    """From what a model got right."""
    shares = {skill: passed / count for skill, (passed, count) in skills.items()}
    found = (skills["finds"][0] + skills["attributes"][0]) / (skills["finds"][1] + skills["attributes"][1])
    if min(shares["answers"], shares["finds"], found) < LEAST_FOUND:
        return "none"
    return "full" if all(share == 1 for share in shares.values()) else "adds"


async def _calls_tools(model: ChatModel) -> bool:
    asked = [
        {"role": "system", "content": "You are on the phone with a caller. You may use your tools."},
        {"role": "user", "content": "Please delete my phone number from your memory."},
    ]
    return await model.call_tool(asked, [_DELETE_TOOL]) == _DELETE_TOOL["function"]["name"]  # type: ignore[index]


def _is_right(probe: Mapping[str, Any], found: Extraction, known: Sequence[Fact]) -> bool:
    ended = {one.fact_id for one in found.endings}
    if "end" in probe:
        return known[probe["end"] - 1].fact_id in ended
    if "keep" in probe:
        return known[probe["keep"] - 1].fact_id not in ended
    words = probe.get("fact") or probe["none"]
    holding = [fact for fact in found.facts if _is_about(fact, probe) and _holds(fact.text, words, probe)]
    return bool(holding) == ("fact" in probe)


def _is_about(fact: Fact, probe: Mapping[str, Any]) -> bool:
    if "about" not in probe:
        return True
    about = fact.about or CALLER
    return probe["about"] in str(about).lower() if probe["about"] else about == CALLER


def _holds(text: str, words: Sequence[str], probe: Mapping[str, Any]) -> bool:
    return any(all(word in text.lower() for word in one) for one in (words, probe.get("also", ())) if one)


def _fact(number: int, text: str) -> Fact:
    return Fact(UUID(int=number + 1), "probe", text, "person", 0.5, "user", "probe", SAID_AT)


def _turns(lines: Sequence[str]) -> list[Turn]:
    turns = []
    for number, line in enumerate(lines):
        speaker, _, text = line.partition(": ")
        role = "user" if speaker == "caller" else "assistant"
        turns.append(Turn(UUID(int=number), "probe", "probe", "probe", number, role, text, SAID_AT))  # type: ignore[arg-type]
    return turns


@cache
def _calls() -> list[dict[str, Any]]:
    return list(tomllib.loads(_probes())["call"])


@cache
def _probes() -> str:
    return (files(__package__) / "probes.toml").read_text(encoding="utf-8")


def _hash() -> str:
    """Of all that is asked: a verdict holds for these words."""
    return hashlib.sha256((fingerprint() + _probes()).encode()).hexdigest()[:16]
