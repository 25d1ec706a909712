"""Mem0's HTTP interface over the house's memory: its clients change an address and not their code.

Views on facts and turns; nothing is stored here. `hosted` holds the routes of `mem0.MemoryClient`,
`self_hosted` those of Mem0's small server. Imported by `api/app.py`; the package `mem0` is not needed.
"""
