"""Events and gists as Memobase's clients read them, and as they write over them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from echoic.api.memobase.asker import About
from echoic.api.memobase.bodies import EventBody
from echoic.api.memobase.frame import failed
from echoic.memory.profile import episodes
from echoic.memory.profile.episodes import Episode, EpisodeFilter, Gist, gist_line
from echoic.memory.profile.slots import unified
from echoic.memory.recall.prompt import estimate_tokens
from echoic.memory.text.people import shown

LISTED = timedelta(days=21)
"""How far back the list goes, as at Memobase."""
MOST = 1_000
MOST_DAYS = 36_500


async def listed(about: About, topk: int, max_tokens: int | None) -> list[dict[str, Any]]:
    """The last events, newest first, as many as fit."""
    wanted = EpisodeFilter(since=about.memory.now() - LISTED, learned=True)
    found = await episodes.episodes(about.memory.db, about.user_id, wanted, None, within(topk))
    kept, left = [], max_tokens
    for one in found:
        if left is not None:
            left -= estimate_tokens(one.summary)
            if left < 0:
                break
        kept.append(answer(one))
    return kept


async def searched(about: About, text: str, least: float, days: int, topk: int) -> list[dict[str, Any]]:
    """Events that are near to a text, nearest first."""
    vector, wanted = await _asked(about, text, days)
    args = (about.memory.db, about.user_id, vector, wanted, least, within(topk))
    return [answer(one) for one in await episodes.episodes_near(*args)]


async def gists(about: About, text: str, least: float, days: int, topk: int) -> list[dict[str, Any]]:
    """The same for gists."""
    vector, wanted = await _asked(about, text, days)
    args = (about.memory.db, about.user_id, vector, wanted, least, within(topk))
    return [_gist(one) for one in await episodes.gists_near(*args)]


async def tagged(about: About, tags: str | None, values: str | None, topk: int) -> list[dict[str, Any]]:
    """The last events with all of these tags, and with these values of tags.

    Raises:
        Problem: 400, a value has no tag.
    """
    pairs = [one.partition("=") for one in _parts(values)]
    if not all(middle and tag.strip() for tag, middle, _ in pairs):
        raise failed(400, "tag_values are pairs such as mood=glad, with commas between them.")
    exact = {unified(tag): value.strip() for tag, _, value in pairs}
    wanted = EpisodeFilter(tags=exact, tagged=[unified(tag) for tag in _parts(tags)])
    found = await episodes.episodes(about.memory.db, about.user_id, wanted, None, within(topk))
    return [answer(one) for one in found]


async def change(about: About, event_id: UUID, body: EventBody) -> None:
    """Write over what is told of an event; its gists stay.

    Raises:
        EpisodeUnknown: there is none.
    """
    delta = None
    if body.profile_delta is not None:
        delta = [one.model_dump(mode="json") for one in body.profile_delta]
    tags = None if body.event_tags is None else {unified(one.tag): one.value for one in body.event_tags}
    await episodes.change_episode(
        about.memory.db, about.user_id, event_id, summary=body.event_tip, tags=tags, delta=delta
    )


def answer(one: Episode) -> dict[str, Any]:
    """An event; without a similarity where it was not looked for."""
    added = [delta.fact for delta in one.deltas if delta.change == "added"]
    written: Sequence[Mapping[str, Any]] = [
        {
            "content": shown(fact.text, fact.about),
            "attributes": {"topic": fact.topic, "sub_topic": fact.sub_topic},
        }
        for fact in added
    ]
    data = {
        "profile_delta": written if one.own_delta is None else one.own_delta,
        "event_tip": one.summary,
        "event_tags": [{"tag": tag, "value": value} for tag, value in one.tags.items()],
    }
    return _timed(one.episode_id, "event_data", data, one.created_at, one.updated_at, one.similarity)


def within(topk: int) -> int:
    """How many are read."""
    return max(0, min(topk, MOST))


def _gist(one: Gist) -> dict[str, Any]:
    at, data = one.fact.said_at, {"content": gist_line(one.fact)}
    return _timed(one.fact.fact_id, "gist_data", data, at, at, one.similarity)


def _timed(
    found_id: UUID,
    name: str,
    data: dict[str, Any],
    created_at: Any,
    updated_at: Any,
    similarity: float | None,
) -> dict[str, Any]:
    found = {"id": found_id, name: data, "created_at": created_at, "updated_at": updated_at}
    return found if similarity is None else found | {"similarity": similarity}


async def _asked(about: About, text: str, days: int) -> tuple[Any, EpisodeFilter]:
    since = about.memory.now() - timedelta(days=max(0, min(days, MOST_DAYS)))
    vector = (await about.memory.embedder.embed_batch([text]))[0]
    return vector, EpisodeFilter(since=since, learned=True)


def _parts(text: str | None) -> list[str]:
    return [one.strip() for one in (text or "").split(",") if one.strip()]
