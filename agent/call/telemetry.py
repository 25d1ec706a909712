"""What a recall did, told to Prometheus and to OpenTelemetry: a span `memory.recall` under LiveKit's
`llm_node`, with a child a tier."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Mapping

from livekit.agents import telemetry
from livekit.agents.telemetry import trace_types as names
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, StatusCode

from echoic.memory.breaker import Breaker
from echoic.memory.config import MemorySettings
from echoic.memory.observe.metrics import count_recall
from echoic.memory.text.people import shown
from echoic.memory.types import Recall, TierResult

log = logging.getLogger("echoic.telemetry")
EXPORT_TO = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PARTING_S = 3.0
"""A collector that does not answer may not hold up the end of a call, whose last callbacks are cut off after
10 s."""
NS_A_MS = 1_000_000


def record_recall(
    recall: Recall,
    *,
    began_ns: int,
    settings: MemorySettings,
    breakers: Mapping[str, Breaker],
    words: str = "",
) -> None:
    """Count a recall and write its spans, begun and ended: to be called when the reply has ended, so that no
    caller waits for it.

    Never raises: what watches a reply may not cost it.

    Args:
        began_ns: when the recall began, by `time.time_ns()`.
        words: the question; a span shows it only where `ECHOIC_TELEMETRY_WORDS` allows.
    """
    try:
        count_recall(recall, budget_s=settings.recall_budget_s, breakers=breakers)
        _write_spans(recall, began_ns, words if settings.telemetry_words else "")
    except Exception as exc:
        log.error("telemetry.broke", extra={"error": type(exc).__name__})


def open_tracing(
    settings: MemorySettings, env: Mapping[str, str] = os.environ
) -> Callable[[], Coroutine[None, None, None]]:
    """Send spans, LiveKit's own with ours among them, where OpenTelemetry's variables say; nowhere if none is
    set.

    A provider that the application has installed before is kept. Spoken words and what is remembered leave
    the process only with `ECHOIC_TELEMETRY_WORDS`. To be called in each call process before the session
    starts.

    Returns:
        What to await when the call has ended: it sends what is left, for three seconds at most.
    """
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        if not any(env.get(name) for name in EXPORT_TO):
            return _nothing
        provider = TracerProvider(
            resource=Resource.create({"service.name": env.get("OTEL_SERVICE_NAME") or "echoic"})
        )
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    telemetry.set_tracer_provider(provider, allow_pii=settings.telemetry_words)
    return lambda: _send(provider)


async def _nothing() -> None:
    """Nobody is listening."""


async def _send(provider: TracerProvider) -> None:
    """In a thread that nobody waits for at exit: the exporter tries again for ten seconds, whatever limit it
    is given."""
    loop, sent = asyncio.get_running_loop(), asyncio.Event()

    def send() -> None:
        provider.force_flush()
        if not loop.is_closed():
            loop.call_soon_threadsafe(sent.set)

    threading.Thread(target=send, name="telemetry.send", daemon=True).start()
    try:
        async with asyncio.timeout(PARTING_S):
            await sent.wait()
    except TimeoutError:
        log.warning("telemetry.not_sent", extra={"after_s": PARTING_S})


def _write_spans(recall: Recall, began_ns: int, words: str) -> None:
    ended_ns = began_ns + int(recall.elapsed_ms * NS_A_MS)
    whole = telemetry.tracer.start_span(
        "memory.recall", start_time=began_ns, attributes=_searched(used=len(recall.used))
    )
    if not whole.is_recording():  # nobody listens: the spans of the tiers would cost half a millisecond
        return
    if words:
        whole.set_attribute(names.ATTR_GEN_AI_MEMORY_QUERY_TEXT, words)
        whole.set_attribute(
            names.ATTR_GEN_AI_MEMORY_RECORDS, [shown(item.text, item.about) for item in recall.used]
        )
    for tier, result in recall.tiers.items():
        _write_tier(whole, tier, result, began_ns, ended_ns)
    whole.end(ended_ns)


def _write_tier(whole: Span, tier: str, result: TierResult, began_ns: int, ended_ns: int) -> None:
    """A lookup that began while the caller spoke took longer than its recall: the span shows the part that
    the reply waited for."""
    span = telemetry.tracer.start_span(
        f"memory.recall.{tier}",
        context=trace.set_span_in_context(whole),
        start_time=began_ns,
        attributes=_searched(
            outcome=result.status, found=len(result.items), elapsed_ms=round(result.elapsed_ms, 3)
        ),
    )
    if result.status == "failed":
        span.set_status(StatusCode.ERROR)
    span.end(min(began_ns + int(result.elapsed_ms * NS_A_MS), ended_ns))


def _searched(**ours: str | float) -> dict[str, str | float]:
    """Attributes of a search of memory: the GenAI names, and `echoic.memory.*` for what they have no name
    for."""
    standard = {
        names.ATTR_GEN_AI_OPERATION_NAME: names.GenAIOperationName.SEARCH_MEMORY,
        names.ATTR_GEN_AI_PROVIDER_NAME: "echoic",
    }
    return standard | {f"echoic.memory.{name}": value for name, value in ours.items()}
