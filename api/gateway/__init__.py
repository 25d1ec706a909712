"""OpenAI's `/v1/chat/completions` in front of the model that the settings name, with memory.

Imported by `api/app.py`.
"""
