"""Whether wishes about memory are told from what only sounds like them, as people say both in passing.
`python -m evals.wishes [--half open] [--train]`.

`data/wishes.jsonl` holds 22 texts in each of nineteen languages, half of them no wish, with reasons, fillers
and corrections around; four of the languages have no file. A text is `open` or `sealed` by a hash of its
words. For each it is said whether the whole sentences of the language files carry it out, or else the second
key asks about it (`agent/commands/likely.py`). `--train` makes its weights anew: from the open half of the
languages with a file, `data/wishes-learned.jsonl`, plain ones of tests/unit/wishes, and ordinary sentences.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer

from echoic.agent.commands.likely import (
    FIRST_SIGHT,
    LONGEST_CHARS,
    WISHES,
    Floats,
    likelihoods,
    may_wish,
    most_likely,
    weights_of,
)
from echoic.agent.commands.memory_commands import parse_memory_command, speaks_of_forgetting
from echoic.memory.config import LOCAL_DIMENSIONS
from echoic.memory.embedding import e5
from echoic.memory.embedding.minilm import MiniLM
from echoic.memory.embedding.spaces import ENGLISH, UNIVERSAL
from echoic.memory.embedding.universal import load_universal, universal_files
from echoic.memory.text.language import languages, other_language
from evals import locomo_data
from evals.learning.cases import Half, read
from evals.machine import commit, hardware

DATA = Path(__file__).parent / "data"
PLAIN = Path(__file__).parent.parent / "tests" / "unit" / "wishes"
WEIGHTS = Path(__file__).parent.parent / "agent" / "commands" / "model"
ORDINARY = ("extraction", "fresh.jsonl", "further.jsonl", "later.jsonl", "newer.jsonl")
"""Exchanges whose turns wish nothing."""
RIDGE = 0.1
"""Of the squared weights; chosen on the open half, from .1 to 1."""
STEPS = 1_500
"""Of accelerated gradient descent; after 1,000 no figure changes."""


def main(
    half: Annotated[str, typer.Option(help="`open`, `sealed` or `all`.")] = "sealed",
    train: Annotated[bool, typer.Option("--train", help="Make the weights anew, and write them.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Conversations in LoCoMo's format: of how many turns is it asked?")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Print how many wishes are carried out, asked about, or noted, and how many texts are taken wrongly."""
    if half not in get_args(Half):
        raise typer.BadParameter("One of open, sealed, all.", param_hint="--half")
    model = e5.load_e5(e5.e5_file())
    if train:
        texts = [*learned(), *of_half("open", languages())]
        kinds, said = [kind for kind, _ in texts], [text for _, text in texts]
        first = first_vectors(said)
        parts = {"wishes": vectors_of(model, said)} | {name: first[:, at] for name, at in FIRST_SIGHT}
        for name, vectors in parts.items():
            known = np.flatnonzero(vectors.any(axis=1))  # English is known to one of them alone
            made = fitted(vectors[known], [kinds[at] for at in known], WISHES).astype(np.float16)
            np.save(WEIGHTS / f"{name}.npy", made)
            print(f"{len(known)} texts, in {name}.npy")
    weights = weights_of("wishes")
    report = measure(half, model, weights)
    print(
        f"{half}: of {report['wishes']} wishes {report['carried_out']} are carried out at once, and "
        f"{report['asked']} asked about (as another wish: {report['asked_as_another']}); at "
        f"{report['noted']} more the model is told that nothing was done.\n"
        f"Of {report['others']} other texts {report['wrongly_carried_out']} are carried out, and "
        f"{report['wrongly_asked']} asked about."
    )
    if data:
        said = [turn.text.partition(": ")[2] for one in locomo_data.read(data) for turn in one.turns]
        said = [text for text in said if len(text) <= LONGEST_CHARS and parse_memory_command(text) is None]
        turns = len(said)
        said = [text for text, one in zip(said, first_vectors(said), strict=True) if may_wish(_seen(one))]
        asked = [most_likely(each) for each in likelihoods(vectors_of(model, said), weights)]
        print(
            f"Of {turns} turns of {data.name} {len(said)} may be wishes at first sight, and "
            f"{sum(kind != 'nothing' for kind in asked)} are asked about."
        )
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def measure(half: str, model: e5.E5, weights: Floats) -> dict[str, Any]:
    """The figures of a half."""
    cases = of_half(half)
    likely = likelihoods(vectors_of(model, [text for _, text in cases]), weights)
    found, firsts = [], first_vectors([text for _, text in cases])
    for (kind, text), each, first in zip(cases, likely, firsts, strict=True):
        sentence = parse_memory_command(text)
        at_once = sentence.wish if sentence and not sentence.perhaps else "nothing"
        is_read = sentence is None and len(text) <= LONGEST_CHARS and may_wish(_seen(first))
        asked = most_likely(each) if is_read else "nothing"
        found.append((_wish(kind), at_once, _wish(asked), speaks_of_forgetting(text)))
    wishes, others = (
        [one for one in found if one[0] != "nothing"],
        [one for one in found if one[0] == "nothing"],
    )
    return {
        "half": half,
        "commit": commit(),
        "hardware": hardware(),
        "wishes": len(wishes),
        "carried_out": sum(wish == at_once for wish, at_once, _, _ in wishes),
        "asked": sum(at_once == "nothing" and wish == asked for wish, at_once, asked, _ in wishes),
        "asked_as_another": sum(
            at_once == "nothing" and asked not in (wish, "nothing") for wish, at_once, asked, _ in wishes
        ),
        "noted": sum(at_once == asked == "nothing" and speaks for _, at_once, asked, speaks in wishes),
        "others": len(others),
        "wrongly_carried_out": sum(at_once != "nothing" for _, at_once, _, _ in others),
        "wrongly_asked": sum(at_once == "nothing" and asked != "nothing" for _, at_once, asked, _ in others),
    }


