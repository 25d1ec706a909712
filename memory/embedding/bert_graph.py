"""BERT's layers as a graph for ONNX Runtime, with weights of 4 or 8 bits that its own kernels multiply.

Written, and read, as the protocol buffer that it is: the package `onnx` would cost 30 MB for the same bytes.
"""

from collections.abc import Iterator, Mapping
from struct import pack
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]
Field = tuple[int, int | str | bytes]
"""Its number in onnx.proto, and what it holds."""
MICROSOFT, ONNX = "com.microsoft", ""
"""Who defines a kind of node."""
IR_VERSION, OPSET = 10, 20
TYPES: dict[int, type[np.generic]] = {1: np.float32, 2: np.uint8, 3: np.int8}
_VARINT, _BYTES, _FOUR = 0, 2, 5


class Weights(Protocol):
    """What a BERT has learned. Parts of a layer are `query`, `key`, `value`, `out`, `up` and `down`."""

    width: int
    layers: int
    heads: int
    epsilon: float

    def times(self, graph: "Graph", given: str, layer: int, part: str) -> str:
        """Add a product with the matrix of this part, and its bias, to the graph."""
        ...

    def level(self, layer: int, part: str) -> tuple[Floats, Floats]:
        """Gain and bias after this part, `out` or `down`."""
        ...


def bert_session(bert: Weights) -> Any:
    """The model in ONNX Runtime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # the next level makes one node of each sum and levelling again, the slow one (see `_layer`)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(bert_graph(bert), options, providers=["CPUExecutionProvider"])


def bert_graph(bert: Weights) -> bytes:
    """The model: `words` of shape (1, n, width), read by all layers."""
    graph = Graph()
    rows = "words"
    for layer in range(bert.layers):
        rows = _layer(graph, bert, layer, rows)
    return graph.model(bert.width, rows)


def _layer(graph: "Graph", bert: Weights, layer: int, rows: str) -> str:
    def beside(rows: str, given: str, part: str) -> str:
        kept = map(graph.keep, bert.level(layer, part))
        # SkipLayerNormalization is both in one, and takes 49 us for 17 words instead of 11
        both = graph.add("Add", rows, bert.times(graph, given, layer, part), domain=ONNX)
        return graph.add("LayerNormalization", both, *kept, domain=ONNX, epsilon=bert.epsilon)

    asked = [bert.times(graph, rows, layer, part) for part in ("query", "key", "value")]
    seen = graph.add("MultiHeadAttention", *asked, num_heads=bert.heads)
    rows = beside(rows, seen, "out")
    return beside(rows, graph.add("Gelu", bert.times(graph, rows, layer, "up")), "down")


def levelled(rows: Floats, gain: Floats, bias: Floats, epsilon: float) -> Floats:
    """Layer normalisation."""
    away = rows - rows.mean(axis=-1, keepdims=True)
    spread = np.sqrt((away * away).mean(axis=-1, keepdims=True) + epsilon)
    found: Floats = (away / spread * gain + bias).astype(np.float32)
    return found


class Graph:
    """Nodes and constants in the fields of onnx.proto."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._kept: list[bytes] = []

    def add(self, kind: str, *given: str, domain: str = MICROSOFT, **settings: int | float) -> str:
        """A node, by default of ONNX Runtime's own kinds; returns the name of what it makes."""
        made = f"made {len(self._nodes)}"
        fields: list[Field] = [*((1, one) for one in given), (2, made), (4, kind)]
        fields += [(5, _setting(name, value)) for name, value in settings.items()]
        self._nodes.append(_message(*fields, (7, domain)))
        return made

    def keep(self, array: Array) -> str:
        """A constant; returns its name."""
        name = f"kept {len(self._kept)}"
        kind = next(number for number, type_ in TYPES.items() if array.dtype == type_)
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


def tensors_of(model: bytes) -> Mapping[str, Array]:
    """The tensors of these types that a model holds, by name: views of its bytes."""
    graph = next(value for number, value in _fields(memoryview(model)) if number == 7)
    found = (_tensor(value) for number, value in _fields(graph) if number == 5)
    return {name: array for name, array in found if array is not None}


def _tensor(message: memoryview) -> tuple[str, Array | None]:
    said = [*_fields(message)]
    sizes, last = [value for number, value in said if number == 1], dict(said)
    kind, name, raw = last[2], bytes(last[8]).decode(), last.get(9, b"")
    return name, np.frombuffer(raw, TYPES[kind]).reshape(sizes) if kind in TYPES else None


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        wire = key & 7
        value, at = (
            _read_varint(message, at) if wire in (_VARINT, _BYTES) else (4 if wire == _FOUR else 8, at)
        )
        if wire == _VARINT:
            yield key >> 3, value
        else:
            yield key >> 3, message[at : at + value]
            at += value


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = message[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _shaped(name: str, width: int) -> bytes:
    sizes: list[Field] = [(1, _message((1, 1))), (1, _message((2, "n"))), (1, _message((1, width)))]
    return _message((1, name), (2, _message((1, _message((1, 1), (2, _message(*sizes)))))))


def _setting(name: str, value: int | float) -> bytes:
    if isinstance(value, float):
        return _message((1, name), (20, 1)) + _varint(2 << 3 | _FOUR) + pack("<f", value)
    return _message((1, name), (3, value), (20, 2))


def _message(*fields: Field) -> bytes:
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
