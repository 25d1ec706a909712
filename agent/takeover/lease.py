"""Who has a call: one agent process at a time holds its lease in Redis, and shows by a beat that it is alive.

A lease is one short text, `<epoch> <owner> <count>`, and every change of it is one compare-and-swap: of two
who want a call one gets it, and an agent that was stopped and goes on finds that its call is another's. What
rescuers and successors must know stands beside it. No name of a room or a caller is kept (a phone number may
stand in it), only ids and a keyed hash.
"""

import hashlib
import hmac
import json
import time
from dataclasses import asdict, dataclass, field, fields, replace

import redis.asyncio as redis

from echoic.memory.errors import StoreUnavailable
from echoic.memory.store.jobs import unreachable

BEAT_S = 0.5
POLL_S = 0.25
MISSED_POLLS = 6
"""Looks that find the same beat, after which an agent counts as dead: 1.5 s, three beats.

Looks are counted and not seconds, so that a Redis that hung, or a watcher that was stopped, makes nobody else
look dead."""
ANSWER_S = 0.5  # a beat takes 1 ms; a hung Redis has no timeout of its own

RESCUE = "rescue"
"""Owner of a call for which a new agent is on its way."""
LEFT = "left"
"""Owner of a call whose worker was stopped: whoever watches sends the next agent at once."""

_BEATS, _FACTS = "echoic:{calls}:beats", "echoic:{calls}:facts"
_SWAP = """
local stands = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if not string.match(stands, '^%d+ %S+ %d+$') then stands = '' end
if stands ~= ARGV[2] then return stands end
if ARGV[3] == '' then
    redis.call('HDEL', KEYS[1], ARGV[1])
    redis.call('HDEL', KEYS[2], ARGV[1])
else
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
    if ARGV[4] ~= '' then redis.call('HSET', KEYS[2], ARGV[1], ARGV[4]) end
end
return ARGV[3]
"""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One sign of life, and the right to the call."""

    epoch: int
    """Rises with each new owner; the higher one has the call, also after Redis lost its data."""
    owner: str
    """A job's id, `RESCUE` or `LEFT`."""
    count: int = 0
    """Of the owner's beats; of a rescue, any number."""

    def __str__(self) -> str:
        return f"{self.epoch} {self.owner} {self.count}"

    @classmethod
    def parse(cls, text: str) -> "Heartbeat | None":
        """None for what is no beat: one that cannot be read keeps nobody from watching the others."""
        try:
            epoch, owner, count = text.split(" ")
            return cls(int(epoch), owner, int(count))
        except ValueError:
            return None

    @property
    def next(self) -> "Heartbeat":
        return replace(self, count=self.count + 1)

    @property
    def held(self) -> bool:
        """Whether an agent says that it has the call."""
        return self.owner not in (RESCUE, LEFT)


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """What a rescuer and the next agent must know of a call. Ids only."""

    call_id: str
    room_sid: str
    dispatch_id: str
    identity: str
    """The agent's own in the room, to remove what is left of it."""
    rescues: int = 0
    """Agents sent since one of them was steady."""
    notes: dict[str, str] = field(default_factory=dict)
    """What the agent of the call knows and the next one cannot find out: see `Lease.note`."""

    @classmethod
    def parse(cls, text: str) -> "LeaseInfo | None":
        """None for what are none; those of a newer version are read too: during an upgrade both watch."""
        known = {one.name for one in fields(cls)}
        try:
            return cls(**{name: value for name, value in json.loads(text).items() if name in known})
        except (AttributeError, RecursionError, TypeError, ValueError):
            return None


class Leases:
    """The leases of all calls.

    Every method raises StoreUnavailable when Redis does not answer in half a second.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = redis.Redis.from_url(
            redis_url,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
        )

    async def beats(self) -> dict[str, Heartbeat]:
        """The last beat of every call."""
        try:
            found: dict[str, str] = await self._redis.hgetall(_BEATS)
        except (redis.RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(unreachable(exc)) from exc
        return {name: beat for name, text in found.items() if (beat := Heartbeat.parse(text)) is not None}

    async def read(self, name: str) -> tuple[Heartbeat | None, LeaseInfo | None]:
        """One call's last beat and facts."""
        try:
            beat: str | None = await self._redis.hget(_BEATS, name)
            facts: str | None = await self._redis.hget(_FACTS, name)
        except (redis.RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(unreachable(exc)) from exc
        return Heartbeat.parse(beat or ""), LeaseInfo.parse(facts) if facts else None

    async def swap(
        self, name: str, expected: Heartbeat | None, new: Heartbeat | None, facts: LeaseInfo | None = None
    ) -> Heartbeat | None:
        """Put `new` where `expected` stands (None: nothing), and return what stands there now: another's beat
        if it was not so.

        Without an answer it may have been done all the same.
        """
        texts = [str(beat) if beat is not None else "" for beat in (expected, new)]
        text = json.dumps(asdict(facts)) if facts is not None else ""
        try:
            stands: str = await self._redis.eval(_SWAP, 2, _BEATS, _FACTS, name, *texts, text)
        except (redis.RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(unreachable(exc)) from exc
        return Heartbeat.parse(stands)

    async def close(self) -> None:
        await self._redis.aclose()


def lease_name(secret: str, room_name: str, agent_name: str) -> str:
    """What the lease of this agent's call in this room is called; it does not give the room's name away."""
    return hmac.new(secret.encode(), f"{room_name}\0{agent_name}".encode(), hashlib.sha256).hexdigest()


def first_epoch() -> int:
    """Of a call that is nobody's: later than every epoch before, for clocks that differ by less than calls
    do."""
    return int(time.time() * 1000)
