"""What a hardware profile says: limits, integer formats, abilities, energies, times, and the floor.

Every section is closed (an unknown key is an error) and every number is an entry of
:mod:`snn_deploy.hw_profiles.quantity`. A limit that is absent does not exist on the chip; a limit with
status ``unavailable`` exists and is not published.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from snn_deploy.errors import UsageError
from snn_deploy.hw_profiles.quantity import (
    Codes,
    CoreLimits,
    Count,
    Entry,
    Flag,
    Limit,
    Point,
    Quantity,
    Span,
    Strict,
    has_unit,
)

SCHEMA_VERSION = 1
SignMode = Literal["mixed", "excitatory", "inhibitory"]
UNITS = ("1", "pJ", "uJ", "ns", "us", "mW", "uW", "W", "1/s", "steps")

Integer = Annotated[Span, has_unit("1")]
Bits = Annotated[Count, has_unit("bit")]
Picojoule = Annotated[Quantity, has_unit("pJ")]
Nanosecond = Annotated[Quantity, has_unit("ns")]
AnyQuantity = Annotated[Quantity, has_unit(*UNITS)]
Ability = Annotated[Flag, has_unit("1")]


class Limits(Strict):
    """Capacities. Per core unless the name says otherwise."""

    cores_per_chip: Annotated[Limit, has_unit("cores")] | None = None
    cores_per_tile: Annotated[Limit, has_unit("cores")] | None = None
    tile_columns: Annotated[Limit, has_unit("tiles")] | None = None
    tile_rows: Annotated[Limit, has_unit("tiles")] | None = None
    neurons_per_core: Annotated[Limit, has_unit("neurons")] | None = None
    neurons_per_chip: Annotated[Limit, has_unit("neurons")] | None = None
    synapse_bits_per_core: Annotated[Limit, has_unit("bit")] | None = None
    memory_bits_per_core: Annotated[Limit, has_unit("bit")] | None = None
    synapses_per_chip: Annotated[Limit, has_unit("synapses")] | None = None
    input_axons_per_core: Annotated[Limit, has_unit("axons")] | None = None
    output_axons_per_core: Annotated[Limit, has_unit("axons")] | None = None
    weight_bits: Annotated[Limit, has_unit("bit")] | None = None
    fan_in: Annotated[Limit, has_unit("synapses")] | None = None
    fan_out: Annotated[Limit, has_unit("synapses")] | None = None
    mean_fan_out: Annotated[Limit, has_unit("synapses")] | None = None
    input_channels: Annotated[Limit, has_unit("channels")] | None = None
    output_channels: Annotated[Limit, has_unit("channels")] | None = None
    layer_channels: Annotated[Limit, has_unit("channels")] | None = None
    destination_layers: Annotated[Limit, has_unit("layers")] | None = None
    kernel_words: Annotated[CoreLimits, has_unit("words")] | None = None
    neuron_words: Annotated[CoreLimits, has_unit("words")] | None = None
    bias_words: Annotated[Limit, has_unit("words")] | None = None
    compartment_configurations: Annotated[Limit, has_unit("configurations")] | None = None
    threshold_configurations: Annotated[Limit, has_unit("configurations")] | None = None
    synapse_configurations: Annotated[Limit, has_unit("configurations")] | None = None


class SynapseEncoding(Strict):
    """How synapses lie in a core's memory: per input axon, in blocks padded to whole words.

    A block of n synapses costs n * (weight + delay + tag [+ index] bits) + ``block_overhead`` bits,
    rounded up to ``word`` bits. The index is stored in the sparse form alone.
    """

    block: Annotated[Count, has_unit("synapses")]
    block_overhead: Bits
    word: Bits
    index_bits: Annotated[Codes, has_unit("bit")]
    delay_bits: Annotated[Span, has_unit("bit")]
    tag_bits: Annotated[Span, has_unit("bit")]


class Integers(Strict):
    """The integers that a synapse and a neuron of the chip can hold; the input of the quantiser.

    A synapse adds weight * 2^(threshold_shift + weight_exp) to the current u; decays are registers of
    ``decay_bits`` bits, u' = u * (2^12 - (decay_u + decay_u_offset)) >> 12; a neuron fires when
    v > threshold_mantissa << threshold_shift (strictly); the bias is bias_mantissa << bias_exp.
    """

    weight_mixed: Integer
    weight_excitatory: Integer
    weight_inhibitory: Integer
    weight_bits: Annotated[Codes, has_unit("bit")]
    weight_exp: Integer
    decay_bits: Bits
    decay_u: Integer
    decay_v: Integer
    decay_u_offset: Annotated[Count, has_unit("1")]
    decay_v_offset: Annotated[Count, has_unit("1")]
    threshold_mantissa: Integer
    threshold_shift: Bits
    bias_mantissa: Integer
    bias_exp: Integer
    delay: Annotated[Span, has_unit("steps")]
    state_bits: Bits
    accumulator_bits: Bits
    graded_payload_bits: Annotated[Limit, has_unit("bit")] | None = None

    def weights(self, sign_mode: SignMode) -> Span:
        """The weights that a synapse group of that sign mode can hold at full width."""
        spans = {
            "mixed": self.weight_mixed,
            "excitatory": self.weight_excitatory,
            "inhibitory": self.weight_inhibitory,
        }
        return spans[sign_mode]

    def weight_step(self, sign_mode: SignMode, bits: int) -> int:
        """The distance of neighbouring weights when each is stored in ``bits`` bits.

        The sign of a mixed group takes one of the bits, so its step is twice as wide.
        """
        return self.weights(sign_mode).step << (max(self.weight_bits.values) - bits)


class Abilities(Strict):
    """What the chip can do at all. A profile that does not state reset_by_subtraction holds none."""

    graded_spikes: Ability
    recurrence: Ability
    convolution: Ability
    delays: Ability
    reset_by_subtraction: Ability | None = None


class EnergyTable(Strict):
    """One source's price list, in pJ an event. What a table does not list, it does not charge.

    ``neuron_active`` and ``neuron_idle``: one update of a neuron that fires, and of one that does not.
    ``spike``: one spike leaving its neuron. ``packet``: one message to one destination core.
    """

    title: str
    synop: Picojoule
    synop_sparse: Picojoule | None = None
    synop_conv: Picojoule | None = None
    neuron_active: Picojoule | None = None
    neuron_idle: Picojoule | None = None
    spike: Picojoule | None = None
    packet: Picojoule | None = None
    hop_ew: Picojoule | None = None
    hop_ns: Picojoule | None = None


class Arithmetic(Strict):
    """Energy of one arithmetic operation or memory access, in pJ, for the dense baselines."""

    fp32_mac: Picojoule
    int8_add: Picojoule
    int8_mac: Picojoule
    int32_add: Picojoule
    sram_8kib_64bit: Picojoule | None = None
    sram_32kib_64bit: Picojoule | None = None
    sram_1mib_64bit: Picojoule | None = None


class Energy(Strict):
    """Price lists by name, the one taken as nominal, and the profiles one may inherit from.

    ``unavailable`` says on whose word there is no price list.
    """

    nominal: str | None = None
    tables: dict[str, EnergyTable] = Field(default_factory=dict)
    inheritable_from: tuple[str, ...] = ()
    inherited_from: str | None = None
    unavailable: Picojoule | None = None
    note: str = ""

    @property
    def available(self) -> bool:
        """Whether any source prices an operation of this chip."""
        return bool(self.tables)

    @model_validator(mode="after")
    def _nominal_is_a_table(self) -> Self:
        if self.tables and self.nominal not in self.tables:
            raise ValueError(f"nominal '{self.nominal}' is not one of the tables ({', '.join(self.tables)})")
        if not self.tables and self.nominal is not None:
            raise ValueError("nominal names a table, and there is none")
        return self


class TimeTable(Strict):
    """One source's durations, in ns an event, and the barrier that ends a step, by active tiles."""

    title: str
    synop: Nanosecond
    synop_sparse: Nanosecond | None = None
    synop_conv: Nanosecond | None = None
    neuron_active: Nanosecond
    neuron_idle: Nanosecond
    spike: Nanosecond | None = None
    packet_in: Nanosecond | None = None
    packet_out: Nanosecond | None = None
    barrier: tuple[Annotated[Point, has_unit("ns")], ...] = ()


