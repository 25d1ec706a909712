"""Texts become vectors: the local model shared by all processes of a host, or an HTTP endpoint.

Imported by `store` and by whoever opens memory; imports no store.
"""
