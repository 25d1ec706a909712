"""A project of a user's own, laid out as LiveKit's starter, with the one line of Echoic in it.

Its modules are called what Echoic's folders are called: `src/memory.py`, `src/agent_tools.py`, `agent.py`.
"""

from pathlib import Path

FILES = {
    "src/memory.py": 'STYLE = "Your answers are short."\n',
    "src/agent_tools.py": 'ROLE = "You are a helpful voice AI assistant."\n',
    "agent.py": 'raise SystemExit("this agent.py is not the one in src")\n',
    "src/agent.py": '''\
"""LiveKit's starter."""

import agent_tools, memory
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, inference

import echoic


class Assistant(Agent):
    def __init__(self) -> None:
        super().__init__(instructions=f"{agent_tools.ROLE} {memory.STYLE}")


server = AgentServer()


@server.rtc_session(agent_name="my-agent")
async def my_agent(ctx: JobContext):
    session = AgentSession(
        stt=inference.STT("deepgram/nova-3", language="multi"),
        llm=inference.LLM("openai/gpt-4.1-mini"),
        tts=inference.TTS("cartesia/sonic-3"),
    )
    await echoic.remember(session, ctx)
    await session.start(agent=Assistant(), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
''',
    "src/ask.py": '''\
"""One turn with the agent, in writing."""

import asyncio, sys, agent
from livekit.agents import AgentSession, inference

import echoic


async def main(words: str) -> None:
    async with AgentSession(llm=inference.LLM("openai/gpt-4.1-mini")) as session:
        await echoic.remember(session, user_id="maya")
        await session.start(agent.Assistant())
        await session.run(user_input=words)
        print(session.history.items[-1].text_content)


asyncio.run(main(sys.argv[1]))
''',
}
INSTRUCTIONS = "You are a helpful voice AI assistant. Your answers are short."
"""What the model is told, if the project's own modules are the ones that are imported."""


def write_project(folder: Path) -> Path:
    """The project, in a folder that does not exist yet."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
