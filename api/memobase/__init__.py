"""Memobase's HTTP interface over the house's memory: its clients change an address and not their code.

Views on turns, slots and events; nothing is stored here. Imported by `api/app.py`; the package `memobase` is
not needed.
"""
