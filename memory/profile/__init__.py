"""What is known of a person in slots, what happened in events, and both as a context for a prompt: views on
facts, which are stored once.

Imported by `api` and `workers`; it asks the store, and stands on no call's path.
"""
