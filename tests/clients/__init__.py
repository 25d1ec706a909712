"""Clients that others wrote, unchanged, against what we serve; each needs packages of its own."""
