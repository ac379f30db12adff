"""Compare our integer engine with Lava, spike by spike, and write a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_deploy.cli.output import JsonOption, emit, progress


def parity(
    artifact: Annotated[Path, typer.Argument(help="FILE.snn")],
    spikes_in: Annotated[
        Path | None, typer.Argument(metavar="[INPUT.npz]", help="Spikes; generated when left out.")
    ] = None,
    against: Annotated[
        str,
        typer.Option(
            help="Backend to compare with: lava, float to see what rounding changed, or another of "
            "'snn-deploy backends' that claims something."
        ),
    ] = "lava",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the certificate here.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of generated spikes.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare every layer's spikes; exit code 6 when our engine and Lava differ."""
    import json

    from snn_deploy.convert.artifact import Artifact
    from snn_deploy.convert.inputs import read_inputs
    from snn_deploy.deploy.backends import kind
    from snn_deploy.deploy.certificate import certificate_text
    from snn_deploy.deploy.parity import compare
    from snn_deploy.files import atomic_write

    model = Artifact.load(artifact)
    inputs = None if spikes_in is None else read_inputs(spikes_in, model.network)
    with progress(f"fixed against {against}"):
        certificate = compare(model, inputs, against=against, seed=seed)
    result = certificate.to_json()
    if output is not None:
        with atomic_write(output) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n")
    emit(result, as_json, certificate_text)
    if kind(against).exact:  # rounding is expected to change spikes, another engine is not
        certificate.require_equal(str(artifact))
