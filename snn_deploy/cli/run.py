"""Run an artifact on spikes and write the counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_deploy.cli.output import JsonOption, emit, progress
from snn_deploy.deploy.backends import names

Backend = Annotated[str, typer.Option(help=f"One of {', '.join(names())}; see 'snn-deploy backends'.")]
Kernel = Annotated[
    str | None, typer.Option(help="Kernel of fixed: numpy, portable, avx2, avx512; else the fastest.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of fixed; else one a core.")]
MaxMemory = Annotated[
    int | None, typer.Option(min=1, metavar="MIB", help="Memory of fixed beside the input, MiB.")
]
Timing = Annotated[
    str | None,
    typer.Option(
        help="Of fixed: network starts each sample anew (default), pipelined is Lava's own time line, on "
        "which state runs on from sample to sample."
    ),
]
Gap = Annotated[
    int | None, typer.Option(min=0, metavar="STEPS", help="Silent steps between pipelined samples.")
]
LifReset = Annotated[
    bool, typer.Option("--lif-reset", help="Clear the state as pipelined samples start (LIFReset).")
]
OnWrap = Annotated[
    str,
    typer.Option(
        metavar="POLICY",
        help="What it means that u wrapped or v saturated (counted on fixed): warn, or error, which writes "
        "nothing and exits with 6.",
    ),
]


def run(
    artifact: Annotated[Path, typer.Argument(help="FILE.snn")],
    spikes_in: Annotated[
        Path, typer.Argument(metavar="INPUT.npz", help="spikes: 0/1, (samples, steps, *shape)")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write counts (.npz).")],
    backend: Backend = "fixed",
    spikes: Annotated[bool, typer.Option("--spikes", help="Write the output spike rasters too.")] = False,
    binarise: Annotated[
        bool, typer.Option("--binarise", help="Count every value above 0 as one spike (OR of events).")
    ] = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Samples at a time.")] = None,
    kernel: Kernel = None,
    threads: Threads = None,
    max_memory: MaxMemory = None,
    timing: Timing = None,
    gap: Gap = None,
    lif_reset: LifReset = False,
    on_wrap: OnWrap = "warn",
    as_json: JsonOption = False,
) -> None:
    """Run FILE.snn on INPUT.npz; counts and spikes are in the network's own time.

    Interrupted, it writes the samples that were finished.
    """
    from snn_deploy.convert.artifact import Artifact
    from snn_deploy.convert.inputs import read_inputs
    from snn_deploy.deploy import axes, backends, overflows, silence
    from snn_deploy.deploy.outputs import write_result
    from snn_deploy.deploy.summary import describe_run
    from snn_deploy.engine.result import RunInterrupted

    options = {"kernel": kernel, "threads": threads, "max_memory": max_memory and max_memory << 20}
    engine = backends.get(backend, **options, timing=timing, gap=gap, lif_reset=lif_reset or None)
    overflows.check_policy(on_wrap, backend, engine.counts_overflows)
    model = Artifact.load(artifact)
    inputs = read_inputs(spikes_in, model.network, binarise=binarise)
    axes.report(model, inputs)
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
                write_result(output, stop.finished, model, spikes=spikes)
            raise
    overflows.report(result, on_wrap)
    silence.report(result, model)
    write_result(output, result, model, spikes=spikes)
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
            + "".join(f"  {layer[kind]} {kind}" for kind in ("wraps", "saturations") if layer[kind])
        )
    return "\n".join(lines)
