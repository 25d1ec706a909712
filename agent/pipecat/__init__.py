"""Memory in a Pipecat pipeline: what is recalled before a reply, and what is kept of what was said.

Imports `echoic.memory` and no LiveKit; needs the extra `pipecat`. Imported through `echoic.pipecat`.
"""
