"""examples/pipecat_bot.py as a user runs it, and the snippets of docs/pipecat.md in a pipeline that runs."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.workers.runner import WorkerRunner

from echoic.pipecat import EchoicMemory
from tests.inference_gateway import text_of
from tests.processes import ROOT
from tests.remembered import fact, learn

BIN = Path(sys.executable).parent
LINES = 60


@pytest.mark.timeout(120)  # it starts its own stores and an embedding server, twice
def test_the_example_remembers_from_one_conversation_to_the_next(gateway, tmp_path):
    """What is said in the first stands in the second's prompt, and the log stays empty of words."""
    first = converse(tmp_path, gateway, "My dog is called Biscuit.")
    second = converse(tmp_path, gateway, "What is my dog called?")
    assert "Biscuit" in second.stdout, second.stderr
    assert "Biscuit" in text_of(gateway.requests[-1]) and "Biscuit" not in first.stderr + second.stderr


def test_the_example_is_short_and_says_how_it_is_run():
    """What it needs is in its first lines."""
    text = (ROOT / "examples" / "pipecat_bot.py").read_text()
    assert len(text.splitlines()) <= LINES
    assert "`echoic run -- python examples/pipecat_bot.py maya`" in text


def converse(home, gateway, words):
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR", "LANG") if name in os.environ}
    models = {"OPENAI_API_KEY": "test", "OPENAI_BASE_URL": f"{gateway.address}/v1"}
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    learns_nothing = {"ECHOIC_EXTRACTOR": "off", "ECHOIC_RECALL_BUDGET_MS": "5000"}
    done = subprocess.run(
        ["echoic", "run", "--data-dir", str(home), "--", "python", "examples/pipecat_bot.py", "maya"],
        input=f"{words}\n",
        cwd=ROOT,
        env={**kept, **models, **learns_nothing, "PATH": path},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done


class Transport:
    """Takes and plays nothing; its client connects when a test says so."""

    def __init__(self):
        self.handlers = {}

    def input(self):
        return IdentityFilter()

    output = input

    def event_handler(self, name):
        return lambda handler: self.handlers.setdefault(name, handler)


async def test_the_snippets_of_the_page_are_a_bot(stored, gateway, monkeypatch):
    """As they stand there, with a transport, ears and a voice that are silent: the caller is greeted."""
    first, second = re.findall(
        r"^```python.*?\n(.*?)^```", (ROOT / "docs" / "pipecat.md").read_text(), re.DOTALL | re.MULTILINE
    )
    await learn(stored, fact("Is called Maya.", "maya"))
    context, transport = LLMContext(), Transport()
    user_aggregator, assistant_aggregator = LLMContextAggregatorPair(context)
    names = {"transport": transport, "stt": IdentityFilter(), "tts": IdentityFilter(), "Pipeline": Pipeline}
    names |= {"user_aggregator": user_aggregator, "assistant_aggregator": assistant_aggregator}
    model = OpenAILLMService.Settings(model="scripted")
    names |= {"llm": OpenAILLMService(api_key="x", base_url=f"{gateway.address}/v1", settings=model)}
    names |= {"user_id": "maya", "context": context, "LLMRunFrame": LLMRunFrame}
    monkeypatch.setattr("echoic.pipecat.EchoicMemory", lambda user_id: EchoicMemory(user_id, memory=stored))
    exec(first, names)
    names["worker"] = PipelineWorker(names["pipeline"], cancel_on_idle_timeout=False)
    exec(second, names)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(names["worker"])
    running = asyncio.create_task(runner.run())
    await transport.handlers["on_client_connected"](transport, "client")
    request = await gateway.wait_asked()
    assert "Greet the caller. You know: Is called Maya." in text_of(request)
    await names["worker"].cancel()
    await running
