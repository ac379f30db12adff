"""Run an artifact on spikes and write the counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_deploy.cli.output import JsonOption, emit, progress


def run(
    artifact: Annotated[Path, typer.Argument(help="FILE.snn")],
    spikes_in: Annotated[
        Path, typer.Argument(metavar="INPUT.npz", help="spikes: 0/1, (samples, steps, *shape)")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write counts (.npz).")],
    backend: Annotated[str, typer.Option(help="float, fixed, lava, loihi2 or auto")] = "fixed",
    spikes: Annotated[bool, typer.Option("--spikes", help="Write the output spike rasters too.")] = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Samples at a time.")] = None,
    kernel: Annotated[
        str | None, typer.Option(help="Kernel of fixed: numpy, portable, avx2, avx512; else the fastest.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of fixed; else one a core.")] = None,
    max_memory: Annotated[
        int | None, typer.Option(min=1, metavar="MIB", help="Memory of fixed beside the input, MiB.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run FILE.snn on INPUT.npz; counts and spikes are in the network's own time.

    Interrupted, it writes the samples that were finished.
    """
    from snn_deploy.convert.artifact import Artifact
    from snn_deploy.deploy import backends
    from snn_deploy.deploy.membranes import in_model_units
    from snn_deploy.deploy.result import RunInterrupted
    from snn_deploy.deploy.spikes import read_inputs, write_result
    from snn_deploy.deploy.summary import describe_run

    limit = None if max_memory is None else max_memory << 20
    engine = backends.get(backend, kernel=kernel, threads=threads, max_memory=limit)
    model = Artifact.load(artifact)
    inputs = read_inputs(spikes_in, model.network)
    samples = len(next(iter(inputs.values())))
    nodes = [node.node for node in model.network.outputs] if spikes else []
    with progress(f"{backend}: {samples} samples", samples) as advance:
        done = 0

        def report(finished: int) -> None:
            nonlocal done
            advance(finished - done)
            done = finished

        try:
            result = engine.run(model, inputs, record=nodes, batch=batch, progress=report)
        except RunInterrupted as stop:
            if stop.finished is not None:
                write_result(
                    output,
                    in_model_units(stop.finished, model),
                    model.network,
                    spikes=spikes,
                    integers=model.hashes["integers"],
                )
            raise
    write_result(
        output, in_model_units(result, model), model.network, spikes=spikes, integers=model.hashes["integers"]
    )
    emit({"output": output, **describe_run(result)}, as_json, _render)


def _render(result: Mapping[str, Any]) -> str:
    lines = [
        f"wrote {result['output']}: {result['samples']} samples x {result['steps']} steps "
        f"on {result['backend']}, {result['seconds']['total']:.2f} s"
    ]
    for layer in result["per_layer"]:
        lines.append(
            f"  {layer['name']:<24} {layer['spikes']:>10} spikes  {layer['synops']:>12} synaptic operations  "
            f"{layer['neuron_updates']:>12} neuron updates"
        )
    return "\n".join(lines)
