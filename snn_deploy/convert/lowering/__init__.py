"""Lowering: a NIR graph becomes a Network of populations and projections.

Neurons become populations; every path of linear nodes between an input or a population and a
population is composed into one projection. ``primitives`` has one function a linear primitive,
``snn_deploy.network.neurons`` one class a neuron; a NIR class that is in neither is refused by name.
"""

from __future__ import annotations

import snn_deploy.convert.lowering.primitives  # noqa: F401  registers every linear primitive
from snn_deploy.convert.lowering.graph import Lowered as Lowered
from snn_deploy.convert.lowering.graph import lower as lower
from snn_deploy.convert.lowering.graph import lower_graph as lower_graph
from snn_deploy.convert.lowering.transform import supported as supported

__all__ = ["Lowered", "lower", "lower_graph", "supported"]
