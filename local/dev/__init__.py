"""`echoic dev`: everything that a call on this machine needs, and a page to join by.

Imported by the command line.
"""
