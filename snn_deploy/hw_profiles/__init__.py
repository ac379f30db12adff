"""Hardware profiles: what a chip can hold, what an operation costs, and where each number comes from."""

from snn_deploy.hw_profiles.registry import inherit_energy, load, names
from snn_deploy.hw_profiles.schema import Profile, SignMode

__all__ = ["Profile", "SignMode", "inherit_energy", "load", "names"]
