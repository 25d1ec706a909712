"""The graph on FalkorDB: its queries and how their rows are read.

Imported by `memory/graph/backend.py` only.
"""
