"""An agent worker whose calls only count: `python -m tests.metered_worker PORT`.

It is told what to do line by line on standard input.
"""

import asyncio
import math
import os
import sys

from livekit.agents import AgentServer, JobContext

from echoic.memory.breaker import Breaker
from echoic.memory.observe.metrics import count_recall, count_refused, count_turn
from echoic.memory.observe.scrape import serve_metrics
from echoic.memory.types import Recall, TierResult

server = AgentServer(port=0, host="127.0.0.1", num_idle_processes=0, load_threshold=math.inf)


@server.rtc_session()
async def call(job: JobContext) -> None:
    """One recall and one turn, with the tier's breaker open; a call in the room `short` ends at once."""
    breaker = Breaker(failures=1, pause_s=60)
    breaker.failed()
    recall = Recall({"facts": TierResult("ok", (), 12.0)}, "", (), 15.0)
    count_recall(recall, budget_s=0.15, breakers={"facts": breaker})
    count_turn("user", "row")
    print(f"counted {os.getpid()}", flush=True)
    if job.job.room.name == "short":
        job.shutdown("counted")


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    with serve_metrics("127.0.0.1", port, children=True):
        started = asyncio.Event()
        server.on("worker_started", started.set)
        running = asyncio.create_task(server.run(devmode=True, unregistered=True))
        await started.wait()
        count_refused("busy")
        print("started", flush=True)
        while room := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            await server.simulate_job(room, fake_job=True)
        await server.aclose()
        await running


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
