"""Facts enter a temporal graph through Graphiti's drivers.

Imported by the worker; the only place that imports Graphiti.
"""
