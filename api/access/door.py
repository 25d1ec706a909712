"""The door to a LiveKit room: a short-lived token for one call of one person with their agent."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit

import jwt
from livekit import api

from echoic.api.problems import Problem
from echoic.memory.types import RESERVED

JOIN_S = 600
"""A token is for a call that begins now; once in the room, LiveKit renews it."""
CALL_S = 6 * 3600
USER_TOKEN, AUDIENCE = "echoic.user_token", "echoic"
NEEDED = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "ECHOIC_IDENTITY_SECRET")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a browser needs to join."""

    url: str
    token: str
    room: str


@dataclass(frozen=True, slots=True)
class Door:
    """Where calls are taken, and what it takes to let somebody in."""

    url: str
    api_key: str
    api_secret: str = field(repr=False)
    identity_secret: str = field(repr=False)
    """Signs who the user is, for the agent."""
    agent_name: str = ""
    """The agent to dispatch; empty: one that takes every call."""

    @staticmethod
    def origins(env: Mapping[str, str]) -> list[str]:
        """Where a page that places calls connects to: by socket, and by HTTP when that fails."""
        parts = urlsplit(env.get("LIVEKIT_URL", ""))
        ends = ("ws", "http") if parts.scheme in ("ws", "http") else ("wss", "https")
        return [f"{scheme}://{parts.netloc}" for scheme in ends] if parts.netloc else []

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Self:
        """The door that the environment names.

        Raises:
            Problem: 503; it names none.
        """
        if missing := [name for name in NEEDED if not env.get(name)]:
            detail = f"Calls cannot be placed from here: {', '.join(missing)} must be set where the API runs."
            raise Problem(503, "no-calls", detail)
        url, key, secret, identity_secret = (env[name] for name in NEEDED)
        return cls(url, key, secret, identity_secret, env.get("LIVEKIT_AGENT_NAME", ""))

    def admit(self, user_id: str) -> Ticket:
        """A ticket to a room of its own.

        Raises:
            Problem: 422; Echoic makes ids like this one, for callers without a name.
        """
        if user_id.startswith(RESERVED):
            detail = (
                f"A name may not begin with {', '.join(RESERVED[:-1])} or {RESERVED[-1]} (these are made by "
                "Echoic, for callers who have no name): take another one."
            )
            raise Problem(422, "id-reserved", detail)
        room = f"call-{secrets.token_hex(6)}"
        claims = {"sub": user_id, "aud": AUDIENCE, "room": room, "exp": int(time.time()) + CALL_S}
        token = (
            api.AccessToken(self.api_key, self.api_secret)
            .with_identity(f"browser-{secrets.token_hex(4)}")
            .with_name(user_id)
            .with_ttl(timedelta(seconds=JOIN_S))
            .with_grants(api.VideoGrants(room_join=True, room=room))
            .with_attributes({USER_TOKEN: jwt.encode(claims, self.identity_secret, "HS256")})
        )
        if self.agent_name:
            dispatch = api.RoomAgentDispatch(agent_name=self.agent_name)
            token = token.with_room_config(api.RoomConfiguration(agents=[dispatch]))
        return Ticket(self.url, token.to_jwt(), room)
