"""Ways to make facts of turns: one structured model call, or Mem0's pipeline.

Imported by `learn` and by the choice of an extractor.
"""
