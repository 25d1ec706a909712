"""Other people's protocols on the API: a person who writes there has the memory of the one who calls.

Not in the OpenAPI document: what is sent and answered here is for WhatsApp and Dify to decide. Included by
`api/app.py`.
"""
