"""A language model on this machine: which one is used, where its file comes from, how it is served.

Imported by the command line.
"""
