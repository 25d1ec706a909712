"""An agent that is written to, without ears and voice: its memory is the same.

Run it with `echoic run -- python examples/text_only.py dev`. It needs LIVEKIT_URL, LIVEKIT_API_KEY and
LIVEKIT_API_SECRET. Callers write on the topic `lk.chat` and read replies on `lk.transcription`.
"""

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, inference, room_io

import echoic

server = AgentServer()


@server.rtc_session()
async def chat(ctx: JobContext) -> None:
    """One conversation."""
    session: AgentSession = AgentSession(llm=inference.LLM("openai/gpt-4.1-mini"))
    await echoic.remember(session, ctx)
    await session.start(
        agent=Agent(instructions="You are a helpful assistant. Your answers are short."),
        room=ctx.room,
        room_options=room_io.RoomOptions(audio_input=False, audio_output=False),
    )
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
