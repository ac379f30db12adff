"""Records for tests, made by hand."""

from __future__ import annotations

from typing import Any

QUERIES = ("seen: image to caption", "unseen: image to caption")
_NONE = {"marginal": "unavailable", "floor": "unavailable", "total": "unavailable"}


def estimate(value: float, n: int) -> dict[str, Any]:
    return {"value": value, "ci95": [value - 0.05, value + 0.05], "n": n}


def priced(label: str = "", marginal: Any = "unavailable", **changes: Any) -> dict[str, Any]:
    """Joules of loihi2, unavailable but for the marginal ones of an item."""
    return {
        "profile": "loihi2",
        "kind": "proxy",
        "label": label,
        "unit": "J",
        "terms": [],
        **_NONE,
        "per_item": {**_NONE, "marginal": marginal},
        "by_table": {},
        "spread_of_tables": None,
        "marginal_share_of_total": None,
        "step_time": "unavailable",
        "not_modelled": [],
        "per_correct": _NONE,
        **changes,
    }


def energy(synops: float) -> dict[str, Any]:
    """Prices by loihi1 are 1 pJ an operation."""
    joules = {"low": 0.5e-12 * synops, "nominal": 1e-12 * synops, "high": 2e-12 * synops}
    reference = priced()
    del reference["per_correct"]
    return {
        "proxy": "events",
        "statement": "unavailable",
        "item": "one drawing",
        "split": "unseen",
        "host_multiply_accumulates": {"seen": 1, "unseen": 1},
        "profile": "loihi2",
        "fits": True,
        "cores": 1,
        "chips": 1,
        "board": None,
        "counts": {
            "origin": "made by hand", "samples": 10, "steps": 20,
            "total": {}, "per_item": {}, "per_layer": [], "host": None,
        },
        "latency": {},
        "priced": priced(),
        "inherited": {"loihi1": priced("inherited from loihi1", joules)},
        "baselines": [],
        "reference_energy": reference,
        "break_even": None,
        "host_energy": {"status": "not measured", "reason": "no RAPL"},
        "neurobench_compatible": {},
    }  # fmt: skip


def document(recall: float, synops: float, **changes: Any) -> dict[str, Any]:
    """A record of a run that recalls ``recall`` for ``synops``."""
    n = dict(zip(QUERIES, (40, 10), strict=True))
    parity = {
        "equal": True, "claim": "equal", "neuron_steps": 1, "mismatches": 0, "first_divergence": None,
        "layers": [], "silent_layers": [], "samples": 1, "steps": 1, "hashes": {}, "versions": {},
    }  # fmt: skip
    return {
        "schema_version": 1,
        "task": "emoji-captions",
        "about": "Emoji",
        "n": {"seen": 40, "unseen": 10},
        "seeds": [0, 1],
        "split": "seen and unseen",
        "metrics": {
            q: {
                "recall@1": {"float": estimate(recall + 0.01, n[q]), "fixed": estimate(recall, n[q])},
                "recall@5": {"float": estimate(0.9, n[q]), "fixed": estimate(0.9, n[q])},
            }
            for q in QUERIES
        },
        "drop": {q: estimate(0.01, n[q]) for q in QUERIES},
        "drop_pooled": estimate(0.01, 50),
        "chance": {q: {"recall@1": 1 / n[q], "recall@5": 5 / n[q]} for q in QUERIES},
        "baselines": {
            q: {
                "pixels": {"recall@1": estimate(0.3, n[q]), "recall@5": estimate(0.5, n[q])},
                "ridge": {"recall@1": estimate(0.2, n[q]), "recall@5": estimate(0.5, n[q])},
            }
            for q in QUERIES
        },
        "chain": None,
        "activity": {
            q: {
                "spikes": 5.0, "input_events": 9.0, "synops": synops, "synops_stored": 2 * synops,
                "neuron_updates": 7.0, "per_layer": [],
            }
            for q in QUERIES
        },
        "energy": energy(synops),
        "parity": parity,
        "quantisation": {},
        "seconds": {"total": 1.0},
        "versions": {},
        "config": {
            "encoder": "lif", "profile": "loihi2", "seeds": 2, "seed": 0, "quick": False, "certify": True,
            "model": None, "dt": None, "reset": None,
        },
        **changes,
    }  # fmt: skip
