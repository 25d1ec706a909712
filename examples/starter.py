"""LiveKit's starter agent with one line added: whoever calls is remembered from one call to the next.

Run it with `echoic run -- python examples/starter.py dev`. It needs LIVEKIT_URL, LIVEKIT_API_KEY and
LIVEKIT_API_SECRET; ECHOIC_STABLE_IDENTITIES=true if LiveKit identities stand for people (docs/callers.md).
"""

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, inference

import echoic


class Assistant(Agent):
    """The starter's own."""

    def __init__(self) -> None:
        super().__init__(instructions="You are a helpful voice AI assistant. Your answers are short.")


server = AgentServer()


@server.rtc_session()
async def my_agent(ctx: JobContext) -> None:
    """One call."""
    session: AgentSession = AgentSession(
        stt=inference.STT("deepgram/nova-3", language="multi"),
        llm=inference.LLM("openai/gpt-4.1-mini"),
        tts=inference.TTS("cartesia/sonic-3"),
    )
    await echoic.remember(session, ctx)  # the one line
    await session.start(agent=Assistant(), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
