"""The semantics contract: what NIR leaves open and a deployment must fix.

NIR carries neither the time step nor the reset mode nor the initial state. They are read from the
graph's metadata, else from a flag, else the graph is refused (DESIGN, non-negotiable 1).
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from snn_deploy.errors import ModelNotSupported, Violation

_log = logging.getLogger(__name__)

ResetMode = Literal["zero", "subtract"]
Decay = Literal["euler", "exponential"]
_RESETS = " or ".join(get_args(ResetMode))


@dataclass(frozen=True)
class Contract:
    """Discrete-time semantics of a network.

    dt: time step in seconds.
    reset: what a spike does to v, once a step. "zero": v <- v_reset, the only reset that Loihi 1 has.
        "subtract": v <- v - (v_threshold - v_reset): v at the threshold falls to v_reset, and what lies above
        stays. Frameworks that take v_threshold off and know no v_reset mean v_reset = 0.
    strict_threshold: a neuron spikes when v > v_threshold, not at equality.
    recurrent_delay: steps from a spike to its effect over a cycle of the graph.
    initial_state: v starts at v_leak and i at 0.
    decay: what a step leaves of a state: "euler", 1 - dt / tau, or "exponential", exp(-dt / tau).
    """

    dt: float
    reset: ResetMode = "zero"
    strict_threshold: bool = True
    recurrent_delay: int = 1
    initial_state: str = "v=v_leak,i=0"
    decay: Decay = "euler"

    def metadata(self) -> dict[str, Any]:
        """The contract as NIR metadata."""
        return {
            "dt": self.dt,
            "reset": self.reset,
            "strict_threshold": self.strict_threshold,
            "recurrent_delay": self.recurrent_delay,
            "initial_state": self.initial_state,
            "decay": self.decay,
        }

    @staticmethod
    def resolve(
        metadata: dict[str, Any],
        dt: float | None = None,
        reset: str | None = None,
        decay: str | None = None,
        origin: object = None,
    ) -> Contract:
        """Build the contract from NIR metadata, flags taking precedence; without either, decays are Euler's.

        origin: what is known of the graph's writer, to be said where the time step is missing.

        Raises ModelNotSupported with all that is missing, and all that asks for semantics that Loihi lacks.
        A flag that the metadata does not bear out is logged as a warning.
        """
        stated_dt = _stated("dt", metadata.get("dt"), dt)
        stated_reset: Any = _stated("reset", _text(metadata.get("reset")), reset)
        stated_decay: Any = _text(metadata.get("decay", "euler")) if decay is None else decay
        violations = [*_dt_violations(stated_dt, origin), *_reset_violations(stated_reset)]
        if stated_decay not in get_args(Decay):
            violations.append(
                Violation("this decay is not known", "decay", str(stated_decay), " or ".join(get_args(Decay)))
            )
        for key, only in _ONLY.items():
            found = _text(metadata.get(key, only))
            if found != only:
                violations.append(
                    Violation(
                        "the graph asks for semantics that are not implemented", key, str(found), str(only)
                    )
                )
        if violations:
            raise ModelNotSupported(violations)
        return Contract(dt=float(stated_dt), reset=stated_reset, decay=stated_decay)


#: What the contract fixes to one value.
_ONLY: dict[str, Any] = {
    "strict_threshold": True,
    "recurrent_delay": 1,
    "initial_state": Contract.initial_state,
}


def _dt_violations(dt: Any, origin: object) -> list[Violation]:
    if dt is None:
        known = origin or (
            "what wrote it is not known: pass --dt, the step with which the time constants were written. It "
            "need not be that of the training: exporters of networks that count steps take one of their own."
        )
        return [
            Violation(
                "the time step is not stated",
                where="graph metadata 'dt'",
                allowed="seconds > 0",
                remedy=f"NIR carries no time step, and {known}",
            )
        ]
    try:
        seconds = float(dt)
    except (TypeError, ValueError):
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        return [Violation("bad time step", where="dt", found=str(dt), allowed="seconds > 0")]
    return []


def _reset_violations(reset: Any) -> list[Violation]:
    if reset is None:
        return [
            Violation(
                "the reset mode is not stated",
                where="graph metadata 'reset'",
                allowed=_RESETS,
                remedy="NIR carries no reset mode: pass --reset zero if v returns to v_reset at a spike, "
                "--reset subtract if the threshold is taken off it (the default of many frameworks).",
            )
        ]
    if reset not in get_args(ResetMode):
        return [
            Violation(
                "this reset mode is not known: a neuron spikes once a step, and v is set or lowered once",
                where="reset",
                found=str(reset),
                allowed=_RESETS,
                remedy="Retrain with one of these, or pass --reset and accept other spikes.",
            )
        ]
    return []


def _stated(key: str, by_file: Any, by_flag: Any) -> Any:
    """The flag's value, else the file's; a flag that the file does not bear out is worth a warning.

    No framework writes dt, and a wrong one shows in the time constants: that one is only noted.
    """
    if by_flag is None:
        return by_file
    if by_file is None:
        level = logging.INFO if key == "dt" else logging.WARNING
        _log.log(level, "%s = %s is the flag's: the graph states none, so it cannot be checked", key, by_flag)
    elif by_file != by_flag:
        _log.warning("%s = %s is the flag's, against the graph's own %s", key, by_flag, by_file)
    return by_flag


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
