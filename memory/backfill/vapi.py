"""Calls as Vapi's API lists them, or as its end-of-call reports tell them."""

from echoic.memory.backfill.entries import Entries, Given, Record, Unusable
from echoic.memory.backfill.messages import conversation
from echoic.memory.backfill.values import find, whose

PREFIX = "vapi:"
REPORT = "end-of-call-report"
IDS = ("metadata.user_id", "assistantOverrides.metadata.user_id", "customer.externalId")
PARTS = ("artifact.messages", "messages", "artifact.transcript", "transcript")
OWN = {"artifact", "assistantId", "phoneCallTransport"}


def is_one(record: Record) -> bool:
    """Whether this is a call of Vapi's, or a report of one."""
    return find(record, "message.type") == REPORT or bool(OWN & record.keys())


def read(record: Record, given: Given) -> Entries:
    """One call; a report holds the call, and its words beside it."""
    if find(record, "message.type") == REPORT:
        report: Record = record["message"]
        record = {**report, **(find(report, "call") or {})}
        record |= {name: report[name] for name in ("artifact", "messages", "transcript") if name in report}
    call_id = find(record, "id")
    if call_id is None:
        raise Unusable("its call has no id")
    user_id = whose(record, given, ids=IDS, numbers=("customer.number",))
    began, parts = find(record, "startedAt", "createdAt"), find(record, *PARTS)
    yield from conversation(user_id, given.agent_id, f"{PREFIX}{call_id}", parts, given, began)
