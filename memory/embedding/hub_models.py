"""Embedding models that `echoic model pull` fetches: their publishers' own files at a fixed commit of a hub.

Sizes and SHA-256 are those by which several programs that do not know of one another pin these commits.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

PINNED = re.compile(r"(?P<name>[^@]+)@sha256:(?P<sha256>[0-9a-f]{64})")
"""A model by its name and the SHA-256 of its graph (of a voice: of the voice), which the user names."""
GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"


class Pin(NamedTuple):
    """What a file is."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model that reads tokens and makes one vector of what it says of each."""

    name: str
    repository: str
    revision: str
    files: Mapping[str, Pin]
    """By their paths in the repository; here they lie in one folder."""
    dimensions: int
    pooling: Literal["mean", "first"]
    """The vector of a text: the mean of its tokens', or that of the first."""
    asked: str = ""
    """What the model was trained to see before a question, and"""
    stored: str = ""
    """before what may answer it."""


HUB_MODELS = (
    HubModel(
        "multilingual-e5-small",
        "intfloat/multilingual-e5-small",
        "614241f622f53c4eeff9890bdc4f31cfecc418b3",
        {
            "onnx/model.onnx": Pin(
                "ca456c06b3a9505ddfd9131408916dd79290368331e7d76bb621f1cba6bc8665", 470_268_510
            ),
            "tokenizer.json": Pin(
                "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39", 17_082_730
            ),
        },
        384,
        "mean",
        "query: ",
        "passage: ",
    ),
    HubModel(
        "bge-m3",
        "BAAI/bge-m3",
        "5617a9f61b028005a4858fdac845db406aefb181",
        {
            "onnx/model.onnx": Pin(
                "f84251230831afb359ab26d9fd37d5936d4d9bb5d1d5410e66442f630f24435b", 724_923
            ),
            "onnx/model.onnx_data": Pin(
                "1eebfb28493f67bba03ce0ef64bfdc7fc5a3bd9d7493f818bb1d78cd798416b4", 2_266_820_608
            ),
            "onnx/Constant_7_attr__value": Pin(
                "cdf16f72c5d07b36484056e601ed9687f78477e5d85cee85a34f2406b7fb5906", 65_552
            ),
            "tokenizer.json": Pin(
                "21106b6d7dab2952c1d496fb21d5dc9db75c28ed361a05f5020bbba27810dd08", 17_098_108
            ),
        },
        1024,
        "first",
    ),
)


def hub_model(name: str) -> HubModel | None:
    """The model of this name, with or without a pin."""
    pinned = PINNED.fullmatch(name)
    plain = pinned["name"] if pinned else name
    return next((one for one in HUB_MODELS if one.name == plain), None)
