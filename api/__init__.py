"""Memory over HTTP: the API of `echoic api`, and the page on which people see and correct what is remembered.

Started by the command line only; imports `memory`, and nobody imports it.
"""
