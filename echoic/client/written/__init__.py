"""Types and routes of the memory API, written from its OpenAPI document by `tools/client.py`.

Imported by `echoic.client`.
"""
