"""`echoic talk`: a call in a terminal or through a pipe, and how memory is shown there.

Imported by the command line only.
"""
