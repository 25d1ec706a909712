"""What Mem0's clients add: messages that become turns once, and how far learning is with them.

Imported inside `api/mem0` only.
"""
