"""Memory as tools of the Model Context Protocol: over standard streams, and at `/mcp` over HTTP.

Needs the extra `mcp`. Whose memory it is, the connection says (`--user`, or the key), no argument of a tool:
a model may make those up. Imported by the command line, and by `api/app.py` where the extra is installed.
"""
