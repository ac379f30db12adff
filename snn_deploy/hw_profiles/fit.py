"""Does it fit: every limit of a chip with its use, its verdict, and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snn_deploy.errors import DoesNotFit
from snn_deploy.hw_profiles.checks import ability_checks, fan_checks, format_checks, overflow_checks
from snn_deploy.hw_profiles.description import Activity, NetworkDescription
from snn_deploy.hw_profiles.findings import Finding, against, judge
from snn_deploy.hw_profiles.partition import CONFIGURATIONS, CORE_LIMITS, Partition, core_limits, partition
from snn_deploy.hw_profiles.quantity import Limit
from snn_deploy.hw_profiles.schema import Profile

REMEDIES = {
    "neurons_per_core": "Use more cores, or narrow the layer.",
    "synapse_bits_per_core": "Use more cores, fewer weight bits, or prune.",
    "memory_bits_per_core": "Use more cores, fewer weight bits, or prune.",
    "input_axons_per_core": "Fewer inputs or weight planes into the layer, or prune; cutting does not help.",
    "output_axons_per_core": "Larger targets a core: fewer bits or fewer weight planes in the next layers.",
    "compartment_configurations": "Give layers the same time constants.",
    "threshold_configurations": "Give layers the same threshold.",
    "synapse_configurations": "Fewer weight planes, exponents or delays into one layer.",
}


@dataclass(frozen=True, eq=False)
class FitReport:
    """The answer: findings, the cut into cores, and the chips and board that hold them.

    synapses, entries: of the network, see :class:`NetworkDescription`.
    """

    profile: Profile
    findings: tuple[Finding, ...]
    partition: Partition
    chips: int
    board: str | None
    synapses: int
    entries: int

    @property
    def fits(self) -> bool:
        """No hard limit is broken. Unknown limits and soft ones do not refuse."""
        return not self.refusals

    @property
    def refusals(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict == "over" and not finding.soft)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Tight limits, soft limits that are broken, and limits that nobody has published."""
        return tuple(
            finding for finding in self.findings if finding.verdict != "ok" and finding not in self.refusals
        )

    @property
    def utilisation(self) -> dict[str, float]:
        """Mean use of the cores in use, as a share of each known core limit."""
        bounds = {name: bound for name, bound in core_limits(self.profile).items() if bound}
        cores = self.partition.cores
        return {
            n: sum(c.use[n] for c in cores) / (bound * len(cores)) for n, bound in bounds.items() if cores
        }

    def require(self) -> None:
        """Raise DoesNotFit with every broken limit."""
        if not self.fits:
            raise DoesNotFit([finding.violation() for finding in self.refusals])

    def as_dict(self) -> dict[str, Any]:
        """A record for JSON: verdicts, cores a layer, and synapse memory in both forms."""
        return {
            "profile": self.profile.name,
            "fits": self.fits,
            "cores": None if self.profile.limits.cores_per_chip is None else len(self.partition.cores),
            "chips": self.chips,
            "board": self.board,
            "synapses": self.synapses,
            "synapse_entries": self.entries,
            "utilisation": self.utilisation,
            "findings": [finding.as_dict() for finding in self.findings],
            "layers": [_layer_record(name, self) for name in self.partition.slices],
        }


def fit(
    network: NetworkDescription,
    profile: Profile,
    *,
    chips: int | None = None,
    cores: int | None = None,
    activity: Activity | None = None,
    co_locate: bool = True,
) -> FitReport:
    """Check a network against every limit of a profile.

    chips, cores: at most so many (default: the profile's largest board, else one chip). activity adds
    the overflow check at the run's own rates. Never raises for a network that is too large: ask
    ``fits``, or call ``require``.
    """
    alone = profile.limits.kernel_words is not None  # one layer a core, whatever its size
    cut = partition(network, profile, co_locate and not alone)
    needed, board, core_findings = _chips(profile, cut, chips, cores)
    findings = [
        *core_findings,
        *_core_checks(network, profile, cut),
        *_chip_synapses(network, profile, needed),
        *_word_checks(network, profile),
        *fan_checks(network, profile),
        *format_checks(network, profile.integer_formats),
        *ability_checks(network, profile),
        *overflow_checks(network, profile.integer_formats, activity),
    ]
    return FitReport(profile, tuple(findings), cut, needed, board, network.synapses, network.entries)


def _core_checks(network: NetworkDescription, profile: Profile, cut: Partition) -> Iterator[Finding]:
    """Each core limit at the core that uses most of it, with both forms of the synapses."""
    unrolled = {group.name for group in network.groups if group.convolution}
    for name in CORE_LIMITS:
        limit: Limit | None = getattr(profile.limits, name)
        uses = [(_where(core.index, cut), float(core.use[name])) for core in cut.cores]
        note = ""
        if name == "synapse_bits_per_core" and uses:
            core = max(cut.cores, key=lambda c: c.use[name])
            parts = [memory for piece in core.slices for memory in piece.groups]
            dense, sparse = sum(m.dense for m in parts), sum(m.sparse for m in parts)
            note = f"dense {dense} bit, sparse {sparse} bit"
            if any(memory.group in unrolled for memory in parts):
                note += "; convolutions counted unrolled, an upper bound"
        if name in CONFIGURATIONS:
            note = "soft"
        yield from against(name, limit, uses, REMEDIES[name], note)


