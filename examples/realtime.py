"""A speech-to-speech model that remembers: what is known stands in its instructions, and follows the words.

Run it with `echoic run -- python examples/realtime.py dev`. It needs livekit-plugins-openai, OPENAI_API_KEY,
LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET. Such a model has no step between hearing
and speaking: a reply that begins at once may lack what its question recalls, and the next one has it.
"""

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.plugins import openai

import echoic

server = AgentServer()


@server.rtc_session()
async def my_agent(ctx: JobContext) -> None:
    """One call."""
    session: AgentSession = AgentSession(llm=openai.realtime.RealtimeModel(voice="marin"))
    await echoic.remember(session, ctx)
    await session.start(agent=Agent(instructions="You are a helpful voice assistant."), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
