"""Two agents in one call, each with a memory of its own of the same person: neither is told the other's talk.

Run it with `echoic run -- python examples/handoff.py dev`; LIVEKIT_URL and its two keys must be set.
"""

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, RunContext, cli, inference
from livekit.agents.llm import function_tool

import echoic

server = AgentServer()


class Billing(Agent):
    memory_scope = "billing"

    async def on_enter(self) -> None:
        self.session.generate_reply(instructions="Say that you are billing, and ask how you can help.")


class FrontDesk(Agent):
    memory_scope = "front-desk"

    @function_tool
    async def to_billing(self, context: RunContext) -> Agent:
        """Hand the caller over as soon as they ask about a bill or a payment."""
        return Billing(instructions="You answer questions about bills and payments.")


@server.rtc_session()
async def my_agent(ctx: JobContext) -> None:
    llm, tts = inference.LLM("openai/gpt-4.1-mini"), inference.TTS("cartesia/sonic-3")
    session: AgentSession = AgentSession(stt=inference.STT("deepgram/nova-3"), llm=llm, tts=tts)
    await echoic.remember(session, ctx)
    await session.start(agent=FrontDesk(instructions="You are the front desk of a hotel."), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
