"""What of a long call a model is shown."""

from itertools import pairwise

from livekit.agents import llm

from echoic.agent.window import LEFT_OUT, fit
from echoic.memory.recall.prompt import estimate_tokens


def conversation(turns: int, words: int = 20) -> llm.ChatContext:
    context = llm.ChatContext.empty()
    context.add_message(role="system", content="Be kind.")
    for number in range(turns):
        context.add_message(role="user", content=f"question {number} " + "word " * words)
        context.add_message(role="assistant", content=f"answer {number} " + "word " * words)
    context.add_message(role="user", content="And now?")
    return context


def tokens(items: list[llm.ChatItem]) -> int:
    return sum(estimate_tokens(item.text_content or "") for item in items if item.type == "message")


def test_a_short_call_is_shown_whole():
    """Below the limit nothing is left out or changed."""
    context = conversation(5)
    assert fit(context.items, 10_000) == context.items


def test_a_long_call_keeps_its_instructions_and_its_end():
    """Within the limit, in order, with the last words."""
    context = conversation(100)
    shown = fit(context.items, 1_000)
    assert tokens(shown) <= 1_000 + estimate_tokens("Be kind.")
    assert shown[0] is context.items[0] and shown[-1] is context.items[-1]
    assert shown[1:] == context.items[len(context.items) - len(shown) + 1 :]


def test_the_beginning_stays_the_same_for_many_turns():
    """A provider's prefix cache holds while the prompt begins with the same messages."""
    context, firsts = conversation(100), []
    for _ in range(40):
        firsts.append(fit(context.items, 1_000)[1].id)
        context.add_message(role="assistant", content="word " * 20)
        context.add_message(role="user", content="word " * 20)
    changes = sum(before != after for before, after in pairwise(firsts))
    assert 0 < changes <= 5


def test_one_enormous_message_is_shown_by_its_ends_and_history_keeps_it():
    """100,000 characters in one turn do not fill the model's context for the rest of the call."""
    context = conversation(1)
    context.add_message(role="user", content="START " + "blah " * 20_000 + " END")
    shown = fit(context.items, 1_000)
    text = shown[-1].text_content
    assert text.startswith("START") and text.endswith("END") and LEFT_OUT in text
    assert tokens(shown) <= 1_000 + estimate_tokens("Be kind.")
    assert len(context.items[-1].text_content) > 100_000


def test_a_tool_result_is_not_shown_without_its_call():
    """Providers refuse such a history: wherever the cut falls, what is shown begins with a message."""
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="word " * 400)
    context.items.append(llm.FunctionCall(call_id="1", name="look", arguments="{}"))
    context.items.append(
        llm.FunctionCallOutput(call_id="1", name="look", output="word " * 300, is_error=False)
    )
    context.add_message(role="assistant", content="word " * 400)
    context.add_message(role="user", content="And now?")
    shown = fit(context.items, 1_000)
    assert shown[0].type == "message"
    assert shown[-1].text_content == "And now?"