def _where(index: int, cut: Partition) -> str:
    parts = ", ".join(f"{part.layer}[{part.start}:{part.stop}]" for part in cut.cores[index].slices)
    return f"core {index} ({parts})"


def _chips(
    profile: Profile, cut: Partition, chips: int | None, cores: int | None
) -> tuple[int, str | None, list[Finding]]:
    """Chips needed, the smallest board with as many, and the findings about cores and chips."""
    used = len(cut.cores)
    limit = profile.limits.cores_per_chip
    per_chip = limit.value if limit is not None else None
    if limit is None or per_chip is None or profile.limits.kernel_words is not None:
        return 1, None, []
    needed = max(1, -(-used // per_chip))
    boards = sorted((board.chips.value or 0, name) for name, board in profile.boards.items())
    board = next((name for size, name in boards if size >= needed), None)
    most = chips if chips is not None else max([size for size, _ in boards], default=1)
    bound = min(needed, most) * per_chip
    bound = bound if cores is None else min(cores, bound)
    greedy = max(cut.slices, key=lambda name: len(cut.slices[name]), default="")
    reason = cut.binding.get(greedy)
    where = f"layer {greedy} takes {len(cut.slices[greedy])}" if greedy else "all layers"
    remedy = (
        f"{REMEDIES[reason]} Its cut is set by {reason}."
        if reason
        else "Fewer layers, or co-locate small ones."
    )
    note = "" if cores is None and chips is None else "bound set by the caller"
    finding = Finding(
        "cores",
        where,
        used,
        bound,
        "cores",
        judge(used, bound),
        False,
        remedy,
        note,
        limit.status,
        limit.source,
    )
    return needed, board, [finding]


def _chip_synapses(network: NetworkDescription, profile: Profile, chips: int) -> Iterator[Finding]:
    limit = profile.limits.synapses_per_chip
    if limit is None:
        return
    per_chip = sum(group.nonzero for group in network.groups) / chips
    yield from against("synapses_per_chip", limit, [("all layers", per_chip)], "Prune, or use more chips.")


def _word_checks(network: NetworkDescription, profile: Profile) -> Iterator[Finding]:
    """Layers to cores of unlike memories: one layer a core, by bipartite matching.

    The bound of a layer is that of the core it was matched with; a layer left over is judged against the
    core that comes nearest.
    """
    limits = profile.limits
    if limits.kernel_words is None or limits.neuron_words is None:
        return
    kernel, neuron = np.array(limits.kernel_words.values), np.array(limits.neuron_words.values)
    needs = [
        (layer.name, sum(g.parameters for g in network.into(layer.name)), layer.neurons)
        for layer in network.layers
    ]
    share = np.array([np.maximum(k / kernel, n / neuron) for _, k, n in needs]).reshape(
        len(needs), len(kernel)
    )
    matched = _match(share <= 1.0)
    for row, (name, words, neurons) in enumerate(needs):
        core = matched[row] if matched[row] >= 0 else int(np.argmin(share[row]))
        where = f"{name} on core {core}" if matched[row] >= 0 else f"{name} (no core left that holds it)"
        for what, used, bound in (
            ("kernel_words", words, kernel[core]),
            ("neuron_words", neurons, neuron[core]),
        ):
            entry = getattr(limits, what)
            yield Finding(
                what,
                where,
                used,
                int(bound),
                "words",
                judge(used, int(bound)),
                remedy="Smaller kernels, fewer channels or a stride.",
                status=entry.status,
                source=entry.source,
            )
    unplaced = [name for row, (name, _, _) in enumerate(needs) if matched[row] < 0]
    yield Finding(
        "layers_on_cores",
        ", ".join(unplaced) or "all layers",
        len(needs),
        len(needs) - len(unplaced),
        "layers",
        "over" if unplaced else "ok",
        remedy="Fewer or smaller layers: each takes a core of its own.",
        status=limits.kernel_words.status,
        source=limits.kernel_words.source,
    )


def _match(allowed: np.ndarray[Any, np.dtype[np.bool_]]) -> list[int]:
    """Core of each layer in a largest matching, -1 where there is none."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if not allowed.size:
        return []
    return [int(core) for core in maximum_bipartite_matching(csr_matrix(allowed), perm_type="column")]


def _layer_record(name: str, report: FitReport) -> dict[str, Any]:
    parts = report.partition.slices[name]
    dense = sum(memory.dense for part in parts for memory in part.groups)
    sparse = sum(memory.sparse for part in parts for memory in part.groups)
    return {
        "name": name,
        "neurons": sum(part.neurons for part in parts),
        "cores": len(parts),
        "on_cores": sorted({report.partition.core_of(part) for part in parts}),
        "limited_by": report.partition.binding.get(name),
        "synapse_bits": {
            "dense": dense,
            "sparse": sparse,
            "chosen": sum(p.use["synapse_bits_per_core"] for p in parts),
        },
        "input_axons": max(part.use["input_axons_per_core"] for part in parts),
        "output_axons": max(part.use["output_axons_per_core"] for part in parts),
    }
