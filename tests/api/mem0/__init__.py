"""Mem0's interface, asked without its clients: these are in tests/clients/mem0."""
