"""The option `simulation` of `driver: simulate`: what the scope that does not exist sees, and what happens to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mimodaq.picoscope._fake import Script
from mimodaq.picoscope._options import Fault, Options
from mimodaq.picoscope._signals import Pattern, Pulses, Recording, Signal


def read_simulation(given: Mapping[str, Any], edge: str, folder: Path, faults: list[Fault]) -> Script:
    """The script of a simulation; mistakes are added to `faults`. Pulses go to the side the trigger looks at."""
    options = Options(given, "simulation: ", faults, "simulation")
    script = Script(
        serials=(str(options.get("serial", "SIM/0001")),),
        rate_hz=options.quantity("rate", "Hz", 100.0, 0.0),
        seed=options.whole("seed", 1, 0, 2**31),
        unplug_after=options.whole("unplug_after", 0, 0, 2**31),
        failed_opens=options.whole("failed_opens", 0, 0, 2**31),
    )
    script.signal = _signal(options, edge, folder, script.seed)
    options.finish()
    return script


def _signal(options: Options, edge: str, folder: Path, seed: int) -> Signal:
    pulses = Pulses(
        seed=seed,
        height_v=options.quantity("height", "V", 0.1, 0.0),
        least_v=options.quantity("least_height", "V", 0.04, 0.0),
        sign=1 if edge in ("rising", "above") else -1,
        noise_v=options.quantity("noise", "V", 0.001, 0.0),
        decay_ns=options.quantity("decay", "s", 4e-8, 1e-10) * 1e9,
        efficiency=options.quantity("efficiency", "", 0.95, 0.0),
        stopped=options.quantity("stopped", "", 0.1, 0.0),
        lifetime_ns=options.quantity("lifetime", "s", 2.197e-6, 1e-10) * 1e9,
    )
    recording = options.get("recording")
    if options.choice("signal", ("pulses", "pattern"), "pulses") == "pattern":
        return Pattern()
    if recording is None:
        return pulses
    try:
        return Recording.read(folder / str(recording))
    except (OSError, ValueError) as error:
        options.fault("recording", f"{error}")
        return pulses
