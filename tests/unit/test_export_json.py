"""Facts and turns as `echoic memories --json` and `echoic export` print them: keys that others rely on."""

import json
from datetime import UTC, datetime
from uuid import UUID

from echoic.memory.privacy.export import fact_as_json, turn_as_json
from echoic.memory.types import Fact, Turn

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ID = UUID(int=7)


def test_a_fact_has_exactly_the_promised_keys():
    """Times are ISO with their zone, an open end is null."""
    fact = Fact(
        ID,
        "ana",
        "Lives in Porto",
        "life",
        0.8,
        "user",
        "echoic",
        NOON,
        valid_from=NOON,
        turn_ids=(ID,),
    )
    shown = json.loads(json.dumps(fact_as_json(fact)))
    keys = "id text topic importance scope said_at valid_from valid_until turn_ids"
    keys += " about evidence precision kind due names sub_topic"
    assert list(shown) == keys.split()
    assert (shown["id"], shown["turn_ids"], shown["importance"]) == (str(ID), [str(ID)], 0.8)
    assert (
        shown["said_at"] == shown["valid_from"] == "2026-11-21T12:00:00+00:00"
        and shown["valid_until"] is None
    )


def test_a_turn_has_exactly_the_promised_keys():
    """Scripts read these names: none is missing, renamed or added, and all of it is JSON."""
    turn = Turn(
        ID, "ana", "echoic", "call", 3, "assistant", "You live in", NOON, interrupted=True, state="learned"
    )
    shown = json.loads(json.dumps(turn_as_json(turn)))
    assert list(shown) == ["turn_id", "role", "text", "said_at", "interrupted", "state", "timezone"]
    assert (shown["turn_id"], shown["interrupted"], shown["state"]) == (str(ID), True, "learned")
