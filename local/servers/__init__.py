"""Programs that several processes share: a daemon keeps them alive until the last client leaves.

Postgres, Redis and FalkorDB of a data folder. Imported by the rest of `local`.
"""
