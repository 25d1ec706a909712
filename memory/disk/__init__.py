"""What waits on this host's disk: the lines of the spool, and what was set aside from it.

For `memory/store` and whoever shows or erases it.
"""
