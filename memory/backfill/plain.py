"""Our own form, as JSON or CSV: conversations with their turns, or a row for each turn."""

from echoic.memory.backfill.entries import Conversation, Entries, Given, Record, Unusable
from echoic.memory.backfill.messages import TIMES, conversation
from echoic.memory.backfill.values import call_of_day, find, whose
from echoic.memory.errors import ConfigInvalid
from echoic.memory.identity.ids import check_agent_id

USER_IDS = ("user_id", "user", "metadata.user_id", "customer_id")
NUMBERS = ("phone_number", "phone", "number", "from_number")
CALLS = ("call_id", "conversation_id", "session_id", "thread_id", "run_id")
TURNS = ("turns", "messages")
PREFIX = "import:"


def read(record: Record, given: Given) -> Entries:
    """A conversation, or one turn of one, which is joined with the others later (`grouped`)."""
    user_id = whose(record, given, ids=USER_IDS, numbers=NUMBERS)
    agent_id = str(find(record, "agent_id") or given.agent_id)
    try:
        check_agent_id(agent_id)
    except ConfigInvalid:
        raise Unusable("its agent id is none") from None
    if "role" in record or "speaker" in record:
        call_id, parts = find(record, *CALLS), [record]
    else:
        call_id, parts = find(record, *CALLS, "id"), find(record, *TURNS, "transcript")
        if parts is None:
            raise Unusable("it holds no turns")
    for one in conversation(user_id, agent_id, str(call_id or ""), parts, given, find(record, *TIMES)):
        if isinstance(one, Conversation) and not call_id:
            named = call_of_day(PREFIX, user_id, one.said[0].said_at)
            one = Conversation(user_id, agent_id, named, one.said)
        yield one
