"""Simulate a network file on SANA-FE's Loihi and print spikes, events and joules as JSON.

Run by an interpreter that has SANA-FE (GPL), in a process of its own: snn-deploy never imports it.
"""

import collections
import json
import sys
from importlib.resources import files
from pathlib import Path

import sanafecpp

arch = sanafecpp.load_arch(files("sanafe.examples") / "loihi.yaml")
network = sanafecpp.load_net(sys.argv[1], arch)
chip = sanafecpp.SpikingChip(arch)
chip.load(network)
result = chip.sim(int(sys.argv[2]), spike_trace=True)
fired = collections.Counter(str(address) for step in result["spike_trace"] for address in step)
record = {
    key: result[key] for key in ("energy", "packets_sent", "spikes", "neurons_updated", "neurons_fired")
}
Path(sys.argv[3]).write_text(json.dumps({"fired": fired, **record}), encoding="utf-8")
