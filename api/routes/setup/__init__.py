"""The routes of what is chosen: a person's settings and the system's, providers, model files, keys.

Imported by `api/app.py`.
"""
