"""Tools that use memory themselves: one reads what the caller once said, one writes what it found out.

Run it with `echoic run -- python examples/memory_tool.py dev`; LIVEKIT_URL and its two keys must be set.
"""

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, RunContext, cli, inference
from livekit.agents.llm import function_tool

import echoic

server = AgentServer()


class Waiter(Agent):
    @function_tool
    async def look_up(self, context: RunContext, about: str) -> str:
        """Look up what the caller said about something, in this call or in an earlier one."""
        memory = echoic.memory_of(context.session)
        found = await memory.recall(about) if memory else echoic.Recall()
        return "\n".join(item.text for item in found.used) or "Nothing is known about that."

    @function_tool
    async def book_table(self, context: RunContext, guests: int, day: str) -> str:
        """Book a table."""
        if memory := echoic.memory_of(context.session):
            await memory.note(f"Booked a table for {guests} on {day}.")
        return "Booked."


@server.rtc_session()
async def my_agent(ctx: JobContext) -> None:
    llm, tts = inference.LLM("openai/gpt-4.1-mini"), inference.TTS("cartesia/sonic-3")
    session: AgentSession = AgentSession(stt=inference.STT("deepgram/nova-3"), llm=llm, tts=tts)
    await echoic.remember(session, ctx)
    await session.start(agent=Waiter(instructions="You take bookings for a restaurant."), room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
