"""Mem0's own pipeline as the source of facts: `ECHOIC_EXTRACTOR=mem0`. Imported only where asked for."""
