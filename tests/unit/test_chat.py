"""Requests and answers of OpenAI's protocol: where the block goes, what is heard, whatever they look like."""

import copy
import json

import pytest

from echoic.memory.chat.messages import asked_in, with_block
from echoic.memory.chat.reply import ReplyReader

USER = {"role": "user", "content": "And hers?"}
BLOCK = "<memory>\n…\n</memory>\n"
CHAT, RESPONSE = "messages", "input"
EVENTS = "text/event-stream; charset=utf-8"


def asked(*messages, field=CHAT, **more):
    return asked_in(field, {field: list(messages), **more})


@pytest.mark.parametrize(
    ("messages", "at"),
    [
        ([USER], 0),
        ([USER, {"role": "system", "content": "x"}], 0),
        ([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, USER], 2),
        ([USER, {"role": "assistant", "tool_calls": [{}]}, {"role": "tool", "content": "42"}], 0),
        ([USER, {"role": "assistant", "content": "Done."}], None),
        ([{"role": "system", "content": "x"}], None),
        ([None, 1, "x", {}, {"role": None}], None),
        ([], None),
    ],
)
def test_the_unanswered_words(messages, at):
    """A tool's result is no answer; what is no message is nobody's."""
    found = asked(*messages)
    assert (found.place if found else None) == at


@pytest.mark.parametrize(
    ("items", "at", "is_new"),
    [
        ([USER], 0, True),
        (
            [USER, {"type": "reasoning"}, {"type": "function_call"}, {"type": "function_call_output"}],
            0,
            False,
        ),
        ([USER, {"type": "message", "role": "assistant", "content": []}], None, None),
        ([{"type": "function_call_output"}], None, None),
    ],
)
def test_items_of_responses(items, at, is_new):
    found = asked(*items, field=RESPONSE)
    assert (found and found.place, found and found.is_new) == (at, is_new) or (found is None and at is None)


@pytest.mark.parametrize(
    "content",
    ["Hi", [], None, [{"type": "text", "text": "Hi"}], [{"type": "image_url", "image_url": {"url": "x"}}]],
)
@pytest.mark.parametrize("field", [CHAT, RESPONSE])
def test_the_block_stands_first_and_nothing_given_changes(content, field):
    """Whatever the content is made of; the rest of the request is the same objects."""
    body = {field: [{"role": "system", "content": "s"}, {"role": "user", "content": content}], "n": {"a": 1}}
    before = copy.deepcopy(body)
    made = with_block(body, asked_in(field, body), BLOCK)
    assert body == before and made[field][0] is body[field][0] and made["n"] is body["n"]
    told = made[field][1]["content"]
    first = told if isinstance(told, str) else told[0]["text"]
    assert first.startswith(BLOCK) and (isinstance(told, str) or told[1:] == (content or []))
    assert with_block(body, asked_in(field, body), "") == body


def test_ids_tell_places_of_a_conversation_apart():
    """The same words after another question are others; the reply has the id that it will have."""
    first = asked({"role": "user", "content": "yes"})
    assert first.item_id == asked({"role": "user", "content": " yes "}).item_id
    later = asked(
        {"role": "user", "content": "yes"},
        {"role": "assistant", "content": "Sure?"},
        {"role": "user", "content": "yes"},
    )
    assert later.item_id != first.item_id and later.previous == "yes"
    assert {first.item_id, first.reply_id("Sure?"), later.item_id} == later.context_ids
    threads = [asked_in(RESPONSE, {RESPONSE: "yes", "previous_response_id": one}) for one in ("a", "b", None)]
    assert len({one.item_id for one in threads}) == 3


def fed(data, kind=EVENTS, size=None):
    reader = ReplyReader(kind)
    for start in range(0, len(data), size or len(data) or 1):
        reader.feed(data[start : start + (size or len(data))])
    return reader.text, reader.is_complete


def chunk(delta, finish=None, index=0):
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def events(*found, end=b"\n"):
    return b"".join(b"data: " + json.dumps(one).encode() + end + end for one in found)


@pytest.mark.parametrize("size", [1, 3, 7, None])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_stream_in_pieces_of_any_size(size, end):
    """Also in the middle of a character; comments and names of events are passed by."""
    said = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Grüß"}),
        chunk({"content": " dich 🐶"}),
    ]
    data = b": ping" + end + end + b"event: x" + end + events(*said, end=end)
    assert fed(data, size=size) == ("Grüß dich 🐶", False)
    assert fed(data + events(chunk({}, "stop"), end=end), size=size) == ("Grüß dich 🐶", True)
    assert fed(data + b"data: [DONE]" + end + end, size=size) == ("Grüß dich 🐶", True)


def test_words_in_parts_are_words():
    """As models write that tell what they think first, which nobody is told."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Yes."},
    ]
    assert fed(events(chunk({"content": parts[:1]}), chunk({"content": parts[1:]}, "stop"))) == ("Yes.", True)
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": parts}}]}
    assert fed(json.dumps(whole).encode(), "application/json") == ("Yes.", True)


def test_only_the_first_answer_and_no_tools():
    data = events(
        chunk({"content": "One"}),
        chunk({"content": "Other"}, index=1),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "secret"}}]}),
        {"choices": [], "usage": {}},
    )
    assert fed(data) == ("One", False)


def test_events_of_responses():
    """Deltas as they come; the whole one once it is there."""
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "One "}
    whole = {"output": [{"type": "message", "content": [{"type": "output_text", "text": "One two."}]}]}
    assert fed(events(delta, delta | {"delta": "t"})) == ("One t", False)
    assert fed(events(delta, {"type": "response.completed", "response": whole})) == ("One two.", True)
    assert fed(events(delta, {"type": "response.failed", "response": {}})) == ("One ", False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"data: {",
        b"data: {\n\n",
        b"data: []\n\ndata: 1\n\n",
        b"\xff\xfe\x00\n\n",
        b'data: {"choices": 3}\n\n',
        b'data: {"choices": [null, {"delta": 1}, {"delta": {"content": ["x"]}}]}\n\n',
        b'data: {"type": "response.completed"}\n\n',
        b'data: {"error": {"message": "no"}}\n\n',
    ],
)
def test_what_is_no_answer_says_nothing(data):
    """And raises nothing."""
    assert fed(data)[0] == "" and fed(data, kind="application/json") == ("", False)


def test_whole_answers():
    """Words, a refusal, a transcript; null where a tool is called."""
    for message, text in (
        ({"content": "Hi"}, "Hi"),
        ({"content": None, "refusal": "No."}, "No."),
        ({"content": None, "audio": {"transcript": "Hello"}}, "Hello"),
        ({"content": None, "tool_calls": [{}]}, ""),
    ):
        answer = json.dumps({"choices": [{"index": 0, "message": message}]}).encode()
        assert fed(answer, kind="application/json", size=5) == (text, True)
