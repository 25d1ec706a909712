"""Postgres, the spool of turns it could not take, and Redis: everything that is durable.

Imported by every other part of `memory`, and by the workers.
"""
