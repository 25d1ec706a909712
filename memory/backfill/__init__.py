"""Past conversations and facts of other systems: read from their exports, and stored once, with their dates.

Imported by the command line; nothing here stands on a call's path.
"""
