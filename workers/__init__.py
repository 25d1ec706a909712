"""What happens after a turn: facts are learned, the graph is fed, lost work is found again.

Imports `echoic.memory`. Imported by the command line.
"""
