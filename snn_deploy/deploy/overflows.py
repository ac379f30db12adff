"""What a run says of states that left their 24 bits: as warnings, or as the error that they are to some."""

from __future__ import annotations

import logging

from snn_deploy.engine.result import RunResult
from snn_deploy.errors import UsageError, VerificationMismatch, Violation

_LOG = logging.getLogger(__name__)

#: What to do about them.
POLICIES = ("warn", "error")

_REMEDY = (
    "Convert again with --calibration of such input and as many steps, so that u and v have room for it."
)


def violations(result: RunResult) -> list[Violation]:
    """One violation a layer and kind; none where nothing happened, or where the backend does not count."""
    found = []
    steps = {layer.name: layer.neuron_updates for layer in result.layers}
    for name, counted in (result.overflows or {}).items():
        for times, what in (
            (counted.wraps, "u wrapped: it left its 24 bits and came back with the other sign"),
            (counted.saturations, "v saturated: it was held at the end of its 24 bits"),
        ):
            if times:
                where, share = f"layer {name!r}", f"{times:,} of {steps[name]:,} neuron-steps"
                found.append(Violation(f"{what}, so it is not the model's", where, share, "0", _REMEDY))
    return found


def report(result: RunResult, policy: str = "warn") -> None:
    """Log each violation of a run as a warning; raises VerificationMismatch instead under policy "error"."""
    found = violations(result)
    if found and policy == "error":
        raise VerificationMismatch(found)
    for violation in found:
        _LOG.warning("%s", violation)


def check_policy(policy: str, backend: str, counts: bool) -> None:
    """Raise UsageError for an unknown policy, or for "error" where nothing is counted that it could judge."""
    if policy not in POLICIES:
        raise UsageError("unknown policy", where="--on-wrap", found=policy, allowed=", ".join(POLICIES))
    if policy == "error" and not counts:
        raise UsageError(
            "this backend does not count wraps, so none of them could be an error",
            where="--on-wrap error",
            found=f"--backend {backend}",
            allowed="--backend fixed",
        )