def of_half(half: str, codes: Collection[str] = ()) -> list[tuple[str, str]]:
    """Kind and text of what was said in passing, in these languages or all."""
    cases = [json.loads(line) for line in _lines("wishes.jsonl")]
    return [
        ("forget_named" if case["what"] else case["wish"], case["text"])
        for case in cases
        if half in ("all", half_of_wish(case["text"])) and (not codes or case["language"] in codes)
    ]


def half_of_wish(text: str) -> Half:
    """`open`: what was read to see which are missed, and what the weights are made from."""
    return "sealed" if hashlib.sha256(text.encode()).digest()[0] % 2 else "open"


def learned() -> Iterator[tuple[str, str]]:
    """Kind and text of all else that the weights are made from; no LoCoMo, which tests them."""
    for line in _lines("wishes-learned.jsonl"):
        yield (case := json.loads(line))["wish"], case["text"]
    for path in sorted(PLAIN.glob("*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, text = line.split("\t")
            yield kind, text
    for name in ORDINARY:
        opened = (case for case in read(DATA / name) if case.half == "open")
        said = {turn["text"]: None for case in opened for turn in case.turns if turn["role"] == "user"}
        yield from (("nothing", text) for text in said if len(text) <= LONGEST_CHARS)
    for path in sorted((DATA / "languages").glob("*.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))["facts"]
        yield from (("nothing", text) for text in facts.values())


def fitted(vectors: Floats, kinds: Sequence[str], known: Sequence[str]) -> Floats:
    """Softmax regression with a ridge, shape (dimensions + 1, known kinds)."""
    rows = np.hstack([vectors, np.ones((len(vectors), 1), np.float32)])
    wanted = np.eye(len(known), dtype=np.float32)[[known.index(kind) for kind in kinds]]
    ridge = np.full((rows.shape[1], 1), RIDGE, np.float32)
    ridge[-1] = 0
    step = 1 / (np.linalg.norm(rows, 2) ** 2 / 2 + RIDGE)
    weights = ahead = np.zeros((rows.shape[1], len(known)), np.float32)
    for at in range(STEPS):
        slope = rows.T @ (likelihoods(vectors, ahead) - wanted) + ridge * ahead
        before, weights = weights, ahead - step * slope
        ahead = weights + at / (at + 3) * (weights - before)
    return weights


def vectors_of(model: e5.E5, texts: list[str]) -> Floats:
    """As a question's, shape (texts, 384)."""
    with typer.progressbar(texts, label="Reading") as shown:
        return np.vstack([model.encode([text], e5.ASKED) for text in shown])


def first_vectors(texts: list[str]) -> Floats:
    """What the models without e5 say, each where it stands in a vector, shape (texts, dimensions)."""
    found = np.zeros((len(texts), LOCAL_DIMENSIONS), np.float32)
    english, universal = MiniLM(), load_universal(*universal_files())
    for at, text in enumerate(texts):
        found[at, UNIVERSAL] = universal.encode([text])[0]
        if not other_language(text):
            found[at, ENGLISH] = english.encode([text])[0]
    return found


def _seen(vector: Floats) -> Floats:
    """As memory is asked: English by the one model, all else by the other."""
    asked = vector.copy()
    asked[UNIVERSAL if vector[ENGLISH].any() else ENGLISH] = 0
    return asked


def _wish(kind: str) -> str:
    return "forget_that" if kind == "forget_named" else kind


def _lines(name: str) -> list[str]:
    return (DATA / name).read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    typer.run(main)
