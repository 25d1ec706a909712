"""A phone line: callers are known by their number, and greeted with what is remembered of them.

Run it with `echoic run -- python examples/phone.py dev`. It needs LIVEKIT_URL, LIVEKIT_API_KEY and
LIVEKIT_API_SECRET, and a dispatch rule of your trunk that names the agent `phone` (docs/phone.md). A number
is kept as a hash under ECHOIC_PHONE_KEY (`openssl rand -hex 32`), the same on every host; a single host
makes one by itself. ECHOIC_PHONE_REGION=DE says where numbers without a + are at home.
"""

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, inference

import echoic

GREETING = "Greet the caller in one short sentence, as somebody you know if you do."
server = AgentServer()


@server.rtc_session(agent_name="phone")
async def answer(ctx: JobContext) -> None:
    """One call."""
    await ctx.connect()
    await ctx.wait_for_participant()  # with them comes their number
    session: AgentSession = AgentSession(
        stt=inference.STT("deepgram/nova-3", language="multi"),
        llm=inference.LLM("openai/gpt-4.1-mini"),
        tts=inference.TTS("cartesia/sonic-3"),
    )
    memory = await echoic.remember(session, ctx)
    agent = Agent(instructions="You answer the phone of a small shop. Your answers are short.")
    await session.start(agent=agent, room=ctx.room)
    known = await memory.recall("Who is calling?")
    await session.generate_reply(instructions=f"{known.block}{GREETING}")


if __name__ == "__main__":
    cli.run_app(server)
