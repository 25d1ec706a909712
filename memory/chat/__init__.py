"""Memory for programs that speak OpenAI's protocol: where the block goes in a request, what was said in it,
and what the answer said.

Imported by `agent/openai_client` and `api/gateway`.
"""
