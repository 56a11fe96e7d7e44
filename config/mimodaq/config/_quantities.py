"""Numbers with units as people write them: `4 ns`, `500 mV`, `2 h`, `1.5 GB`."""

from __future__ import annotations

import math
import re
from decimal import Decimal, DecimalException

from ._problems import nearest, show

_PREFIXES = {
    "f": "1e-15",
    "p": "1e-12",
    "n": "1e-9",
    "u": "1e-6",
    "µ": "1e-6",  # U+00B5, the key on the keyboard
    "μ": "1e-6",  # U+03BC, the Greek letter
    "m": "1e-3",
    "": "1",
    "k": "1e3",
    "M": "1e6",
    "G": "1e9",
    "T": "1e12",
}
_BASES = {
    "s": "time",
    "V": "voltage",
    "A": "current",
    "Hz": "frequency",
    "B": "size",
    "eV": "energy",
    "ohm": "resistance",
    "Ω": "resistance",
    "F": "capacitance",
    "C": "charge",
    "m": "length",
}
_OTHERS = {
    "min": ("time", "60"),
    "h": ("time", "3600"),
    "d": ("time", "86400"),
    "KB": ("size", "1e3"),
    "KiB": ("size", "1024"),
    "MiB": ("size", str(1024**2)),
    "GiB": ("size", str(1024**3)),
    "TiB": ("size", str(1024**4)),
    "%": ("fraction", "0.01"),
    "": ("fraction", "1"),
}
_UNITS: dict[str, tuple[str, Decimal]] = {
    **{p + b: (kind, Decimal(factor)) for b, kind in _BASES.items() for p, factor in _PREFIXES.items()},
    **{unit: (kind, Decimal(factor)) for unit, (kind, factor) in _OTHERS.items()},
}
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S*)\s*")


class QuantityError(ValueError):
    """A text is not a number with a unit of the wanted kind; the message says what would be."""


def parse_quantity(text: str | float, unit: str) -> float:
    """The value of `text` in `unit`: `parse_quantity("4 ns", "s")` is 4e-9.

    A number, or a text without a unit, is taken to be in `unit` already. Units are those of time (s with
    SI prefixes f p n u m k M G T, min, h, d), voltage (V), current (A), frequency (Hz), size (B with SI
    prefixes, KiB, MiB, GiB, TiB), energy (eV), resistance (ohm), capacitance (F), charge (C), length (m),
    and for a plain fraction (`unit=""`) `%`. The conversion is exact to the last digit of a float.

    Raises `QuantityError` for anything else: no number, an unknown unit, a unit of another kind, a
    value that is not finite.
    """
    wanted_kind, wanted_factor = _UNITS[unit]
    match = None if isinstance(text, bool) else _QUANTITY.fullmatch(str(text))
    if match is None:
        raise QuantityError(f"expected a number{_example(unit)}, found {show(text)}")
    number, found_unit = match.groups()
    kind, factor = _UNITS.get(found_unit or unit, ("", Decimal(0)))
    if not kind:
        near = nearest(found_unit, (u for u, (k, _) in _UNITS.items() if k == wanted_kind))
        hint = f"; did you mean {near!r}?" if near else f"; use for example {unit!r}"
        raise QuantityError(f"unknown unit {found_unit!r} in {show(text)}{hint}")
    if kind != wanted_kind:
        raise QuantityError(f"{show(text)} is a {kind}, but a {wanted_kind} is needed{_example(unit)}")
    try:
        value = float(Decimal(number) * factor / wanted_factor)
    except DecimalException:
        value = math.inf
    if math.isinf(value):
        raise QuantityError(f"{show(text)} is too large")
    return value


def _example(unit: str) -> str:
    return f", for example '2 {unit}'" if unit else ", for example '5 %'"
