"""The graph on Neo4j: its driver with hard limits, its queries, its packed pages.

Imported by `memory/graph/backend.py` only.
"""
