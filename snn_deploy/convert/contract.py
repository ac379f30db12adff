"""The semantics contract: what NIR leaves open and a deployment must fix.

NIR carries neither the time step nor the reset mode nor the initial state. They are read from the
graph's metadata, else from a flag, else the graph is refused (DESIGN, non-negotiable 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from snn_deploy.errors import ModelNotSupported

ResetMode = Literal["zero"]


@dataclass(frozen=True)
class Contract:
    """Discrete-time semantics of a network.

    dt: time step in seconds.
    reset: "zero" sets v to v_reset at a spike, the only reset that Loihi has.
    strict_threshold: a neuron spikes when v > v_threshold, not at equality.
    recurrent_delay: steps from a spike to its effect over a cycle of the graph.
    initial_state: v starts at v_leak and i at 0, as in Norse.
    """

    dt: float
    reset: ResetMode = "zero"
    strict_threshold: bool = True
    recurrent_delay: int = 1
    initial_state: str = "v=v_leak,i=0"

    def metadata(self) -> dict[str, Any]:
        """The contract as NIR metadata."""
        return {
            "dt": self.dt,
            "reset": self.reset,
            "strict_threshold": self.strict_threshold,
            "recurrent_delay": self.recurrent_delay,
            "initial_state": self.initial_state,
        }

    @staticmethod
    def resolve(metadata: dict[str, Any], dt: float | None = None, reset: str | None = None) -> Contract:
        """Build the contract from NIR metadata, flags taking precedence.

        Raises ModelNotSupported when neither states dt or the reset mode, or when they ask for
        semantics that Loihi lacks.
        """
        stated_dt = dt if dt is not None else metadata.get("dt")
        stated_reset = reset if reset is not None else _text(metadata.get("reset"))
        if stated_dt is None:
            raise ModelNotSupported(
                "the time step is not stated",
                where="graph metadata 'dt'",
                allowed="seconds > 0",
                remedy="NIR carries no time step: pass --dt, the step it was trained with (often 1e-3).",
            )
        if not (math.isfinite(float(stated_dt)) and float(stated_dt) > 0):
            raise ModelNotSupported("bad time step", where="dt", found=stated_dt, allowed="seconds > 0")
        if stated_reset is None:
            raise ModelNotSupported(
                "the reset mode is not stated",
                where="graph metadata 'reset'",
                allowed="zero",
                remedy="NIR carries no reset mode: pass --reset zero if v returns to v_reset at a spike.",
            )
        if stated_reset != "zero":
            raise ModelNotSupported(
                "this reset mode does not exist on Loihi, whose neurons return to v_reset",
                where="reset",
                found=stated_reset,
                allowed="zero",
                remedy="Retrain with a hard reset, or pass --reset zero and accept other spikes.",
            )
        _require_default(metadata, "strict_threshold", True)
        _require_default(metadata, "recurrent_delay", 1)
        _require_default(metadata, "initial_state", Contract.initial_state)
        return Contract(dt=float(stated_dt))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)


def _require_default(metadata: dict[str, Any], key: str, only: object) -> None:
    if key in metadata:
        found = metadata[key]
        found = found.decode() if isinstance(found, bytes) else found
        if found != only:
            raise ModelNotSupported(
                "the graph asks for semantics that are not implemented", where=key, found=found, allowed=only
            )
