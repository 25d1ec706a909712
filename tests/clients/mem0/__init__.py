"""Mem0's own clients, unchanged, against the served API."""
