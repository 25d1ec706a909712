"""`python -m tools.e5_centre`: what all vectors of multilingual-e5-small have in common, into its file.

The mean over sentences that callers say in fifteen languages (tests/unit/wishes), as many of each. Whoever
changes it changes every vector: `echoic reembed`, and the checksum in memory/embedding/e5.py.
"""

import hashlib
from pathlib import Path

import numpy as np

from echoic.memory.embedding.e5 import E5, STORED, e5_file

ROOT = Path(__file__).resolve().parent.parent
SENTENCES, CENTRE = ROOT / "tests/unit/wishes", ROOT / "memory/embedding/model/e5-centre.npy"
OF_EACH = 40


def main() -> None:
    model, means = E5(e5_file()), []
    for path in sorted(SENTENCES.glob("*.tsv")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "\t" in line][:OF_EACH]
        means.append(np.mean([model.mean(STORED + line.split("\t")[-1]) for line in lines], axis=0))
    np.save(CENTRE, np.mean(means, axis=0).astype(np.float32))
    print(hashlib.sha256(CENTRE.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
