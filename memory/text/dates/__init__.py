"""Dates as callers name them, and as they are told."""
