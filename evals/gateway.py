"""What the gateway adds to the first token, beside the bare model: `python -m evals.gateway [--json FILE]`.

The model is a server of this machine that sends its first token at once: all that is measured is ours and the
wire's. The API and the model are processes of their own; each question is asked of both, turn by turn,
in one run, by the real `openai` client: streamed, of callers with some thousand facts in all.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from aiohttp import web
from openai import AsyncOpenAI

from echoic.api.access.keys import add_key
from echoic.local.dev.run_command import addresses
from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.service import open_memory
from evals.api import ADDRESS, QUESTIONS
from evals.bench_data import AGENT, FACTS, USERS, load
from evals.machine import commit, hardware

ASKED, WARM = 300, 20
MODEL_PROGRAM = "import asyncio; from evals.gateway import serve_model; asyncio.run(serve_model())"
WAYS = ("bare", "gateway without a person", "gateway")


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    asked: Annotated[int, typer.Option(help="Questions of each way.")] = ASKED,
) -> None:
    """Measure the gateway, and print it."""
    with TemporaryDirectory(prefix="echoic-bench-") as folder, open_stores(Path(folder) / "data") as stores:
        report = asyncio.run(measure(stores, asked))
    for name, row in report["first_token_ms"].items():
        times = "  ".join(f"{cut} {row[cut]:6.1f}" for cut in ("p50", "p95", "p99"))
        print(f"{name:28} {times} ms  n {row['n']}")
    for name, row in report["added_ms"].items():
        print(f"{name:28} adds p50 {row['p50']:.1f}, p95 {row['p95']:.1f} ms to the bare model")
    print(f"{report['facts']} facts, {report['commit']}, {report['hardware']}")
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(stores: Stores, asked: int = ASKED) -> dict[str, Any]:
    """Load, serve, ask, and return the report."""
    settings = load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )
    async with open_memory(settings) as memory:
        await load(memory)
        key, _ = await add_key(memory.db, "bench", "service")
    async with _model() as model, _gateway(settings, model) as gateway:
        took = await _asked(f"{model}/v1", f"{gateway}/v1", key, asked)
    added = {name: [a - b for a, b in zip(took[name], took["bare"], strict=True)] for name in WAYS[1:]}
    return {
        "first_token_ms": {name: _percentiles(one) for name, one in took.items()},
        "added_ms": {name: _percentiles(one) for name, one in added.items()},
        "facts": USERS * FACTS,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware(),
    }


async def serve_model() -> None:
    """A model without thought: its first token comes at once. Prints its address; ends when it is killed."""

    async def answer(http: web.Request) -> web.StreamResponse:
        await http.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        for delta, finish in (({"role": "assistant", "content": "Yes"}, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            about = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            await response.write(f"data: {json.dumps(about | {'choices': [choice]})}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


def _model() -> Any:
    return _running([sys.executable, "-c", MODEL_PROGRAM], dict(os.environ))


def _gateway(settings: MemorySettings, model: str) -> Any:
    more = {"ECHOIC_LLM_URL": f"{model}/v1", "ECHOIC_LLM_API_KEY": "key", "ECHOIC_LLM_MODEL": "m"}
    limits = {"ECHOIC_API_RATE_PER_MINUTE": "1000000", "ECHOIC_AGENT_ID": AGENT}
    command = [sys.executable, "-m", "echoic", "api", "--port", "0"]
    return _running(command, os.environ | addresses(settings) | more | limits)


@asynccontextmanager
async def _running(command: list[str], variables: dict[str, str]) -> AsyncIterator[str]:
    """The address that a server of its own prints."""
    running = await asyncio.create_subprocess_exec(*command, env=variables, stderr=asyncio.subprocess.PIPE)
    assert running.stderr is not None
    reading = None
    try:
        said = (await running.stderr.readline()).decode()
        found = ADDRESS.search(said)
        assert found, said
        reading = asyncio.create_task(running.stderr.read())  # else it stands still once the pipe is full
        yield found[0]
    finally:
        running.terminate()
        await running.wait()
        if reading is not None:
            await reading


async def _asked(model: str, gateway: str, key: str, asked: int) -> dict[str, list[float]]:
    """Milliseconds to the first word, each question of every way in turn."""
    took: dict[str, list[float]] = {name: [] for name in WAYS}
    async with (
        AsyncOpenAI(api_key="key", base_url=model, max_retries=0) as bare,
        AsyncOpenAI(api_key=key, base_url=gateway, max_retries=0) as ours,
    ):
        for number in range(asked + WARM):
            words = f"{QUESTIONS[number % len(QUESTIONS)]} {number}"
            person = {"Echoic-User": f"caller-{number % USERS:03}"}
            for name, client, headers in (
                (WAYS[0], bare, {}),
                (WAYS[1], ours, {}),
                (WAYS[2], ours, person),
            ):
                took[name].append(await _first_token_ms(client, words, headers))
    return {name: one[WARM:] for name, one in took.items()}  # the first ones open connections


async def _first_token_ms(client: AsyncOpenAI, words: str, headers: dict[str, str]) -> float:
    began = time.perf_counter()
    stream = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": words}], stream=True, extra_headers=headers
    )
    first = 0.0
    async for _ in stream:
        first = first or (time.perf_counter() - began) * 1000
    return first


def _percentiles(ms: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(ms, n=100)
    return {"p50": round(cuts[49], 2), "p95": round(cuts[94], 2), "p99": round(cuts[98], 2), "n": len(ms)}


if __name__ == "__main__":
    typer.run(main)
