"""Memobase's clients, unchanged, against `echoic api` and a worker."""
