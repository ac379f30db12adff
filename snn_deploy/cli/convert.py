"""Convert a trained model or a NIR graph to Loihi integers (.snn)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_deploy.cli.output import JsonOption, emit

_DECAYS = "euler, 1 - dt / tau a step (the default), or exponential, exp(-dt / tau), as in Sinabs"


ModelFile = Annotated[Path, typer.Argument(help="model.pt, .ckpt, .safetensors, graph.nir or network.net")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The artifact to write.")]
Build = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="FILE.py:build",
        help="For a checkpoint of weights alone: the function that builds the module, or (module, input "
        "shape). Runs the code in that file, in a process of its own.",
    ),
]
Profile = Annotated[str, typer.Option(help="Hardware profile, a name or a TOML file.")]
Dt = Annotated[float | None, typer.Option(help="Time step in seconds, where the model states none.")]
Reset = Annotated[str | None, typer.Option(help="Reset mode, where the model states none: zero or subtract.")]
Decay = Annotated[str | None, typer.Option(help=f"Decay, where the model states none: {_DECAYS}.")]
Bits = Annotated[int, typer.Option(help="Bits a weight.")]
Level = Annotated[
    str, typer.Option(help="Rung of the ladder of weight planes: auto, or 0 (one plane) to 7 (finest).")
]
Budget = Annotated[
    float | None,
    typer.Option(
        help="Most that --level auto may cost in synaptic operations and messages, in units of level 0."
    ),
]
Calibration = Annotated[Path | None, typer.Option(help="Spikes to calibrate on (.npz).")]
Binarise = Annotated[
    bool, typer.Option("--binarise", help="Count every calibration value above 0 as one spike.")
]
Graded = Annotated[
    int, typer.Option(help="Bits of graded input spikes, where the model states none; 0 is 0/1.")
]
DecayGroups = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Most pairs of time constants a layer, where neurons have their own.",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(min=1, help="Steps of a sample, where the model states none: checked at each run."),
]
Seed = Annotated[int, typer.Option(help="Seed of generated calibration spikes.")]
ExportNir = Annotated[Path | None, typer.Option(help="Also write the NIR graph here.")]
ExportNet = Annotated[
    Path | None,
    typer.Option(
        help="Also write the integers here for lava-dl's netx (.net), and quantise to what it holds."
    ),
]


def convert(
    model: ModelFile,
    output: Output,
    build: Build = None,
    profile: Profile = "loihi2",
    dt: Dt = None,
    reset: Reset = None,
    decay: Decay = None,
    bits: Bits = 8,
    level: Level = "auto",
    budget: Budget = None,
    calibration: Calibration = None,
    binarise: Binarise = False,
    graded: Graded = 0,
    decay_groups: DecayGroups = None,
    steps: Steps = None,
    seed: Seed = 0,
    export_nir: ExportNir = None,
    export_net: ExportNet = None,
    as_json: JsonOption = False,
) -> None:
    """Convert MODEL and write the artifact: integers, their NIR graph, and how they were made."""
    from snn_deploy.convert.conversion import Options, convert_file
    from snn_deploy.convert.export_net import write_net
    from snn_deploy.convert.frontends.nir_file import write_graph
    from snn_deploy.convert.quantise.quantisation import parse_level
    from snn_deploy.deploy.summary import describe

    options = Options(
        profile=profile,
        dt=dt,
        reset=reset,
        decay=decay,
        bits=bits,
        level=parse_level(level),
        budget=budget,
        graded=graded,
        seed=seed,
        net=export_net is not None,
        decay_groups=decay_groups,
        steps=steps,
        binarise=binarise,
        model=build,
    )
    artifact = convert_file(model, options, calibration)
    if export_net is not None:
        write_net(export_net, artifact.network)
    artifact.save(output)
    if export_nir is not None:
        write_graph(export_nir, artifact.graph)
    emit({"artifact": output, **describe(artifact)}, as_json, _render)


def _render(result: Mapping[str, Any]) -> str:
    from snn_deploy.cli.inspect import layer_lines

    return "\n".join(
        [f"wrote {result['artifact']}", *layer_lines(result), *quantisation_lines(result["quantisation"])]
    )


def quantisation_lines(report: Mapping[str, Any]) -> list[str]:
    """Level and count error of each layer, what the planes cost, and whether the gate holds."""
    if "gate" not in report:  # the source was integers already
        return [f"  integers {report['integers']}"]
    errors = report["gate"]["count_errors"]
    lines = []
    for node, level in report["levels"].items():
        error = f"count error {errors[node]:.2%} on calibration" if node in errors else "read-out"
        lines.append(f"  quantised  {node:<24} {report['bits']} bit, level {level}  {error}")
    for node, shared in report["shared_decays"].items():
        cost = (
            ""
            if shared["count_error"] is None
            else f", which alone costs a count error of {shared['count_error']:.2%}"
        )
        lines.append(
            f"  decays     {node:<24} {shared['groups']} pairs for the {shared['pairs']} of its neurons{cost}"
        )
    search = report["search"]
    verdict = "holds" if report["gate"]["passed"] else f"does not hold ({search['stopped']})"
    lines.append(
        f"  gate {verdict}; {search['synops_ratio']:.2f} times the synaptic operations and "
        f"{search['axon_message_ratio']:.2f} times the axon messages of one plane a source"
    )
    return lines
