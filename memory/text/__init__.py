"""Words as memory sees them: terms and their forms, days, the past, order of events.

Imports nothing of Echoic but types; imported by everybody who reads words.
"""
