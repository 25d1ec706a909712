"""Speech without a key: LiveKit plugins, and the two programs that hear and speak.

Imported by the agent's choice of speech.
"""
