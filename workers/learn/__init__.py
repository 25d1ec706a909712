"""One caller's open turns become facts, in order and one batch at a time.

Imported by the worker.
"""
