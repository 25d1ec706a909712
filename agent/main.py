"""The file to give to LiveKit: `python agent/main.py dev`, `python -m livekit.agents start agent/main.py`."""

from livekit.agents import cli

from echoic.agent.worker.server import server

if __name__ == "__main__":
    cli.run_app(server)
