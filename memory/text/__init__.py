"""Words as memory sees them: terms, days, tense, order of events.

Imports nothing of Echoic but types; imported by everybody who reads words.
"""
