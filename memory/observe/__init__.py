"""Metrics, their endpoint, and logs that hold no spoken words.

Imported by everybody; imports nothing of Echoic but errors.
"""
