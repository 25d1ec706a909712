"""`echoic.openai_memory`: an OpenAI client that remembers who it answers.

Imported by whoever uses it; nothing of LiveKit stands in it.
"""
