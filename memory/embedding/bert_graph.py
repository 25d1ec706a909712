"""A BERT whose matrices have 4 bits a weight (llama.cpp's Q4_0), as a graph for ONNX Runtime.

Its own 4-bit kernels run it. Written as the protocol buffer that it is: the package `onnx` would cost 30 MB
for the same few bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import pack
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Field = tuple[int, int | str | bytes]
"""Its number in onnx.proto, and what it holds."""
WEIGHTS = 32
BLOCK = np.dtype([("scale", "<f2"), ("bytes", "u1", WEIGHTS // 2)])
"""So many weights of one row: a byte holds one of the first half, in its upper bits one of the second."""
MICROSOFT = "com.microsoft"
IR_VERSION, OPSET = 10, 20
FLOAT, UINT8 = 1, 2
INT8_INPUTS = 4
"""What is multiplied with 4 bits is made 8 bits: a quarter of the time, cosines of .9998 to exact ones."""


@dataclass(frozen=True, slots=True)
class Bert:
    """Its sizes, and its tensors by the names of their file."""

    width: int
    layers: int
    heads: int
    inner: int
    epsilon: float
    tensors: Mapping[str, bytes]

    def floats(self, name: str) -> Floats:
        return np.frombuffer(self.tensors[name], "<f4")


def levelled(rows: Floats, gain: Floats, bias: Floats, epsilon: float) -> Floats:
    """Layer normalisation."""
    away = rows - rows.mean(axis=-1, keepdims=True)
    spread = np.sqrt((away * away).mean(axis=-1, keepdims=True) + epsilon)
    found: Floats = (away / spread * gain + bias).astype(np.float32)
    return found


def bert_graph(bert: Bert) -> bytes:
    """The model: `words` of shape (1, n, width), read by all layers."""
    graph = _Graph()
    rows = "words"
    for number in range(bert.layers):
        rows = _layer(graph, bert, f"l{number}.", rows)
    return graph.model(bert.width, rows)


def _layer(graph: "_Graph", bert: Bert, at: str, rows: str) -> str:
    def times(given: str, name: str, outputs: int) -> str:
        blocks = np.frombuffer(bert.tensors[f"{at}{name}.w"], BLOCK).reshape(outputs, -1)
        numbers = np.concatenate([blocks["bytes"] & 15, blocks["bytes"] >> 4], axis=-1)
        packed = numbers[..., 0::2] | numbers[..., 1::2] << 4
        inputs = blocks.shape[1] * WEIGHTS
        scales, bias = blocks["scale"].astype(np.float32), bert.floats(f"{at}{name}.b")
        kept = graph.keep(packed), graph.keep(scales.reshape(-1)), "", "", graph.keep(bias)
        sizes = {"K": inputs, "N": outputs, "bits": 4, "block_size": WEIGHTS, "accuracy_level": INT8_INPUTS}
        return graph.add("MatMulNBits", given, *kept, **sizes)

    def beside(given: str, name: str) -> str:
        kept = [graph.keep(bert.floats(f"{at}{name}.{part}")) for part in "wb"]
        return graph.add("SkipLayerNormalization", rows, given, *kept, epsilon=bert.epsilon)

    asked = [times(rows, name, bert.width) for name in "qkv"]
    seen = graph.add("MultiHeadAttention", *asked, num_heads=bert.heads)
    rows = beside(times(seen, "ao", bert.width), "aln")
    inner = graph.add("Gelu", times(rows, "fi", bert.inner))
    return beside(times(inner, "fo", bert.width), "oln")


class _Graph:
    """Nodes and constants in the fields of onnx.proto."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._kept: list[bytes] = []

    def add(self, kind: str, *given: str, **settings: int | float) -> str:
        """A node; returns the name of what it makes."""
        made = f"made {len(self._nodes)}"
        fields: list[Field] = [*((1, one) for one in given), (2, made), (4, kind)]
        fields += [(5, _setting(name, value)) for name, value in settings.items()]
        self._nodes.append(_message(*fields, (7, MICROSOFT)))
        return made

    def keep(self, array: npt.NDArray[Any]) -> str:
        """A constant; returns its name."""
        name, kind = f"kept {len(self._kept)}", FLOAT if array.dtype == np.float32 else UINT8
        sizes: list[Field] = [(1, size) for size in array.shape]
        self._kept.append(_message(*sizes, (2, kind), (8, name), (9, array.tobytes())))
        return name

    def model(self, width: int, result: str) -> bytes:
        ends = (11, _shaped("words", width)), (12, _shaped(result, width))
        parts: list[Field] = [
            *((1, one) for one in self._nodes),
            (2, "bert"),
            *((5, one) for one in self._kept),
            *ends,
        ]
        sets: list[Field] = [(8, _message((1, ""), (2, OPSET))), (8, _message((1, MICROSOFT), (2, 1)))]
        return _message((1, IR_VERSION), (7, _message(*parts)), *sets)


def _shaped(name: str, width: int) -> bytes:
    sizes: list[Field] = [(1, _message((1, 1))), (1, _message((2, "n"))), (1, _message((1, width)))]
    return _message((1, name), (2, _message((1, _message((1, FLOAT), (2, _message(*sizes)))))))


def _setting(name: str, value: int | float) -> bytes:
    if isinstance(value, float):
        return _message((1, name), (20, 1)) + _varint(2 << 3 | 5) + pack("<f", value)
    return _message((1, name), (3, value), (20, 2))


def _message(*fields: Field) -> bytes:
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
