"""What people may ask of their data: export, erase, forget.

Imported by the agent's commands, the command line and the API.
"""
