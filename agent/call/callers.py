"""The people in one room: which of them is heard, who that is, and when it becomes another.

LiveKit links one participant to a session, and hears and answers that one alone. Where the link goes, the
memory goes along.
"""

import asyncio
import hashlib
import logging

from livekit import rtc
from livekit.agents import AgentSession

from echoic.agent.call.call import Call
from echoic.agent.identity.identity import (
    USER_TOKEN,
    Identified,
    Refused,
    Rules,
    believed,
    resolve,
    user_of_token,
    zone_of,
)
from echoic.agent.livekit_api import room_io_of

log = logging.getLogger("echoic.callers")


class Callers:
    """Made when the room is connected, before anybody is identified; follows the link from `follow` to
    `close`.

    A user token is an attribute, which everyone in the room can read. It therefore counts for the participant
    who showed it first; when two show the same one as the agent comes in, for neither. A token that names its
    participant has no such limit.

    Args:
        job_metadata: of the dispatch.
    """

    def __init__(self, room: rtc.Room, rules: Rules, job_metadata: str) -> None:
        self._room, self._rules, self._job_metadata = room, rules, job_metadata
        self._call: Call | None = None
        self._session: AgentSession | None = None
        self._first: str | None = None
        self._heard: str | None = None
        """Identity of the participant who is linked, or was last."""
        self._known: dict[str, Identified] = {}
        self._taken: dict[str, str] = {}
        """Identity -> the token it was identified by: it counts once, so that it does not undo what the
        application said later."""
        self._holders: dict[str, str | None] = {}
        """A valid token -> the identity that showed it first; None when that is not certain."""
        self._room_seen = False
        self._look_around()
        room.on("connection_state_changed", self._on_state)
        room.on("participant_connected", self._on_connected)
        room.on("participant_attributes_changed", self._on_attributes)

    def identify(self, participant: rtc.RemoteParticipant) -> Identified:
        """Who this is; the same for as long as the call lasts, unless they show a token."""
        self._look_around()
        self._first = self._first or participant.identity
        self._heard = self._heard or participant.identity
        self._note(participant)
        if (known := self._known.get(participant.identity)) is not None:
            return self._by_new_token(participant) or known
        borrowed, first = self._is_borrowed(participant), participant.identity == self._first
        found = resolve(
            participant, self._room.name, self._job_metadata, self._rules, first=first, borrowed=borrowed
        )
        if found.how == "token":
            self._taken[participant.identity] = _token_of(participant)
        self._known[participant.identity] = found
        log.info(
            "caller.identified", extra={"how": found.how, "proven": found.proven, "kept": found.persistent}
        )
        return found

    @property
    def heard(self) -> str:
        """Identity of the participant who is linked, or was last; empty before anybody was."""
        return self._heard or ""

    def follow(self, session: AgentSession, call: Call) -> None:
        """Keep `call` the call of whoever is linked to this session, which has been started in the room."""
        self._session, self._call = session, call
        room_io = room_io_of(session)
        assert room_io is not None
        link = room_io.set_participant

        def set_participant(participant_identity: str | None) -> None:
            link(participant_identity)
            self._look()

        room_io.set_participant = set_participant  # type: ignore[method-assign]  # LiveKit tells nobody that the link moved
        session.on("close", lambda _: self.close())
        self._look()

    def close(self) -> None:
        """Listen to the room no longer."""
        self._session = self._call = None
        self._room.off("connection_state_changed", self._on_state)
        self._room.off("participant_connected", self._on_connected)
        self._room.off("participant_attributes_changed", self._on_attributes)

    def _on_connected(self, participant: rtc.RemoteParticipant) -> None:
        self._note(participant)
        self._look_soon()

    def _on_state(self, _state: object) -> None:
        self._look_soon()

    def _look_soon(self) -> None:
        """Whether LiveKit links somebody is decided by another handler of the same event."""
        self._look_around()
        asyncio.get_running_loop().call_soon(self._look)

    def _on_attributes(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        if not isinstance(participant, rtc.RemoteParticipant) or USER_TOKEN not in changed:
            return
        self._note(participant)
        if participant.identity == self._heard:
            self._look_at_token(participant)

    def _look(self) -> None:
        """Has the link moved, or has its participant come back?"""
        room_io = room_io_of(self._session) if self._session is not None else None
        linked = room_io.linked_participant if room_io is not None else None
        if linked is None or self._call is None:
            return
        if linked.identity == self._heard:
            self._look_at_token(linked)
            return
        nobody_before = self._heard is None
        if self._heard is not None:
            self._known[self._heard] = self._call.identified
        self._heard = linked.identity
        self._change(self.identify(linked), same_person=nobody_before)

    def _look_at_token(self, participant: rtc.RemoteParticipant) -> None:
        """A new token: the application says who the caller is.

        Whoever was proven to be another user before is another person.
        """
        if self._call is not None and (found := self._by_new_token(participant)) is not None:
            self._change(found, same_person=not self._call.identified.proven)

    def _change(self, found: Identified, *, same_person: bool) -> None:
        call, session = self._call, self._session
        if call is None or session is None:
            return
        is_other = not same_person and found.user_id != call.identified.user_id
        call.switch_soon(found, same_person=same_person)
        if is_other:
            # an ear that hears two people as one would give the one's words to the other
            session.clear_user_turn()
            session.interrupt(force=True)  # and a reply to the one is not for the other

    def _by_new_token(self, participant: rtc.RemoteParticipant) -> Identified | None:
        token = _token_of(participant)
        if not token or self._taken.get(participant.identity) == token:
            return None
        borrowed = self._is_borrowed(participant)
        user_id = believed(
            "token", lambda: user_of_token(participant, self._room.name, self._rules, borrowed=borrowed)
        )
        if user_id is None:
            return None
        self._taken[participant.identity] = token
        zone = zone_of(participant, self._room.name, "", self._rules, borrowed=borrowed)
        found = Identified(user_id, "token", proven=True, persistent=True, timezone=zone)
        self._known[participant.identity] = found
        return found

    def _look_around(self) -> None:
        """Who is there as the agent comes in, each with the token they show."""
        if not self._room_seen and self._room.isconnected():
            self._room_seen = True
            for participant in self._room.remote_participants.values():
                self._note(participant, all_at_once=True)

    def _note(self, participant: rtc.RemoteParticipant, *, all_at_once: bool = False) -> None:
        """Remember who showed a token first; a token that does not count is not remembered, so that nobody
        can fill the list."""
        token = _token_of(participant)
        try:
            if not token or user_of_token(participant, self._room.name, self._rules) is None:
                return
        except Refused:
            return  # said when it is asked for
        holder = self._holders.setdefault(token, participant.identity)
        if all_at_once and holder != participant.identity:
            self._holders[token] = None

    def _is_borrowed(self, participant: rtc.RemoteParticipant) -> bool:
        token = _token_of(participant)
        return self._holders.get(token, participant.identity) != participant.identity


def _token_of(participant: rtc.RemoteParticipant) -> str:
    """A hash of the token that the participant shows, or nothing.

    Of what is signed alone: one signature can be spelled in several ways.
    """
    token = participant.attributes.get(USER_TOKEN, "")
    signed = token.rpartition(".")[0]
    return hashlib.sha256(signed.encode(errors="replace")).hexdigest() if token else ""
