"""Reading the temporal graph of a caller, and the ledger of what it still lacks.

Imported by `recall`, `privacy` and the workers, which write the graph.
"""
