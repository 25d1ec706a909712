"""Who is calling: a signed token, the dispatch, a phone line, a stable identity; else nobody in particular.

Imported by the call and by whoever opens one; imports no call.
"""
