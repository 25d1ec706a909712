"""The commands of `echoic`: each opens what it needs, calls one function, and says what came of it.

Imported by `echoic/cli.py` only; what a command needs is imported inside it, so that `--help` is quick.
"""
