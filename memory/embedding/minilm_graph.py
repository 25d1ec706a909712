"""BERT's layers in few operations of ONNX Runtime: the weights of MiniLM's file, multiplied in 8 bits."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from echoic.memory.embedding.onnx_wire import CONTRIB, Array, model, node

DIMENSIONS = 384
LAYERS, HEADS, EPSILON = 6, 12, 1e-12
PARTS = ("query", "key", "value")


def graph(file: Mapping[str, Array]) -> bytes:
    """A model from `given`, the sums of the embeddings of one text's tokens, to `hidden`, what each of them
    is in its sentence; both have the shape (1, tokens, 384).

    Args:
        file: the tensors of MiniLM's file.
    """
    layers = _Layers(file)
    nodes = [*layers.nodes()]
    shape = (1, "tokens", DIMENSIONS)
    return model(nodes, layers.used, ("given", shape), ("hidden", shape))


def exact(file: Mapping[str, Array], name: str) -> npt.NDArray[np.float32]:
    """A tensor in 32 bits: as the file has it, or from its 8."""
    if name in file:
        return file[name]
    found: npt.NDArray[np.float32] = file[f"{name}_q"].astype(np.float32) * file[f"{name}_scale"]
    return found


class _Layers:
    def __init__(self, file: Mapping[str, Array]) -> None:
        self._file = file
        self.used: dict[str, Array] = {}
        # the file numbers its matrices as it uses them: query, key, value, out, up and down of each layer
        numbered = (name for name in file if name.startswith("val_") and name.endswith("_q"))
        self._matrices = sorted((name[:-2] for name in numbered), key=lambda name: int(name[4:]))

    def nodes(self) -> Iterator[bytes]:
        level = self._level("inner.embeddings.LayerNorm")
        yield node("LayerNormalization", ["given", *level], ["layer.0"], epsilon=EPSILON)
        for number in range(LAYERS):
            yield from self._layer(number, "hidden" if number == LAYERS - 1 else f"layer.{number + 1}")

    def _layer(self, number: int, result: str) -> Iterator[bytes]:
        to, given = f"inner.encoder.layer.{number}", f"layer.{number}"
        seen, out, half, up, wide, down = (
            f"{given}.{step}" for step in ("seen", "out", "half", "up", "wide", "down")
        )
        matrices = self._matrices[6 * number : 6 * number + 6]
        biases = [self._file[f"{to}.attention.self.{part}.bias"] for part in PARTS]
        attended = [f"{given}.{part}" for part in PARTS]
        bias = self._keep(f"{given}.bias", np.concatenate(biases))
        widening = self._kept(f"{to}.intermediate.dense.bias")

        yield self._product(given, f"{given}.attended", *matrices[:3])
        yield node("Split", [f"{given}.attended"], attended, axis=2, num_outputs=len(PARTS))
        yield node("MultiHeadAttention", [*attended, bias], [seen], CONTRIB, num_heads=HEADS)
        yield self._product(seen, out, matrices[3])
        yield self._sum(out, given, half, f"{to}.attention.output")
        yield self._product(half, up, matrices[4])
        yield node("BiasGelu", [up, widening], [wide], CONTRIB)
        yield self._product(wide, down, matrices[5])
        yield self._sum(down, half, result, f"{to}.output")

    def _product(self, given: str, result: str, *matrices: str) -> bytes:
        """By these matrices side by side."""
        parts = ("q", "scale")
        levels, scales = (
            np.concatenate([self._file[f"{name}_{part}"] for name in matrices], axis=1) for part in parts
        )
        weights = self._keep(f"{result}.q", levels), self._keep(f"{result}.scale", scales.ravel())
        return node("DynamicQuantizeMatMul", [given, *weights], [result], CONTRIB)

    def _sum(self, new: str, old: str, result: str, of: str) -> bytes:
        """What a step adds to what there was, levelled."""
        inputs = [new, old, *self._level(f"{of}.LayerNorm"), self._kept(f"{of}.dense.bias")]
        return node("SkipLayerNormalization", inputs, [result], CONTRIB, epsilon=EPSILON)

    def _level(self, name: str) -> list[str]:
        return [self._kept(f"{name}.weight"), self._kept(f"{name}.bias")]

    def _kept(self, name: str) -> str:
        return self._keep(name, self._file[name])

    def _keep(self, name: str, array: Array) -> str:
        self.used[name] = array
        return name
