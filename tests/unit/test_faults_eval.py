"""What the bench says about a slow, hung or broken part of memory, and what stands between it and us."""

import asyncio
import io
import time
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from rich.console import Console

from echoic.memory.config import LOCAL_EMBEDDING_MODEL, load_settings
from echoic.memory.embedding.embedder import LOCAL_DIMENSIONS, RemoteEmbedder
from echoic.memory.errors import ModelUnavailable
from evals.fault_between import between
from evals.fault_embedding import embedding_endpoint
from evals.faults import Case, Cell, _row, show_faults


@asynccontextmanager
async def no_fault(state):
    yield


def case(part, state):
    return Case(part, state, load_settings(), no_fault)


def test_the_rows_have_the_form_of_the_other_rows_and_say_what_was_waited():
    """One reader does for both benches; longest waits and waits per call stand beside the usual figures."""
    cell = Cell([10.0, 160.0], [9.0, 150.2], Counter(skipped=1, late=1), [8, 6], Counter({0: 1, 1: 0}))
    row = _row(case("graph", "hung"), 16, cell)
    assert {"variant", "load", "calls", "n", "p50_ms", "p95_ms", "p99_ms"} <= row.keys()
    assert (row["variant"], row["waited_a_call"]) == ("graph hung", 1)
    assert (row["max_ms"], row["recall_max_ms"]) == (160.0, 150.2)
    assert row["graph"] == {"late": 1, "skipped": 1} and row["lines"] == 7


def test_both_aims_are_told():
    """The longest recall of all states, and how often the graph was waited for in vain."""
    hung = _row(case("graph", "hung"), 1, Cell([1.0], [151.0], Counter(late=3), [8], Counter({0: 3})))
    postgres = _row(case("postgres", "hung"), 1, Cell([1.0], [9.0], Counter(ok=3), [8], Counter({0: 5})))
    out = io.StringIO()
    show_faults(
        {"rows": [hung, postgres], "budget_ms": 150, "commit": "", "hardware": ""},
        Console(file=out, width=200),
    )
    assert "Longest recall in any state: 151.0 ms" in out.getvalue() and "in vain: 3" in out.getvalue()


async def test_between_delays_halts_and_cuts(tmp_path):
    """Answers come late, or never on an open connection, or nobody is there; then all is well again."""

    async def echo(reader, writer):
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    async with (
        await asyncio.start_unix_server(echo, tmp_path / "server"),
        between(tmp_path / "server", tmp_path / "own") as passing,
    ):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "own")
        for passing.delay_s in (0.0, 0.05):
            began = time.perf_counter()
            writer.write(b"hello")
            assert await reader.read(100) == b"HELLO"
            assert time.perf_counter() - began >= passing.delay_s
        passing.halt()
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(100), 0.1)
        passing.mend()
        assert await reader.read(100) == b"HELLO"
        passing.cut()
        assert await reader.read(100) == b""
        late_reader, late_writer = await asyncio.open_unix_connection(tmp_path / "own")
        assert await late_reader.read(100) == b""
        late_writer.close()
        passing.mend()
        writer.close()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "own")
        writer.write(b"again")
        assert await reader.read(100) == b"AGAIN"
        writer.close()


async def test_the_endpoint_embeds_hangs_and_goes():
    """Each fault looks to our client as the real one would, and is over when mended."""
    async with embedding_endpoint() as endpoint:
        fields = {
            "embedding_url": endpoint.url,
            "embedding_model": LOCAL_EMBEDDING_MODEL,
            "embedding_dimensions": LOCAL_DIMENSIONS,
        }
        embedder = RemoteEmbedder(load_settings(**fields))
        assert (await embedder.embed("where is my boat?")).shape == (LOCAL_DIMENSIONS,)
        endpoint.halt()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(embedder.embed("where is my boat?"), 0.1)
        endpoint.mend()
        endpoint.cut()
        with pytest.raises(ModelUnavailable):
            await embedder.embed("where is my boat?")
        endpoint.mend()
        assert (await embedder.embed("where is my boat?")).shape == (LOCAL_DIMENSIONS,)
        await embedder.close()
