"""Models of a hub by their names: which files one has, what they must be, and bringing all of them.

A name alone is the commit that Echoic pins (embedding models), or what the hub says that its newest one holds
(voices). With `@sha256:…` the user says what the model is, and the hub the rest.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import httpx

from echoic.local.llm.download import PART, SILENCE_S, OnProgress, Source, fetch
from echoic.local.paths import open_data_dir
from echoic.memory.embedding.files import Origin, origin_of
from echoic.memory.embedding.hub_models import GRAPH, HUB_MODELS, PINNED, hub_model
from echoic.memory.errors import ConfigInvalid, ModelUnavailable
from echoic.memory.hosting.files import private_folder

HUB = "https://huggingface.co"
VOICES = "rhasspy/piper-voices"
VOICE = re.compile(
    r"piper:(?P<file>(?P<locale>(?P<language>[a-z]{2,3})_[A-Z0-9]{2,3})-(?P<speaker>\w+)-(?P<quality>\w+))"
)
"""A voice as the hub's own list names it, such as `piper:de_DE-thorsten-medium`."""
NEWEST = "main"
DIGEST = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
ADVICE = "Behind a mirror set HF_ENDPOINT."
REFUSED = {
    401: "it has no such model for somebody whom it does not know: check the name, or set HF_TOKEN.",
    403: "this token may not read it.",
    404: "it has no such file.",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a name means."""

    name: str
    repository: str
    revision: str
    main: str
    """The file whose SHA-256 a pin names."""
    digests: Mapping[str, tuple[str, int]]
    """Path -> digest and size, as far as Echoic pins them."""
    paths: tuple[str, ...]
    pin: str = ""


def named(name: str) -> Wanted | None:
    """The model of this name at a hub; None: there is none."""
    pinned = PINNED.fullmatch(name)
    plain, pin = (pinned["name"], pinned["sha256"]) if pinned else (name, "")
    if model := hub_model(name):
        pins = {} if pin else {path: (one.sha256, one.size) for path, one in model.files.items()}
        revision = NEWEST if pin else model.revision
        main = next(path for path in model.files if _base(path) == GRAPH)
        return Wanted(name, model.repository, revision, main, pins, tuple(model.files), pin)
    if voice := VOICE.fullmatch(plain):
        path = "{language}/{locale}/{speaker}/{quality}/{file}.onnx".format(**voice.groupdict())
        return Wanted(name, VOICES, NEWEST, path, {}, (path, f"{path}.json"), pin)
    return None


def pull_from_hub(
    data_dir: Path, name: str, on_progress: OnProgress, env: Mapping[str, str] = os.environ
) -> Path:
    """Bring every file of the model into a folder of its name, and return that; goes on where an earlier try
    was broken off. What is there already is not asked for.

    Args:
        env: `HF_ENDPOINT` names another hub, `HF_TOKEN` who asks.

    Raises:
        ModelUnavailable: the hub does not answer, has no such model, or another one than is pinned.
        ConfigInvalid: this is no model's name, or another process is downloading it.
    """
    wanted = named(name)
    if wanted is None:
        known = ", ".join(one.name for one in HUB_MODELS)
        raise ConfigInvalid(
            f"No hub is known for {name!r}. Known are {known}, and voices as piper:de_DE-thorsten-medium, "
            "each perhaps followed by @sha256: and 64 digits. What belongs to a package comes with that."
        )
    models = open_data_dir(data_dir) / "models"
    if origin_of(models / name):
        return models / name
    hub = _Hub(env)
    commit, digests = (wanted.revision, dict(wanted.digests)) if wanted.digests else hub.named_files(wanted)
    if wanted.pin and digests[wanted.main][0] != wanted.pin:
        raise ModelUnavailable(
            f"{wanted.main} of {wanted.repository} has another SHA-256 at the hub than you name: "
            f"{digests[wanted.main][0]}."
        )
    folder = private_folder(private_folder(models) / name)
    fetched = hub.fetched(wanted, commit, digests, folder, on_progress)
    files = {_base(path): sha256 for path, sha256 in fetched}
    trusted = "echoic" if wanted.digests else "user" if wanted.pin else "hub"
    Origin(wanted.repository, commit, trusted, files).write(folder)
    return folder


class _Hub:
    """Its API, and its files."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._address = env.get("HF_ENDPOINT", "").rstrip("/") or HUB
        token = env.get("HF_TOKEN", "")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def named_files(self, wanted: Wanted) -> tuple[str, dict[str, tuple[str, int]]]:
        """The newest commit, and the digest and size of each file there.

        A large file's digest is its SHA-256; a small one's, which lies in git itself, is git's.
        """
        commit = str(_of(self._ask(f"{wanted.repository}/revision/{wanted.revision}"), "sha"))
        found: dict[str, tuple[str, int]] = {}
        for folder in sorted({str(PurePosixPath(path).parent) for path in wanted.paths}):
            tree = f"{wanted.repository}/tree/{commit}/{quote(folder)}".removesuffix("/.")
            for entry in self._ask(tree):
                kept = _of(entry, "lfs") if "lfs" in entry else entry
                found[str(_of(entry, "path"))] = str(_of(kept, "oid")), int(_of(kept, "size"))
        for path in wanted.paths:
            if path not in found or not DIGEST.fullmatch(found[path][0]):
                raise ModelUnavailable(f"{wanted.repository} at {self._address} has no {path}.")
        return commit, found

    def fetched(
        self,
        wanted: Wanted,
        commit: str,
        digests: Mapping[str, tuple[str, int]],
        folder: Path,
        on_progress: OnProgress,
    ) -> Iterator[tuple[str, str]]:
        """Each file's path and SHA-256, once it is there and checked."""
        total, before = sum(digests[path][1] for path in wanted.paths), 0
        for path in wanted.paths:
            digest, size = digests[path]
            url = f"{self._address}/{wanted.repository}/resolve/{commit}/{quote(path)}"
            source = Source(url, digest, ADVICE, self._headers)
            target = folder / _base(path)
            if target.exists():  # an earlier try brought it whole, and is checked anew
                target.replace(target.with_name(target.name + PART))
            yield path, fetch(source, target, partial(_part_done, on_progress, before, total))
            before += size
            on_progress(before, total)

    def _ask(self, path: str) -> Any:
        url = f"{self._address}/api/models/{path}"
        try:
            answer = httpx.get(url, headers=self._headers, follow_redirects=True, timeout=SILENCE_S)
            answer.raise_for_status()
            return answer.json()
        except httpx.HTTPStatusError as exc:
            status = exc.response.status_code
            raise ModelUnavailable(f"{url} answers {status}: {REFUSED.get(status, ADVICE)}") from exc
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
            raise ModelUnavailable(f"{url} cannot be reached, or is no hub. {ADVICE}") from exc


def _part_done(on_progress: OnProgress, before: int, total: int, done: int, _of_this: int) -> None:
    on_progress(before + done, total)


def _base(path: str) -> str:
    return PurePosixPath(path).name


def _of(entry: Any, name: str) -> Any:
    """What a hub must say."""
    try:
        return entry[name]
    except (LookupError, TypeError) as exc:
        raise ModelUnavailable(f"The hub's answer says nothing of {name!r}. {ADVICE}") from exc
