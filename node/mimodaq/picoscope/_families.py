"""What distinguishes the families of scopes; one row each, so that the adapters need no special cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

RANGES: Final[Mapping[float, int]] = {
    0.01: 0,
    0.02: 1,
    0.05: 2,
    0.1: 3,
    0.2: 4,
    0.5: 5,
    1.0: 6,
    2.0: 7,
    5.0: 8,
    10.0: 9,
    20.0: 10,
    50.0: 11,
}
"""Code of each input range by its limit in V (+-). A model supports a part of them, which only it knows."""

EXTERNAL_RANGE_V: Final = 5.0
EXTERNAL_FULL_SCALE: Final = 32767
"""The external trigger input has a range and counts of its own."""


@dataclass(frozen=True, slots=True)
class Family:
    """One family of scopes, that is one library of the vendor."""

    name: str
    channels: str = "ABCD"
    resolutions: Mapping[int, int] = field(default_factory=lambda: {8: 0})
    """Code of each resolution in bits that can be chosen; one entry: it cannot."""
    full_scales: Mapping[int, int] = field(default_factory=lambda: {8: 32512})
    """Counts at the upper end of the range for each resolution; what the device says is compared with it."""
    fastest_ns: Mapping[int, float] = field(default_factory=lambda: {8: 1.0})
    """Shortest sample interval of any model at each resolution."""
    external: Mapping[str, int] = field(default_factory=lambda: {"EXT": 4, "AUX": 5})
    """Codes of the trigger inputs that are no channels."""
    couplings: Mapping[str, int] = field(default_factory=lambda: {"AC": 0, "DC": 1})
    bandwidths: Mapping[float, int] = field(default_factory=dict)
    """Code of each bandwidth limit in Hz; 0 is full bandwidth."""
    ranges: Mapping[float, int] = field(default_factory=lambda: RANGES)
    has_trigger_info: bool = True
    """Whether the hardware trigger counter can be read (depends on the model, too)."""
    has_power_source: bool = True
    """Whether the family asks about its power supply when opened."""
    opens_with_resolution: bool = False
    has_oversample: bool = False
    """Whether RunBlock and GetTimebase2 have the old oversample argument."""
    generator: str = "SetSigGenBuiltIn"
    """The call that starts the signal generator."""

    @property
    def package(self) -> str:
        """The vendor's package with the library."""
        return f"lib{self.name}"

    @property
    def default_bits(self) -> int:
        """Resolution that is used when none is asked for."""
        return min(self.resolutions)


_FULL: Final = {0.0: 0}

FAMILIES: Final[Mapping[str, Family]] = {
    family.name: family
    for family in (
        Family("ps2000a", has_trigger_info=False, has_power_source=False, has_oversample=True),
        Family("ps3000a", bandwidths={**_FULL, 20e6: 1}, has_oversample=True),
        Family(
            "ps4000a",
            channels="ABCDEFGH",
            resolutions={12: 1},
            full_scales={12: 32767},
            fastest_ns={12: 2.5},
            external={"EXT": 8, "AUX": 9},
            bandwidths={**_FULL, 20e3: 1, 100e3: 2, 1e6: 3},
            ranges={**RANGES, 100.0: 12, 200.0: 13},
            has_trigger_info=False,
        ),
        Family(
            "ps5000a",
            resolutions={8: 0, 12: 1, 14: 2, 15: 3, 16: 4},
            full_scales={8: 32512, 12: 32767, 14: 32767, 15: 32767, 16: 32767},
            fastest_ns={8: 1.0, 12: 2.0, 14: 8.0, 15: 8.0, 16: 16.0},
            bandwidths={**_FULL, 20e6: 1},
            opens_with_resolution=True,
            generator="SetSigGenBuiltInV2",  # the only one that picosdk binds
        ),
        Family(
            "ps6000",
            fastest_ns={8: 0.2},
            couplings={"AC": 0, "DC": 1, "DC50": 2},
            bandwidths={**_FULL, 20e6: 1, 25e6: 2},
            has_power_source=False,
            has_oversample=True,
        ),
        Family(
            "ps6000a",
            channels="ABCDEFGH",
            resolutions={8: 0, 10: 10, 12: 1},
            full_scales={8: 32512, 10: 32704, 12: 32736},
            fastest_ns={8: 0.2, 10: 0.2, 12: 0.4},
            external={"AUX": 1001},
            couplings={"AC": 0, "DC": 1, "DC50": 50},
            bandwidths={**_FULL, 20e6: 20_000_000, 25e6: 25_000_000, 250e6: 250_000_000, 500e6: 500_000_000},
            has_power_source=False,
            opens_with_resolution=True,
        ),
    )
}
"""The families that are supported."""

AUTO_ORDER: Final = ("ps3000a", "ps5000a", "ps2000a", "ps4000a", "ps6000a", "ps6000")
"""Where `family: auto` looks, in this order."""
