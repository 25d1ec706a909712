"""Exports of other systems, written by hand in their shapes: what is read of them, and what is refused."""

import json
from datetime import UTC, datetime

import pytest

from echoic.memory.backfill.entries import Conversation, Given, LeftOut, Refused, Statement
from echoic.memory.backfill.export_file import read_file
from echoic.memory.errors import ConfigInvalid

PHONE = "+4930901820"
GIVEN = Given("echoic", phone_user={PHONE: "phone:ana"}.get, timezone="Europe/Lisbon")
DAY = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MS = int(DAY.timestamp() * 1000)

RETELL = {
    "call_id": "call_1a2b",
    "call_type": "phone_call",
    "agent_id": "agent_7",
    "direction": "inbound",
    "from_number": PHONE,
    "to_number": "+4930901821",
    "start_timestamp": MS,
    "end_timestamp": MS + 60_000,
    "transcript": "Agent: Hello.\nUser: My dog is called Biscuit.\n",
    "transcript_object": [
        {"role": "agent", "content": "Hello.", "words": [{"word": "Hello.", "start": 0.5, "end": 1.0}]},
        {"role": "tool_call_invocation", "name": "end_call", "arguments": "{}"},
        {
            "role": "user",
            "content": "My dog is called Biscuit.",
            "words": [{"word": "My", "start": 3.25, "end": 3.5}],
        },
    ],
}
VAPI = {
    "id": "0f6a",
    "type": "inboundPhoneCall",
    "assistantId": "a-1",
    "customer": {"number": PHONE},
    "createdAt": "2026-03-01T09:00:00.000Z",
    "startedAt": "2026-03-01T09:00:00.000Z",
    "artifact": {
        "messages": [
            {"role": "system", "message": "You are helpful.", "time": MS, "secondsFromStart": 0},
            {
                "role": "bot",
                "message": "Hello.",
                "time": MS + 500,
                "endTime": MS + 900,
                "secondsFromStart": 0.5,
            },
            {"role": "user", "message": "My dog is called Biscuit.", "time": MS + 3_250.0, "duration": 900},
            {"role": "tool_calls", "message": "", "toolCalls": [], "time": MS + 4_000},
        ]
    },
}
VAPI_REPORT = {
    "message": {
        "type": "end-of-call-report",
        "call": {key: VAPI[key] for key in ("id", "customer", "startedAt")},
        "artifact": VAPI["artifact"],
    }
}
TWILIO_TRANSCRIPT = {
    "sid": "GT01",
    "media_start_time": "2026-03-01T09:00:00Z",
    "channel": {
        "participants": [
            {"channel_participant": 1, "role": "Agent", "media_participant_id": "+4930901821"},
            {"channel_participant": 2, "role": "Customer", "media_participant_id": PHONE},
        ]
    },
    "sentences": [
        {"media_channel": 1, "sentence_index": 0, "start_time": "0.5", "transcript": "Hello.", "sid": "GX1"},
        {
            "media_channel": 2,
            "sentence_index": 1,
            "start_time": "3.25",
            "transcript": "My dog is called Biscuit.",
            "sid": "GX2",
        },
    ],
}
PLAIN = {
    "user_id": "phone:ana",
    "call_id": "c-1",
    "turns": [
        {"role": "assistant", "text": "Hello.", "said_at": "2026-03-01T09:00:00.500Z"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "My dog is called Biscuit."}],
            "time": MS + 3_250,
        },
    ],
}


def read(tmp_path, content, format_="auto", name="export.json", given=GIVEN):
    file = tmp_path / name
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_file(file, format_, given)


@pytest.mark.parametrize(
    ("content", "call_id", "left_out"),
    [
        (RETELL, "retell:call_1a2b", 1),
        ({"event": "call_analyzed", "call": RETELL}, "retell:call_1a2b", 1),
        ([VAPI], "vapi:0f6a", 2),
        (VAPI_REPORT, "vapi:0f6a", 2),
        ({"transcripts": [TWILIO_TRANSCRIPT]}, "twilio:GT01", 0),
        ({"conversations": [PLAIN]}, "c-1", 0),
    ],
    ids=["retell", "retell-event", "vapi", "vapi-report", "twilio", "json"],
)
async def test_a_call_of_each_system(tmp_path, content, call_id, left_out):
    """Told apart by itself; whose it is by the number, and each utterance with its own time."""
    call, *others = read(tmp_path, content)
    assert (call.user_id, call.agent_id, call.call_id) == ("phone:ana", "echoic", call_id)
    assert [(one.role, one.text) for one in call.said] == [
        ("assistant", "Hello."),
        ("user", "My dog is called Biscuit."),
    ]
    assert [(one.said_at - DAY).total_seconds() for one in call.said] == [0.5, 3.25]
    assert sum(one.parts for one in others) == left_out and all(isinstance(one, LeftOut) for one in others)


