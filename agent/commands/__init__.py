"""What a caller asks of their memory in words ("forget that"), and how it is carried out.

Imported by the agent (`assistant.py`).
"""
