"""A client of the SDK's first line (`mcp<2`), which most programs use; it needs an environment of its own.

`python older_client.py http URL KEY` or `python older_client.py stdio COMMAND…`: one conversation, as JSON.
"""

import asyncio
import json
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


async def main(how: str, *words: str) -> None:
    if how == "http":
        opened = streamablehttp_client(words[0], headers={"Authorization": f"Bearer {words[1]}"})
    else:
        opened = stdio_client(StdioServerParameters(command=words[0], args=list(words[1:]), env=None))
    async with opened as (reading, writing, *_), ClientSession(reading, writing) as session:
        began = await session.initialize()
        answers = [
            await session.call_tool("save_memory", {"text": "My dog is called Biscuit."}),
            await session.call_tool("search_memories", {"query": "What is my dog called?"}),
            await session.call_tool("search_memories", {"query": ""}),
            await session.call_tool("forget", {"about": "dog"}),
        ]
        profile = await session.read_resource("echoic://profile")
        told = {
            "version": str(began.protocolVersion),
            "tools": [tool.name for tool in (await session.list_tools()).tools],
            "answers": [[answer.isError, answer.content[0].text] for answer in answers],
            "profile": profile.contents[0].text,
        }
    print(json.dumps(told))


asyncio.run(main(*sys.argv[1:]))
