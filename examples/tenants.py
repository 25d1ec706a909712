"""Many tenants in one worker: whose customer is calling, and who it is, stands in the dispatch's metadata.

Run it with `echoic run -- python examples/tenants.py dev`. It needs LIVEKIT_URL, LIVEKIT_API_KEY and
LIVEKIT_API_SECRET; your server dispatches the agent `tenants` with `{"tenant": "acme", "customer": "maya"}`.
What is known of a person is seen in every scope, so the tenant is a part of the user id.
"""

import json

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli, inference

import echoic

server = AgentServer()


@server.rtc_session(agent_name="tenants")
async def my_agent(ctx: JobContext) -> None:
    """One call of one tenant's customer."""
    about = json.loads(ctx.job.metadata)
    tenant, customer = about["tenant"], about["customer"]
    session: AgentSession = AgentSession(
        stt=inference.STT("deepgram/nova-3", language="multi"),
        llm=inference.LLM("openai/gpt-4.1-mini"),
        tts=inference.TTS("cartesia/sonic-3"),
    )
    await echoic.remember(session, ctx, user_id=f"{tenant}/{customer}", scope=tenant)
    agent = Agent(instructions=f"You are the voice assistant of {tenant}. Your answers are short.")
    await session.start(agent=agent, room=ctx.room)
    await ctx.connect()


if __name__ == "__main__":
    cli.run_app(server)
