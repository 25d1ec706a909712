"""The tiers under one deadline: recent turns, facts and turns, ranking, and the block of a prompt.

Asks `store`, `embedding`, `graph` and `text`; imported by the roof of `memory`.
"""
