"""The LiveKit worker of `agent/main.py`: its server, health, load and start.

Imported by `agent/main.py` only.
"""
