"""A Pipecat bot that remembers whom it talks to; here they write, line by line.

Run it with `echoic run -- python examples/pipecat_bot.py maya`. It needs echoic[pipecat], OPENAI_API_KEY and,
for another server, OPENAI_BASE_URL. A voice takes the same pipeline, with a transport, ears and a voice.
"""

import asyncio
import sys

from loguru import logger
from pipecat.frames.frames import TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators import llm_response_universal as aggregators
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.turns.user_start import TranscriptionUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from echoic.pipecat import EchoicMemory


async def main(user_id: str) -> None:
    """One conversation, until the input ends."""
    a_line_is_a_turn = UserTurnStrategies(
        start=[TranscriptionUserTurnStartStrategy()],
        stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)],
    )
    user, assistant = aggregators.LLMContextAggregatorPair(
        LLMContext(), user_params=aggregators.LLMUserAggregatorParams(user_turn_strategies=a_line_is_a_turn)
    )
    llm = OpenAILLMService(
        settings=OpenAILLMService.Settings(model="gpt-4.1-mini", system_instruction="Your answers are short.")
    )
    worker = PipelineWorker(Pipeline([user, EchoicMemory(user_id), llm, assistant]))
    answers = asyncio.Queue[str]()
    assistant.add_event_handler("on_assistant_turn_stopped", lambda _, said: answers.put_nowait(said.content))
    runner = WorkerRunner()
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    while line := await asyncio.to_thread(sys.stdin.readline):
        if words := line.strip():
            await worker.queue_frame(TranscriptionFrame(words, user_id, time_now_iso8601()))
            print(await answers.get(), flush=True)
    await worker.stop_when_done()
    await running


if __name__ == "__main__":
    logger.remove()  # Pipecat's log holds what is said
    asyncio.run(main(sys.argv[1]))