class Time(Strict):
    """Durations by source, and the shortest step that the chip can take."""

    nominal: str | None = None
    tables: dict[str, TimeTable] = Field(default_factory=dict)
    min_step: Nanosecond | None = None

    @model_validator(mode="after")
    def _nominal_is_a_table(self) -> Self:
        if self.tables and self.nominal not in self.tables:
            raise ValueError(f"nominal '{self.nominal}' is not one of the tables ({', '.join(self.tables)})")
        return self


class Floor(Strict):
    """What the chip takes whether or not a neuron fires."""

    idle_power: Annotated[Quantity, has_unit("mW")]
    step_time: Annotated[Quantity, has_unit("us")]
    overhead_per_step: Annotated[Quantity, has_unit("uJ")]


class Board(Strict):
    """A board that one can find, by its number of chips."""

    chips: Annotated[Limit, has_unit("chips")]


class Profile(Strict):
    """One chip. Get it by :func:`snn_deploy.hw_profiles.load`."""

    schema_version: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    title: str
    role: Literal["target", "comparison"]
    summary: str
    sources: dict[str, str]
    limits: Limits = Limits()
    encoding: SynapseEncoding | None = None
    integer_formats: Integers | None = Field(default=None, alias="integers")
    supports: Abilities
    energy: Energy = Energy()
    arithmetic: Arithmetic | None = None
    time: Time = Time()
    floor: Floor | None = None
    measurements: dict[str, dict[str, AnyQuantity]] = Field(default_factory=dict)
    boards: dict[str, Board] = Field(default_factory=dict)

    @property
    def integers(self) -> Integers:
        """The integer formats of a target; UsageError for a chip that is here for comparison alone."""
        if self.integer_formats is None:
            raise UsageError(
                f"profile '{self.name}' states no Loihi integer formats: it is here for comparison",
                where="profile",
                found=self.name,
                allowed="a profile of role 'target'",
                remedy="Quantise for loihi1, loihi2 or ideal, then check the fit against this profile.",
            )
        return self.integer_formats

    @model_validator(mode="after")
    def _a_target_has_integers(self) -> Self:
        if self.role == "target" and self.integer_formats is None:
            raise ValueError("a profile of role 'target' needs the section [integers]")
        return self


__all__ = ["SCHEMA_VERSION", "Entry", "Profile", "SignMode"]
