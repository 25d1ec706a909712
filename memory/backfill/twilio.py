"""What Twilio exports: messages (SMS and WhatsApp, JSON or the console's CSV), and transcripts of calls with
their sentences."""

from datetime import datetime, timedelta
from typing import Any

from echoic.memory.backfill.entries import Entries, Given, Record, Unusable
from echoic.memory.backfill.messages import conversation
from echoic.memory.backfill.values import call_of_day, find, when, whose

PREFIX = "twilio:"
DATES = ("datesent", "sentdate", "datecreated")


def is_one(record: Record) -> bool:
    """Whether this is a message or a transcript of Twilio's."""
    names = _plain(record).keys()
    return {"sid", "body", "direction"} <= names or {"sid", "sentences"} <= names


def read(record: Record, given: Given) -> Entries:
    """One message, which is joined with the others of its day, or one transcript."""
    yield from (_transcript if "sentences" in record else _message)(record, given)


def _message(record: Record, given: Given) -> Entries:
    message = _plain(record)
    inbound = str(message.get("direction", "")).lower().startswith("inbound")
    user_id = whose(message, given, numbers=("from" if inbound else "to",))
    at = when(find(message, *DATES), given)
    part = {"role": "user" if inbound else "assistant", "text": message.get("body"), "sid": message["sid"]}
    call_id = call_of_day(PREFIX, user_id, at)
    yield from conversation(user_id, given.agent_id, call_id, [part], given, at.isoformat())


def _transcript(record: Record, given: Given) -> Entries:
    """Who spoke on which channel stands beside the sentences."""
    people = {one.get("channel_participant"): one for one in find(record, "channel.participants") or ()}
    roles = {channel: str(one.get("role", "")).lower() for channel, one in people.items()}
    person = next((people[channel] for channel, role in roles.items() if role == "customer"), None)
    if person is None:
        raise Unusable("it does not say who the customer is")
    user_id = whose(person, given, ids=("user_id",), numbers=("media_participant_id",))
    began = when(find(record, "media_start_time", "date_created"), given)

    def time_of(part: Any) -> datetime | None:
        start_s = find(part, "start_time")
        return None if start_s is None else began + timedelta(seconds=float(start_s))

    parts = [{**one, "role": roles.get(one.get("media_channel"), "")} for one in record["sentences"]]
    call_id = f"{PREFIX}{record['sid']}"
    yield from conversation(user_id, given.agent_id, call_id, parts, given, began.isoformat(), time_of)


def _plain(record: Record) -> Record:
    """The same fields as the API (`date_sent`) and the console (`SentDate`) call them."""
    return {str(name).lower().replace("_", ""): value for name, value in record.items()}
