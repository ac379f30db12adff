"""Quantise a float network to the integers of a hardware profile.

One state scale S a population maps threshold 1 to the mantissa round(S); weights times S lie on a grid
that one or several planes (projections with their own sign and exponent) sum to. Exponents are never
negative, because those would floor the sum and bias every step. Weights are rounded so that their
errors cancel on the membranes that calibration saw; decays round to 12 bits with a fitted gain; biases
have an exponent for each neuron.
"""

from snn_deploy.convert.quantise.evidence import DecayMatch as DecayMatch
from snn_deploy.convert.quantise.evidence import Evidence as Evidence
from snn_deploy.convert.quantise.evidence import Extremes as Extremes
from snn_deploy.convert.quantise.grids import LEVELS as LEVELS
from snn_deploy.convert.quantise.layer import ROUNDINGS as ROUNDINGS
from snn_deploy.convert.quantise.layer import Rounding as Rounding
from snn_deploy.convert.quantise.network import Quantiser as Quantiser
