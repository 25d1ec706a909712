"""A program that remembers over MCP: `python examples/clients/over_mcp.py maya "What is my dog called?"`.

Needs `pip install "echoic[mcp]"`. It starts `echoic mcp` for one user, as an editor does.
"""

import asyncio
import sys

from mcp import Client, StdioServerParameters
from mcp_types import TextContent


async def main(user: str, question: str) -> None:
    server = StdioServerParameters(command=sys.executable, args=["-m", "echoic", "mcp", "--user", user])
    async with Client(server) as client:
        await client.call_tool("save_memory", {"text": "My dog is called Biscuit."})
        found = await client.call_tool("search_memories", {"query": question, "limit": 3})
        print(*(part.text for part in found.content if isinstance(part, TextContent)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