def test_a_transcript_that_is_only_text(tmp_path):
    """Lines with who spoke; a line without goes on with the one before."""
    call = {key: RETELL[key] for key in RETELL if key != "transcript_object"}
    call["transcript"] = "Agent: Hello.\nUser: My dog\nis called Biscuit.\n"
    (found,) = read(tmp_path, call)
    assert [(one.role, one.text) for one in found.said] == [
        ("assistant", "Hello."),
        ("user", "My dog"),
        ("user", "is called Biscuit."),
    ]


def test_twilio_messages_as_the_api_and_as_the_console_export_them(tmp_path):
    """Both directions are one conversation of the day; WhatsApp's numbers are numbers."""
    sent = "Sun, 01 Mar 2026 09:00:00 +0000"
    own, theirs = "whatsapp:+4930901821", f"whatsapp:{PHONE}"
    common = {"account_sid": "AC1", "date_sent": sent, "status": "received"}
    messages = [
        {"sid": "SM1", "from": theirs, "to": own, "body": "I moved.", "direction": "inbound", **common},
        {"sid": "SM2", "from": own, "to": theirs, "body": "Noted.", "direction": "outbound-api", **common},
    ]
    (by_api,) = read(tmp_path, {"messages": messages, "page": 0, "uri": "/"})
    rows = f"From,To,Body,Status,SentDate,Sid,Direction\n{PHONE},+4930901821,I moved.,received,"
    rows += f"2026-03-01T09:00:00+00:00,SM1,inbound\n+4930901821,{PHONE},Noted.,sent,"
    rows += "2026-03-01T09:00:00+00:00,SM2,outbound-api\n"
    (by_console,) = read(tmp_path, rows, name="log.csv")
    assert by_api == by_console and [one.role for one in by_api.said] == ["user", "assistant"]
    assert by_api.user_id == "phone:ana" and by_api.call_id.startswith("twilio:2026-03-01.")


def test_rows_of_a_csv_are_conversations(tmp_path):
    """By their call, else by their day; a time without a zone is of the setting; the delimiter is told."""
    rows = (
        "\ufeffuser_id;role;text;said_at;call_id\n"
        "ana;user;My dog;2026-07-01 10:00;a\n"
        'ana;assistant;"Your ""dog"";\nyes?";2026-07-01 10:01;a\n'
        "ana;user;Yes.;2026-07-02 10:00;\n"
        "bo;system;You are helpful.;2026-07-02 10:00;\n"
    )
    first, second, nobody = read(tmp_path, rows, "csv", name="export.txt")
    assert (first.call_id, len(first.said), first.said[1].text) == ("a", 2, 'Your "dog";\nyes?')
    assert first.said[0].said_at == datetime(2026, 7, 1, 9, 0, tzinfo=UTC)
    assert second.call_id.startswith("import:2026-07-02.") and nobody == LeftOut(1)


def test_memories_of_mem0(tmp_path):
    """As `get_all` answers; with the day on which each ends."""
    memories = [
        {
            "id": "f3b1",
            "memory": "Likes tea",
            "user_id": "ana",
            "categories": ["food"],
            "metadata": None,
            "created_at": "2026-03-01T09:00:00-07:00",
            "updated_at": "2026-03-01T09:00:00-07:00",
            "expiration_date": "2026-04-01",
        },
        {"id": "f3b2", "memory": "Has a dog", "agent_id": "a", "created_at": "2026-03-01T09:00:00"},
    ]
    tea, dog = read(tmp_path, {"count": 2, "next": None, "results": memories})
    assert (tea.user_id, tea.text, tea.topic) == ("ana", "Likes tea", "food")
    assert tea.valid_until == datetime(2026, 4, 2, tzinfo=UTC) and tea.said_at.hour == 16
    assert isinstance(dog, Refused) and "names nobody" in dog.reason
    (_, dog) = read(tmp_path, memories, given=Given("echoic", "bo"))
    assert isinstance(dog, Statement) and dog.user_id == "bo"


