"""Who is calling: a signed token, the dispatch, a phone line, a stable identity; else nobody in particular,
of whom nothing is kept.

The user is never taken from something that a caller can set freely: attributes and metadata count for nothing
without a signature.
"""

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import jwt
from jwt.types import Options
from livekit import rtc

from echoic.agent.config import AgentSettings
from echoic.agent.identity.timezone import zone_from
from echoic.memory.errors import ConfigInvalid
from echoic.memory.identity.ids import check_user_id
from echoic.memory.identity.phone import phone_user
from echoic.memory.types import RESERVED, Caller

log = logging.getLogger("echoic.identity")

USER_TOKEN = "echoic.user_token"
"""The participant attribute that may hold a signed user token. Whoever sets it: the signature is what
counts."""
NUMBER = "sip.phoneNumber"
AUDIENCE = "echoic"
CLOCK_SKEW_S = 30
CONSOLE_USER = "me"
"""Whoever sits at the console of `python agent.py console`: the same person as in `echoic talk`."""

How = Literal["token", "dispatch", "phone", "identity", "anonymous", "application", "awaited"]
"""`awaited`: nobody has come yet."""


@dataclass(frozen=True, slots=True)
class Identified:
    """A user, and how much is known about its being them."""

    user_id: str
    how: How
    proven: bool
    """False: a phone number, which can be forged, or nobody in particular."""
    persistent: bool
    """False: memory for this call only, and nothing is written."""
    timezone: str = ""
    """Where they are, as an IANA name; empty if nothing said so."""

    def caller(self, agent_id: str, call_id: str, otherwise: str) -> Caller:
        """The caller as memory knows them; `otherwise`: the time zone of whom nothing says where they are."""
        return Caller(self.user_id, agent_id, call_id, self.timezone or otherwise, bool(self.timezone))


class Participant(Protocol):
    """What is read of LiveKit's `RemoteParticipant`."""

    @property
    def identity(self) -> str: ...
    @property
    def kind(self) -> int: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that say whom to believe."""

    identity_secret: str = field(default="", repr=False)
    phone_key: str = field(default="", repr=False)
    phone_region: str = ""
    trust_caller_id: bool = True
    stable_identities: bool = False

    @classmethod
    def of(cls, settings: AgentSettings, phone_key: str) -> "Rules":
        """The rules of the settings; the phone key may come from elsewhere
        (`echoic.memory.identity.phone.open_phone_key`)."""
        secret = settings.identity_secret.get_secret_value()
        return cls(
            secret, phone_key, settings.phone_region, settings.trust_caller_id, settings.stable_identities
        )


class Refused(Exception):
    """What was sent does not count; the text is the reason, one constant word."""


def resolve(
    participant: Participant,
    room_name: str,
    job_metadata: str,
    rules: Rules,
    *,
    first: bool,
    borrowed: bool = False,
) -> Identified:
    """Who this participant is.

    Never raises for what a caller or a dispatch sent: it is logged without its content, and not believed.

    Args:
        job_metadata: of the dispatch, `{"user_id": …}` or `{"phone_number": …}`, with `"participant"` (an
            identity) if it is for one only.
        first: this is the first caller of the call: a dispatch that names no participant is about them.
        borrowed: the token was shown by another participant of this room before: attributes can be read by
            everyone in it.
    """
    sources: dict[How, Callable[[], str | None]] = {
        "token": lambda: user_of_token(participant, room_name, rules, borrowed=borrowed),
        "dispatch": lambda: _user_of_dispatch(participant, job_metadata, rules, first),
        "phone": lambda: _user_of_line(participant, rules),
        "identity": lambda: _user_of_identity(participant, rules),
    }
    about = job_metadata if _is_about(participant, job_metadata, first) else ""
    zone = zone_of(participant, room_name, about, rules, borrowed=borrowed)
    for how, rule in sources.items():
        if user_id := believed(how, rule):
            return Identified(user_id, how, proven=how != "phone", persistent=True, timezone=zone)
    return replace(anonymous(), timezone=zone)


def zone_of(
    participant: Participant, room_name: str, job_metadata: str, rules: Rules, *, borrowed: bool = False
) -> str:
    """Where this participant is, as an IANA name; empty if nothing says so.

    Args:
        job_metadata: of a dispatch that is about them; else empty.
    """
    try:
        claims = _claims_of(participant, room_name, rules, borrowed=borrowed)
    except Refused:
        claims = {}  # said when the user is asked for
    number = participant.attributes.get(NUMBER, "") if _is_phone(participant) else ""
    return zone_from(claims, job_metadata, participant.attributes, number, rules.phone_region)


def anonymous() -> Identified:
    """Nobody in particular, and never the same one twice."""
    return Identified(f"anonymous:{uuid.uuid4().hex}", "anonymous", proven=False, persistent=False)


def awaited() -> Identified:
    """Nobody has come yet: what is said until then belongs to whoever comes first."""
    return Identified(f"anonymous:{uuid.uuid4().hex}", "awaited", proven=False, persistent=False)


def believed(source: str, rule: Callable[[], str | None]) -> str | None:
    """The user id that a rule finds; what it refuses is logged without its content, and is none."""
    try:
        return rule()
    except Refused as exc:
        log.warning("identity.refused", extra={"source": source, "reason": str(exc)})
        return None


def user_of_token(
    participant: Participant, room_name: str, rules: Rules, *, borrowed: bool = False
) -> str | None:
    """The user whom the participant's signed token names; None if there is no token.

    Claims: `aud` "echoic", `exp`, and `sub` (a user id) or `phone_number` (the user who calls from there; it
    wins); `room` and `participant`, if there, must be this room's name and this participant's identity.

    Raises:
        Refused: the token is not to be believed.
    """
    claims = _claims_of(participant, room_name, rules, borrowed=borrowed)
    return _named(claims.get("sub"), claims.get("phone_number"), rules) if claims else None


def _claims_of(participant: Participant, room_name: str, rules: Rules, *, borrowed: bool) -> dict[str, Any]:
    """What the participant's token says; empty if they show none."""
    token = participant.attributes.get(USER_TOKEN)
    if not token:
        return {}
    claims = _claims(token, rules)
    if claims.get("room", room_name) != room_name:
        raise Refused("other_room")
    if claims.get("participant", participant.identity) != participant.identity:
        raise Refused("other_participant")
    if borrowed and "participant" not in claims:
        raise Refused("borrowed")
    return claims


