"""What makes one laptop enough: embedded stores, speech and models without a key, and administration.

Imported by the command line, and by the one module that chooses who hears and speaks.
"""
