"""Run ``.net`` files by lava-dl's netx on Lava: the argument names a JSON list of jobs.

A job: file, given (.npy, (steps, *shape)), out (.npy, likewise), steps. Where the first layer has input
neurons, ``given`` is what they receive at each step, and ``steps`` says how many; else ``steps`` is 0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from lava.lib.dl import netx
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc import io


def run(file: str, given: str, out: str, steps: int) -> None:
    net = netx.hdf5.Network(net_config=file)
    stimulus = np.load(given)
    if steps:
        net.in_layer.neuron.bias_mant.init = stimulus.T
    else:
        source = io.source.RingBuffer(data=np.ascontiguousarray(stimulus.T))
        source.s_out.connect(net.inp)
    count = steps or len(stimulus)
    sink = io.sink.RingBuffer(shape=net.out.shape, buffer=count)
    net.out.connect(sink.a_in)
    net.run(condition=RunSteps(num_steps=count), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    spikes = sink.data.get()
    net.stop()
    np.save(out, spikes.T.astype(np.uint8))


if __name__ == "__main__":
    for job in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        run(**job)
