"""The keys of mimoCoRB2's PicoScope importer and of picoDAQ, translated into ours.

mimoCoRB2: one key a channel (`channelA_range`), voltages in mV, a raw timebase number of the 3000A family. picoDAQ:
lists side by side (`picoChannels`, `ChanRanges`), voltages in V, times in s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mimodaq.picoscope._options import Fault

_MIMOCORB: Final = frozenset({"channel_range", "timebase", "number_of_memory_segments", "trigger_level"})
_PICODAQ: Final = frozenset({"PSmodel", "picoChannels"})
_NO_EFFECT: Final = frozenset({"PSmodel", "NBuffers", "verbose", "logTime", "mode"})
"""Keys of picoDAQ that say how its own programs behave."""


def translate(config: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """The options in our own keys; those that are in them already are taken as they are."""
    if _PICODAQ & config.keys():
        return _from_picodaq(config, faults)
    if _MIMOCORB & config.keys() and "channels" not in config:
        return _from_mimocorb(config, faults)
    return dict(config)


def _from_mimocorb(config: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    left = dict(config)
    common_range, common_offset = left.pop("channel_range", None), left.pop("analogue_offset", 0.0)
    common_coupling = left.pop("coupling", "DC")
    letters = [c for c in "ABCD" if f"channel{c}_range" in left or common_range is not None]
    channels = {}
    for letter in letters:
        channels[letter] = {
            "range": _mv(left.pop(f"channel{letter}_range", common_range)),
            "offset": f"{left.pop(f'analogue_offset_ch{letter}', common_offset)} V",
            "coupling": left.pop(f"coupling_ch{letter}", common_coupling),
        }
    trigger: dict[str, Any] = {"source": left.pop("trigger_channel", "A")}
    trigger["level"] = _mv(left.pop("trigger_level", 0))
    trigger["edge"] = str(left.pop("trigger_direction", "rising")).lower()
    if trigger["edge"] == "none":  # the driver's word for rising
        trigger["edge"] = "rising"
    out: dict[str, Any] = {"channels": channels, "trigger": trigger, "unit": "mV", "channels_from_buffer": True}
    if "timebase" in left:
        number = left.pop("timebase")
        if type(number) is not int or number < 0:
            faults.append(Fault("timebase", f"timebase: a whole number is expected, {number!r} found"))
            number = 2
        out |= {"family": "ps3000a", "sample_interval": f"{2**number if number < 3 else (number - 2) * 8} ns"}
    elif "sample_time_ns" in left:
        out["sample_interval"] = f"{left.pop('sample_time_ns')} ns"
    for theirs, ours in (("pre_trigger_samples", "pre_trigger"), ("number_of_samples", "samples")):
        if theirs in left:
            out[ours] = left.pop(theirs)
    if "number_of_memory_segments" in left:
        out["batch"] = {"captures": left.pop("number_of_memory_segments")}
    return {**out, **left}


def _mv(value: Any) -> str:
    return value if isinstance(value, str) else f"{value} mV"


def _from_picodaq(config: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    left = dict(config)
    letters = left.pop("picoChannels", ["A", "B"])
    if not isinstance(letters, Sequence) or isinstance(letters, str):
        faults.append(Fault("picoChannels", f"picoChannels: a list is expected, {letters!r} found"))
        letters = []
    columns = {
        "range": _column(left.pop("ChanRanges", None), letters, "ChanRanges", faults),
        "offset": _column(left.pop("ChanOffsets", None), letters, "ChanOffsets", faults),
        "coupling": _column(left.pop("ChanModes", None), letters, "ChanModes", faults),
    }
    channels = {
        letter: {key: column[i] for key, column in columns.items() if column} for i, letter in enumerate(letters)
    }
    active = left.pop("trgActive", True)
    trigger: dict[str, Any] = {
        "source": left.pop("trgChan", "A") if active else "none",
        "level": left.pop("trgThr", 0.0),
        "edge": str(left.pop("trgTyp", "Rising")).lower(),
    }
    timeout_ms = left.pop("trgTO", 0)
    if timeout_ms:
        trigger["auto"] = f"{timeout_ms} ms"
    out: dict[str, Any] = {"channels": channels, "trigger": trigger}
    if "PSmodel" in left:
        out["family"] = f"ps{left['PSmodel']}"
    if "Nsamples" in left:
        out["samples"] = left.pop("Nsamples")
    if "sampleTime" in left:  # the length of a whole record
        out["sample_interval"] = float(left.pop("sampleTime")) / (out.get("samples") or 1)
    if "pretrig" in left:
        out["pre_trigger"] = f"{100 * float(left.pop('pretrig')):g} %"
    frequency = left.pop("frqSG", 0)
    if frequency:
        amplitude = left.pop("PkToPkSG", 0.4)
        out["signal_generator"] = {
            "frequency": frequency,
            "amplitude": amplitude,
            "offset": left.pop("offsetVoltageSG", 0),
        }
    for key in ("PkToPkSG", "offsetVoltageSG", "waveTypeSG", "swpTypeSG", "stopFrqSG"):  # a switched-off generator's
        left.pop(key, None)
    return {**out, **{key: value for key, value in left.items() if key not in _NO_EFFECT}}


def _column(values: Any, letters: Sequence[Any], key: str, faults: list[Fault]) -> list[Any]:
    """One value a channel; an empty list if none are given."""
    if values is None:
        return []
    column = list(values) if isinstance(values, list | tuple) else [values]
    if len(column) < len(letters):
        faults.append(Fault(key, f"{key}: {len(column)} values for {len(letters)} channels"))
        return []
    return column
