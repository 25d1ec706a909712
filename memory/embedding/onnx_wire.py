"""ONNX files as bytes: the tensors of one are read, and a small graph is written.

Only what is needed of the format (onnx.proto, in protobuf's encoding); the package `onnx` takes 17 MB for it.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = Sequence[int | str]

CONTRIB = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""
_TYPES: dict[int, type[np.generic]] = {1: np.float32, 3: np.int8}
_IR_VERSION, _OPSET = 9, 18
_VARINT, _BYTES, _FOUR = 0, 2, 5


def tensors(model: bytes) -> dict[str, Array]:
    """The float32 and int8 tensors that a model holds, by name: views of its bytes."""
    graph = next(value for number, value in _fields(memoryview(model)) if number == 7)
    found = (_tensor(value) for number, value in _fields(graph) if number == 5)
    return {name: array for name, array in found if array is not None}


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **says: float) -> bytes:
    """One operation and its attributes."""
    parts = [_field(1, name) for name in inputs] + [_field(2, name) for name in outputs] + [_field(4, kind)]
    for name, value in says.items():
        typed = (3, 2) if isinstance(value, int) else (2, 1)
        parts.append(_field(5, _field(1, name) + _field(typed[0], value) + _field(20, typed[1])))
    return b"".join([*parts, _field(7, domain)])


def model(
    nodes: Iterable[bytes],
    held: Mapping[str, Array],
    given: tuple[str, Shape],
    made: tuple[str, Shape],
) -> bytes:
    """A model with one float32 input and one output.

    Args:
        held: its tensors.
        given: the input's name and shape; a name in a shape stands for any length.
        made: the output's.
    """
    graph = [*(_field(1, one) for one in nodes), _field(2, "graph")]
    for name, array in held.items():
        kind = next(number for number, type_ in _TYPES.items() if array.dtype == type_)
        dims = b"".join(_field(1, size) for size in array.shape)
        graph.append(_field(5, dims + _field(2, kind) + _field(8, name) + _field(9, array.tobytes())))
    graph += [_field(11, _described(*given)), _field(12, _described(*made))]
    sets = (("", _OPSET), (CONTRIB, 1))
    parts = [_field(1, _IR_VERSION), _field(7, b"".join(graph))]
    return b"".join(
        [*parts, *(_field(8, _field(1, domain) + _field(2, version)) for domain, version in sets)]
    )


def _described(name: str, shape: Shape) -> bytes:
    sizes = (_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, b"".join(sizes))))


def _tensor(message: memoryview) -> tuple[str, Array | None]:
    dims, name, kind, raw = [], "", 0, memoryview(b"")
    for number, value in _fields(message):
        match number:
            case 1:
                dims.append(value)
            case 2:
                kind = value
            case 8:
                name = bytes(value).decode()
            case 9:
                raw = value
    return name, np.frombuffer(raw, _TYPES[kind]).reshape(dims) if kind in _TYPES else None


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Numbers of fields and their values, in order."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        wire = key & 7
        number, at = (
            _read_varint(message, at) if wire in (_VARINT, _BYTES) else (4 if wire == _FOUR else 8, at)
        )
        if wire == _VARINT:
            yield key >> 3, number
        else:
            yield key >> 3, message[at : at + number]
            at += number


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = message[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _field(number: int, value: float | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | _FOUR) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])
