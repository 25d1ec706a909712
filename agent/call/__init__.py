"""One call: who is in it, what is captured, what is prefetched, and how its turns are logged.

Imported by the agent that speaks, the worker and the terminal.
"""