def _claims(token: str, rules: Rules) -> dict[str, Any]:
    if not rules.identity_secret:
        raise Refused("no_secret")
    must: Options = {"require": ["exp", "aud"]}
    try:
        return jwt.decode(
            token,
            rules.identity_secret,
            algorithms=["HS256"],
            audience=AUDIENCE,
            leeway=CLOCK_SKEW_S,
            options=must,
        )
    except (jwt.PyJWTError, ValueError, RecursionError) as exc:
        raise Refused(type(exc).__name__) from exc


def _user_of_dispatch(participant: Participant, job_metadata: str, rules: Rules, first: bool) -> str | None:
    if not job_metadata.strip():
        return None
    try:
        about: Any = json.loads(job_metadata)
    except (ValueError, RecursionError) as exc:
        raise Refused("not_json") from exc
    if not isinstance(about, dict) or not {"user_id", "phone_number"} & about.keys():
        return None  # the application's own: none of ours
    if not _is_about(participant, job_metadata, first):
        return None
    return _named(about.get("user_id"), about.get("phone_number"), rules)


def _is_about(participant: Participant, job_metadata: str, first: bool) -> bool:
    """Whether a dispatch means this participant: by name, or else the first one."""
    try:
        about = json.loads(job_metadata)
    except (ValueError, RecursionError):
        return False
    whom = about.get("participant") if isinstance(about, dict) else None
    return first if whom is None else bool(whom == participant.identity)


def _user_of_line(participant: Participant, rules: Rules) -> str | None:
    number = participant.attributes.get(NUMBER, "")
    if not _is_phone(participant) or not number:
        # withheld, or hidden by the trunk; a caller of another kind can set what attributes they like
        return None
    return _line(number, rules) if rules.trust_caller_id else None


def _is_phone(participant: Participant) -> bool:
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP


def _user_of_identity(participant: Participant, rules: Rules) -> str | None:
    # an identity of another kind may hold a phone number, which is stored nowhere in clear
    if rules.stable_identities and participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD:
        return _usable(f"id:{participant.identity}")
    return None


def _named(user_id: object, number: object, rules: Rules) -> str:
    """The user id that a trusted source gives."""
    if number is not None:
        return _line(number, rules)
    if not isinstance(user_id, str) or user_id.startswith(RESERVED):
        raise Refused("user_id")
    return _usable(user_id)


def _line(number: object, rules: Rules) -> str:
    if not rules.phone_key:
        raise Refused("no_phone_key")
    user_id = (
        phone_user(number, key=rules.phone_key, region=rules.phone_region)
        if isinstance(number, str)
        else None
    )
    if user_id is None:
        raise Refused("no_number")
    return user_id


def _usable(user_id: str) -> str:
    try:
        check_user_id(user_id)
    except ConfigInvalid as exc:
        raise Refused("user_id") from exc
    return user_id
