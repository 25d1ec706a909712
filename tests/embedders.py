"""An embedder without a model: texts that share words get near vectors.

For tests that are not about meaning.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from echoic.memory.embedding.embedder import Vector
from echoic.memory.text.words import terms


class WordEmbedder:
    """A bag of hashed words as a unit vector, of any name and length: two of them stand for two models."""

    def __init__(self, name: str = "words", dimensions: int = 64) -> None:
        self.name, self.dimensions = name, dimensions
        self.batches = 0

    async def embed(self, text: str, *, across: bool = False) -> Vector:
        vector = np.full(self.dimensions, 1e-3, np.float32)
        for word in terms(text):
            vector[zlib.crc32(word.encode()) % self.dimensions] += 1
        return vector / np.linalg.norm(vector)

    async def embed_batch(self, texts: Sequence[str]) -> Vector:
        self.batches += 1
        return np.array([await self.embed(text) for text in texts], np.float32).reshape(-1, self.dimensions)

    async def close(self) -> None:
        """Nothing to close."""
