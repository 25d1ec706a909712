"""The spans of a recall: under LiveKit's, over before the first word, without words by default."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import uuid4

import pytest
from livekit.agents import Agent, telemetry
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from echoic.agent.call.telemetry import open_tracing, record_recall
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.types import Item, Recall, TierResult
from tests.agents import ScriptedLLM, text_session
from tests.web import send, web_server

DOG = Item("fact", uuid4(), "The dog is called Biscuit", datetime.now(UTC))
RECALL = Recall(
    {"recent": TierResult("empty", (), 0.2), "facts": TierResult("ok", (DOG,), 300.0)},
    "<memory>Biscuit</memory>",
    (DOG,),
    20.0,
)


class Recalls(Agent):
    """Records one recall in `llm_node`, as the agent that remembers does."""

    def __init__(self, recall: Recall, settings: MemorySettings) -> None:
        super().__init__(instructions="Be kind.")
        self._recalled, self._settings = recall, settings

    async def llm_node(self, *args: Any) -> AsyncGenerator[Any, None]:
        record_recall(
            self._recalled,
            began_ns=time.time_ns(),
            settings=self._settings,
            breakers={},
            words="What is my dog called?",
        )
        async for chunk in Agent.default.llm_node(self, *args):
            yield chunk


@pytest.fixture
def restored() -> Iterator[None]:
    """LiveKit's tracer as it was."""
    yield
    telemetry.tracer.set_provider(trace.get_tracer_provider())


async def spans_of(recall: Recall, settings: MemorySettings, *, allow_pii: bool) -> dict[str, ReadableSpan]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.set_tracer_provider(provider, allow_pii=allow_pii)
    async with text_session(ScriptedLLM("Biscuit.")) as session:
        await session.start(Recalls(recall, settings), record=False)
        await session.run(user_input="What is my dog called?")
    return {span.name: span for span in exporter.get_finished_spans()}


@pytest.mark.usefixtures("restored")
async def test_a_recall_is_a_span_under_llm_node_with_a_child_a_tier() -> None:
    """GenAI's names; each ended within its parent, and no word of anybody anywhere."""
    spans = await spans_of(RECALL, load_settings(), allow_pii=False)
    recall, facts = spans["memory.recall"], spans["memory.recall.facts"]
    assert recall.parent and recall.parent.span_id == spans["llm_node"].context.span_id
    assert facts.parent and facts.parent.span_id == recall.context.span_id
    assert recall.attributes and facts.attributes
    assert (
        recall.attributes["gen_ai.operation.name"] == "search_memory"
        and recall.attributes["echoic.memory.used"] == 1
    )
    assert facts.attributes["echoic.memory.outcome"] == "ok" and facts.attributes["echoic.memory.found"] == 1
    assert facts.attributes["echoic.memory.elapsed_ms"] == 300.0  # it began while the caller spoke
    assert (
        recall.end_time
        and recall.start_time
        and facts.end_time
        and recall.end_time - recall.start_time == 20_000_000
    )
    assert facts.end_time <= recall.end_time and spans["memory.recall.recent"].end_time < recall.end_time
    written = json.dumps([span.to_json() for span in spans.values()])
    assert "llm_node" in written and "iscuit" not in written and "my dog" not in written


@pytest.mark.usefixtures("restored")
async def test_words_are_shown_only_where_they_may_be() -> None:
    """The setting puts them into the span; LiveKit's own filter takes them out where they may not be."""
    spans = await spans_of(RECALL, load_settings(telemetry_words=True), allow_pii=True)
    attributes = spans["memory.recall"].attributes
    assert attributes and attributes["gen_ai.memory.query.text"] == "What is my dog called?"
    assert attributes["gen_ai.memory.records"] == ("The dog is called Biscuit",)
    for settings, allow_pii in ((load_settings(telemetry_words=True), False), (load_settings(), True)):
        attributes = (await spans_of(RECALL, settings, allow_pii=allow_pii))["memory.recall"].attributes
        assert attributes and not [name for name in attributes if name.startswith("gen_ai.memory")]


@pytest.mark.usefixtures("restored")
async def test_a_failed_tier_is_an_error_and_broken_telemetry_costs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault in the spans themselves is logged by its kind, and not raised into the reply."""
    failed = Recall({"facts": TierResult("failed", (), 3.0)}, elapsed_ms=4.0)
    assert not (await spans_of(failed, load_settings(), allow_pii=False))["memory.recall.facts"].status.is_ok
    record_recall(failed, began_ns="never", settings=load_settings(), breakers={})  # type: ignore[arg-type]
    assert [
        (record.message, record.error) for record in caplog.records if record.name == "echoic.telemetry"
    ] == [  # type: ignore[attr-defined]
        ("telemetry.broke", "TypeError")
    ]


@pytest.mark.usefixtures("restored")
async def test_spans_go_where_the_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole call's spans arrive at the collector when the call ends; without an address none is made."""
    bodies: list[bytes] = []

    def collect(request: BaseHTTPRequestHandler) -> None:
        bodies.append(request.rfile.read(int(request.headers["Content-Length"])))
        send(request, 200, b"")

    with web_server(collect) as address:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        send_spans = open_tracing(load_settings(), {"OTEL_EXPORTER_OTLP_ENDPOINT": address})
        async with text_session(ScriptedLLM("Biscuit.")) as session:
            await session.start(Recalls(RECALL, load_settings(telemetry_words=True)), record=False)
            await session.run(user_input="What is my dog called?")
        await send_spans()
    sent = b"".join(bodies)
    assert (
        b"memory.recall.facts" in sent
        and b"llm_node" in sent
        and b"iscuit" not in sent
        and b"my dog" not in sent
    )
    await open_tracing(load_settings(), {})()


@pytest.mark.usefixtures("restored")
async def test_a_dead_collector_holds_no_call_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a call waits for it for a moment only."""
    monkeypatch.setattr("echoic.agent.call.telemetry.PARTING_S", 0.2)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # s; of the thread that goes on trying
    send = open_tracing(load_settings(), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    record_recall(RECALL, began_ns=time.time_ns(), settings=load_settings(), breakers={})
    async with asyncio.timeout(2):
        await send()
