"""Vectors of a large group, packed: what Neo4j needs 190 ms to read as ten thousand float properties, it
hands over in 20 pages.

A page is a node `:EdgePage` with up to 500 edges: their ids, 16 bytes each, and their vectors at 8 bits a
number (0.99 of the best twenty are the same as with floats). Pages only bring up candidates: the query that
reads those checks that they exist and are live.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import numpy.typing as npt

from echoic.memory.embedding.embedder import Vector

PAGE_EDGES = 500
GROUPS_HELD = 8
"""Groups of one process whose pages are kept, 4 MB each at ten thousand edges."""
ID_BYTES = 16
_FULL = 127


@dataclass(frozen=True, slots=True)
class Page:
    """Edges and their vectors, one row each."""

    ids: bytes
    vectors: npt.NDArray[np.int8]

    @classmethod
    def of(cls, ids: Sequence[UUID], vectors: Vector) -> "Page":
        """A page of these; unit vectors of any length."""
        most = np.abs(vectors).max(axis=1, keepdims=True)
        return cls(
            b"".join(one.bytes for one in ids),
            np.round(vectors / np.maximum(most, 1e-9) * _FULL).astype(np.int8),
        )

    @classmethod
    def read(cls, ids: bytes, vectors: bytes) -> "Page":
        """The reverse of what a node keeps."""
        return cls(ids, np.frombuffer(vectors, np.int8).reshape(len(ids) // ID_BYTES, -1))

    def __len__(self) -> int:
        return len(self.ids) // ID_BYTES

    @property
    def edge_ids(self) -> list[UUID]:
        return [UUID(bytes=self.ids[at : at + ID_BYTES]) for at in range(0, len(self.ids), ID_BYTES)]


class HeldPages:
    """The pages that this process has read, by group; each known by its stamp, which changes with what is on
    it."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, dict[str, Page]] = OrderedDict()

    def stamps(self, group: str) -> list[str]:
        return list(self._groups.get(group, ()))

    def update(self, group: str, pages: Mapping[str, Page | None]) -> list[Page]:
        """The group's pages as they are now, by stamp; None: the one held under it."""
        held = self._groups.get(group, {})
        now = {stamp: page if page is not None else held[stamp] for stamp, page in pages.items()}
        self._groups[group] = now
        self._groups.move_to_end(group)
        while len(self._groups) > GROUPS_HELD:
            self._groups.popitem(last=False)
        return list(now.values())

    def forget(self, group: str) -> None:
        self._groups.pop(group, None)


def nearest(pages: Sequence[Page], vector: Vector, most: int) -> list[tuple[UUID, float]]:
    """The edges whose vectors are nearest, with their cosines; of pages of another embedding model, none."""
    fitting = [page for page in pages if page.vectors.shape[1:] == vector.shape]
    if not fitting:
        return []
    likeness = np.concatenate([_cosines(page.vectors, vector) for page in fitting])
    ids = b"".join(page.ids for page in fitting)
    best = np.argpartition(-likeness, most - 1)[:most] if len(likeness) > most else np.arange(len(likeness))
    return [
        (UUID(bytes=ids[at * ID_BYTES : (at + 1) * ID_BYTES]), float(likeness[at])) for at in best.tolist()
    ]


def _cosines(vectors: npt.NDArray[np.int8], vector: Vector) -> Vector:
    rows = vectors.astype(np.float32)
    return (rows @ vector) / np.maximum(np.linalg.norm(rows, axis=1), 1e-9)
