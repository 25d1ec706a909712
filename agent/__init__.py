"""The call: who is in it, what the model is shown, what is stored.

Imports `echoic.memory`. Imported by the command line, and by a LiveKit worker through `agent/main.py`.
"""
