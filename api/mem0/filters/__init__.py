"""Mem0's filters: read from JSON once, then asked of each memory. Pure; imported inside `api/mem0` only."""
