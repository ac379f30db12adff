"""Makes golden_lava_0_10_0.json: runs every golden case on stock Lava processes and writes what it gave.

    PYTHONPATH=. python tests/engine/fixed/make_golden.py

Needs Python 3.10 with lava-nc 0.10.0. Only stock processes and models are used (LIF, LIFReset, Dense, Sparse,
Conv, DelayDense, DelaySparse, RingBuffer), with Loihi2SimCfg(select_tag="fixed_pt"), and nothing of
snn_deploy's Lava backend.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from typing import Any

import golden
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.io.sink import RingBuffer as Receive
from lava.proc.io.source import RingBuffer as Send
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sparse.process import DelaySparse
from lava.proc.sparse.process import Sparse as LavaSparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from snn_deploy.network.connections import Conv2d, Dense
from snn_deploy.network.quantised import QuantisedPopulation, QuantisedProjection
from snn_deploy.network.schedule import depths, lava_delay

SIGNS = {"mixed": SignMode.MIXED, "excitatory": SignMode.EXCITATORY, "inhibitory": SignMode.INHIBITORY}


def neurons(population: QuantisedPopulation, resets: Any) -> Any:
    options = {
        "shape": (population.neurons,),
        "du": population.du,
        "dv": population.dv,
        "vth": population.vth,
        "bias_mant": population.bias_mant,
        "bias_exp": population.bias_exp,
        "u": population.u0,
        "v": population.v0,
    }
    if population.name in resets:
        interval, offset = resets[population.name]
        return LIFReset(**options, reset_interval=interval, reset_offset=offset)
    return LIF(**options)


def synapses(edge: QuantisedProjection, extra: int) -> Any:
    options = {
        "weight_exp": edge.weight_exp,
        "num_weight_bits": edge.weight_bits,
        "num_message_bits": edge.message_bits,
        "sign_mode": SIGNS[edge.sign],
    }
    if isinstance(edge.connection, Dense):
        weights = edge.connection.weight.astype(np.int32)
        return (
            DelayDense(weights=weights, delays=extra, **options)
            if extra
            else LavaDense(weights=weights, **options)
        )
    stored = edge.connection
    if isinstance(stored, Conv2d):
        return convolution(stored)
    matrix = csr_matrix((stored.data.astype(np.int32), stored.indices, stored.indptr), shape=stored.shape)
    return (
        DelaySparse(weights=matrix, delays=extra, **options)
        if extra
        else LavaSparse(weights=matrix, **options)
    )


def convolution(conv: Conv2d) -> Any:
    """Lava's Conv sees (height, width, channels) and turns its kernel around."""
    return LavaConv(
        weight=np.ascontiguousarray(conv.weight[:, :, ::-1, ::-1].transpose(0, 2, 3, 1)).astype(np.int32),
        input_shape=(*conv.input_shape[1:], conv.input_shape[0]),
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=conv.groups,
    )


def connect(source: Any, edge: QuantisedProjection, process: Any, target: Any) -> None:
    """Between flat populations; a convolution's ports are images with the channels last."""
    if isinstance(edge.connection, Conv2d):
        image = source.s_out.reshape(edge.connection.input_shape)
        image.transpose((1, 2, 0)).connect(process.s_in)
        process.a_out.transpose((2, 0, 1)).reshape(target.a_in.shape).connect(target.a_in)
    else:
        source.s_out.connect(process.s_in)
        process.a_out.connect(target.a_in)


def trace(case: golden.Case) -> dict[str, list[str]]:
    """Spikes of every population at every Lava step."""
    depth = depths(case.network)
    samples, steps = next(iter(case.inputs.values())).shape[:2]
    lava_steps = samples * steps + max(depth.values())
    built: dict[str, Any] = {}
    for name, raster in case.inputs.items():
        data = np.zeros((raster.shape[-1], lava_steps), dtype=np.int32)
        data[:, : samples * steps] = raster.reshape(samples * steps, -1).T
        built[name] = Send(data=data)
    built.update((p.name, neurons(p, case.resets)) for p in case.network.populations)
    for edge in case.network.projections:
        process = synapses(edge, lava_delay(edge, depth))
        connect(built[edge.source], edge, process, built[edge.target])
    sinks = {p.name: Receive(shape=(p.neurons,), buffer=lava_steps) for p in case.network.populations}
    for name, sink in sinks.items():
        built[name].s_out.connect(sink.a_in)
    first = built[case.network.populations[0].name]
    first.run(condition=RunSteps(num_steps=lava_steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    spikes = {name: golden.rows(sink.data.get().T) for name, sink in sinks.items()}
    first.stop()
    return spikes


def main() -> None:
    found = [{**golden.describe(case), "lava": trace(case)} for case in golden.cases()]
    provenance = {
        "made_by": "tests/engine/fixed/make_golden.py",
        "lava-nc": version("lava-nc"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "run_config": "Loihi2SimCfg(select_tag='fixed_pt')",
        "meaning": "lava: population -> one string a Lava step, one character a neuron, 1 where it spiked",
    }
    text = json.dumps({"provenance": provenance, "cases": found}, separators=(",", ":"))
    golden.FILE.write_text(text.replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
