"""Looking after what is remembered: doctor, backup, restore, the view of a graph.

Imported by the command line.
"""
