"""A call outlives its agent: the lease on a call, its fencing token, and the rescue by another agent.

Imported by the worker, and by the call that holds a lease.
"""
