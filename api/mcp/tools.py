"""The tools, by the names and arguments that clients of Memobase and Mem0 know, and what each needs."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from echoic.api.mcp.filters import FilterWrong
from echoic.api.mcp.forgetting import forget_named, forget_one
from echoic.api.mcp.reading import profile_text, search
from echoic.api.problems import misfits
from echoic.memory.direct import OpenMemory
from echoic.memory.errors import MemoryFault
from echoic.memory.service import Memory
from echoic.memory.text.words import MOST_TEXT_CHARS, clean

SHOWN_CHARS = 100
"""Of what was saved, in the answer."""


class Refused(Exception):
    """The tool did not do it; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a tool answers: text for a model, and the same taken apart for a program."""

    text: str
    more: Mapping[str, Any] = field(default_factory=dict)


Cleaned = Annotated[str, AfterValidator(clean), StringConstraints(strip_whitespace=True)]
Words = Annotated[Cleaned, StringConstraints(min_length=1, max_length=2_000)]


class Arguments(BaseModel):
    """An argument that nobody here knows is left alone: other servers' tools of these names have more."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)


class SaveMemory(Arguments):
    text: Annotated[Cleaned, StringConstraints(min_length=1, max_length=MOST_TEXT_CHARS)]
    """What to remember, in the user's own words where they said it."""


class SearchMemories(Arguments):
    query: Words
    """What is asked, as a sentence."""
    max_length: int = Field(1_000, ge=100, le=8_000)
    """Most tokens of the answer."""
    limit: int = Field(8, ge=1, le=50)
    """Most memories that answer the query; some of the profile may follow."""
    filters: dict[str, Any] | None = None
    """`{"categories": ["pets"]}` keeps to facts of these topics, `{"agent_id": "…"}` asks as another agent;
    both may stand in one `AND` list. The user is that of this connection."""


class GetUserProfiles(Arguments):
    pass


class Forget(Arguments):
    about: Annotated[Cleaned, StringConstraints(max_length=2_000)] = ""
    """What to forget, in the user's own words, such as "my dog"."""
    memory_id: UUID | None = None
    """Or the id of one memory, as `search_memories` returns it."""


async def _save(memory: Memory, user_id: str, given: SaveMemory) -> Told:
    turn = await OpenMemory(memory).record(user_id, given.text)
    if turn is None:
        raise Refused("Nothing was saved: this person has not agreed to be remembered.")
    shown = turn.text[:SHOWN_CHARS] + ("…" if len(turn.text) > SHOWN_CHARS else "")
    return Told(f"Saved, and facts are learned from it soon: {shown}", {"id": str(turn.turn_id)})


async def _search(memory: Memory, user_id: str, given: SearchMemories) -> Told:
    text, results = await search(
        memory, user_id, given.query, given.filters, max_tokens=given.max_length, max_items=given.limit
    )
    return Told(text, {"results": results})


async def _profiles(memory: Memory, user_id: str, given: GetUserProfiles) -> Told:
    return Told(await profile_text(memory, user_id))


async def _forget(memory: Memory, user_id: str, given: Forget) -> Told:
    if bool(given.about) == (given.memory_id is not None):
        raise Refused("Name either what to forget (`about`) or one memory by its id (`memory_id`).")
    if given.memory_id is not None:
        done = await forget_one(memory, user_id, given.memory_id)
        if not done.forgotten:
            raise Refused("Nothing was forgotten: this user has no memory of this id.")
    else:
        done = await forget_named(memory, user_id, given.about)
    return Told(done.sentence, {"forgotten": done.forgotten, "candidates": done.candidates})


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool."""

    description: str
    arguments: type[Arguments]
    run: Callable[[Memory, str, Any], Awaitable[Told]]
    needs: Literal["read", "write"]
    destroys: bool = False
    walled: bool = True
    """Whether Postgres shows it one person only. What is saved may bring in what waits in the spool of
    others."""
    tells: Mapping[str, str] = field(default_factory=dict)
    """What stands beside `result` in the structured answer: names and JSON types."""


TOOLS = {
    "save_memory": Tool(
        "Save something about the user for later conversations: a fact, a preference, a plan. Returns once "
        "it is stored; facts are learned from it in the background.",
        arguments=SaveMemory,
        run=_save,
        needs="write",
        walled=False,
        tells={"id": "string"},
    ),
    "search_memories": Tool(
        "Find what is remembered about the user for a question: what answers it first, then the most "
        "important facts. Call it before answering anything that depends on who the user is.",
        arguments=SearchMemories,
        run=_search,
        needs="read",
        tells={"results": "array"},
    ),
    "get_user_profiles": Tool(
        "Everything important that is known about the user, one line each: `- topic: whose - fact`.",
        arguments=GetUserProfiles,
        run=_profiles,
        needs="read",
    ),
    "forget": Tool(
        "Forget one thing about the user for good, when they ask for it. Says what was forgotten; where "
        "several things fit it forgets none and lists them with their ids.",
        arguments=Forget,
        run=_forget,
        needs="write",
        destroys=True,
        tells={"forgotten": "array", "candidates": "array"},
    ),
}


async def run_tool(memory: Memory, user_id: str, name: str, arguments: Mapping[str, Any] | None) -> Told:
    """Run a tool for this user.

    Raises:
        Refused: there is none of this name, the arguments do not fit, memory failed, or the tool says no.
    """
    if (tool := TOOLS.get(name)) is None:
        raise Refused(f"There is no such tool; there are {', '.join(TOOLS)}.")
    try:
        given = tool.arguments.model_validate(arguments or {})
    except (ValidationError, RecursionError) as exc:
        raise Refused(f"{name} was called with arguments that do not fit: {_wrong(exc)}.") from exc
    try:
        return await tool.run(memory, user_id, given)
    except (MemoryFault, FilterWrong) as exc:
        raise Refused(str(exc)) from exc


def _wrong(exc: ValidationError | RecursionError) -> str:
    """Which argument, and what it should be; not what it was."""
    if isinstance(exc, RecursionError):
        return "they are nested too deeply"
    return "; ".join(f"`{one['at'] or 'arguments'}`: {one['problem']}" for one in misfits(exc))
