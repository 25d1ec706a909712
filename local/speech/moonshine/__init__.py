"""Hearing English on this machine, with the names that a caller's memory knows."""
