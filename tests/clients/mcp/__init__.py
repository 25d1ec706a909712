"""The MCP server, asked by the official SDK's own client: needs the extra `mcp`."""
