"""What the bench says about a graph that is on, slow, hung or down, without running it; and the delay it puts between."""

import asyncio
import io
import time
from collections import Counter

from rich.console import Console

from evals.latency_graph import Between, Cell, _row, show_graph


def test_the_rows_have_the_form_of_the_other_rows_and_say_what_was_waited():
    cell = Cell(ms=[10.0, 160.0], recall_ms=[9.0, 150.2], outcomes=Counter(skipped=1, late=1), waited=Counter({0: 1, 1: 0}))
    row = _row("hung", 16, cell)
    assert {"variant", "load", "calls", "n", "p50_ms", "p95_ms", "p99_ms"} <= row.keys()
    assert (row["variant"], row["max_ms"], row["recall_max_ms"], row["waited_a_call"]) == ("graph hung", 160.0, 150.2, 1)
    assert row["graph"] == {"late": 1, "skipped": 1}


def test_both_aims_are_told():
    report = {"rows": [_row("hung", 1, Cell([1.0], [151.0], Counter(late=3), Counter({0: 3})))], "budget_ms": 150}
    out = io.StringIO()
    show_graph(report | {"commit": "", "hardware": ""}, Console(file=out, width=200))
    assert "Longest recall in any state: 151.0 ms" in out.getvalue() and "in vain: 3" in out.getvalue()


async def test_answers_are_delayed_and_nothing_else(tmp_path):
    async def echo(reader, writer):
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    between = Between(tmp_path / "server.sock", tmp_path / "own.sock")
    async with await asyncio.start_unix_server(echo, tmp_path / "server.sock"), await asyncio.start_unix_server(between.serve, between.own):
        reader, writer = await asyncio.open_unix_connection(between.own)
        for delay_s in (0.0, 0.05):
            between.delay_s = delay_s
            began = time.perf_counter()
            writer.write(b"hello")
            assert await reader.read(100) == b"HELLO"
            assert time.perf_counter() - began >= delay_s
        writer.close()
        await between.close()