def test_a_user_of_memobase(tmp_path):
    """Profiles and what happened are facts, chats are conversations; the API's envelope is looked into."""
    user_id = "9d5c8a55-5f0a-4d1e-8f52-0d8b4f6f1c11"
    slot = {"topic": "interest", "sub_topic": "sports"}
    profile = {"id": "p1", "content": "Plays chess", "attributes": slot, "created_at": "2026-03-01T09:00:00Z"}
    tip = "- Went to Rome [mention 2026/02/27, happened 2026/02/25] // travel\n- Has a cold\nno line of ours"
    event = {
        "id": "e1",
        "event_data": {"event_tip": tip, "profile_delta": []},
        "created_at": "2026-03-01T09:00:00Z",
    }
    blob = {
        "id": "b1",
        "blob_type": "chat",
        "blob_data": {
            "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
        },
        "created_at": "2026-03-01T09:00:00Z",
    }
    document = {"id": "b2", "blob_type": "doc", "blob_data": {"content": "Text"}, "created_at": "2026-03-01"}
    whole = {"id": user_id, "profiles": [profile], "events": [event], "blobs": [blob, document]}
    chat, chess, rome, cold, other = read(tmp_path, {"users": [whole]})
    assert (chess.user_id, chess.topic, chess.text) == (user_id, "interest/sports", "Plays chess")
    assert rome.said_at.date().isoformat() == "2026-02-27" and rome.topic == "travel"
    assert cold.text == "Has a cold" and cold.said_at == DAY
    assert isinstance(chat, Conversation) and chat.call_id == "memobase:b1" and len(chat.said) == 2
    assert isinstance(other, Refused)
    envelope = {"data": {"profiles": [profile]}, "errno": 0, "errmsg": ""}
    (alone,) = read(tmp_path, envelope, given=Given("echoic", "ana"))
    assert alone.user_id == "ana"


NOT_A_TURN = {
    "its date cannot be read": {"said_at": "32637-01-01T00:00:00Z"},
    "its date is not between 1970 and now": {"said_at": "3000-01-01T00:00:00Z"},
    "it has no date": {"said_at": None},
    "its role is unknown": {"role": "ghost"},
}


@pytest.mark.parametrize("reason", NOT_A_TURN)
def test_a_bad_turn_is_refused_with_its_reason_and_takes_no_other_along(tmp_path, reason):
    """What is refused is the record itself, so that it can be mended and imported again."""
    good = {"user_id": "ana", "role": "user", "text": "Hello.", "said_at": "2026-03-01T09:00:00Z"}
    bad = {**good, **NOT_A_TURN[reason]}
    call, refused = read(tmp_path, [bad, good])
    assert len(call.said) == 1 and refused == Refused(reason, bad)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("words", "it is no record"),
        ({"user_id": "x" * 300, "turns": []}, "its user id is none"),
        ({"user_id": "ana"}, "it holds no turns"),
        ({"user_id": "ana", "turns": 7}, "a field is not what it should be"),
        ({**RETELL, "from_number": "anonymous"}, "its number is no subscriber's"),
        ({**RETELL, "call_id": None}, "its call has no id"),
        ({**TWILIO_TRANSCRIPT, "channel": {}}, "it does not say who the customer is"),
        (
            {"id": "1", "memory": "x", "user_id": "a", "created_at": "2026-03-01", "expiration_date": "?"},
            "its expiration",
        ),
    ],
)
def test_a_bad_record_is_refused_with_its_reason(tmp_path, record, reason):
    """Whatever its form."""
    refused = [one for one in read(tmp_path, [record]) if isinstance(one, Refused)]
    assert len(refused) == 1 and refused[0].reason.startswith(reason) and refused[0].record == record


def test_a_line_that_is_no_json_is_refused_alone(tmp_path):
    """In JSON Lines, each line is its own."""
    call, refused = read(tmp_path, f"{json.dumps(PLAIN)}\n{{half a line\n\n")
    assert call.call_id == "c-1" and refused == Refused("line 2 is no JSON", "{half a line")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{'single': 'quotes'}", "no JSON: .* in line 1"),
        ("just words", "neither JSON"),
        ("", "neither JSON"),
        ("user_id,text\nana,caf\xe9".encode("latin-1"), "not UTF-8"),
        ("[" * 100_000, "nested too deep|no JSON"),
        (f'[{{"user_id": {"9" * 5_000}}}]', "thousands of digits"),
    ],
)
def test_a_file_that_is_no_export_is_one_sentence(tmp_path, content, says):
    """Nothing is taken of it."""
    with pytest.raises(ConfigInvalid, match=says):
        read(tmp_path, content)
