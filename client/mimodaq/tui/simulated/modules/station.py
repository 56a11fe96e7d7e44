"""Functions of the experiment in `setup.yaml`: two scintillators at each of two stations."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLES = 1000


def readout(
    *, sample_time_ns: float = 4.0, pre_trigger_samples: int = 200, trigger_level: float = -30.0, seed: int = 1
) -> Iterator[npt.NDArray[np.float32]]:
    """Pulses with noise in both channels, each deep enough for the trigger."""
    generator = np.random.default_rng(seed)
    time_ns = (np.arange(SAMPLES) - pre_trigger_samples) * sample_time_ns
    shape = np.where(time_ns > 0, np.exp(-time_ns / 100.0), 0.0)
    while True:
        heights = -trigger_level + generator.exponential(100.0, (2, 1))
        yield (generator.normal(0.0, 1.5, (2, SAMPLES)) - heights * shape).astype(np.float32)


def find_pulses(event: Any, *, threshold: float = 30.0, sample_time_ns: float = 4.0) -> Mapping[str, float] | None:
    """Height of the pulse in each channel and the time between them; None unless both are above `threshold`."""
    first, second = -event["chA"], -event["chB"]
    if min(first.max(), second.max()) < threshold:
        return None
    delay = float(np.argmax(second) - np.argmax(first)) * sample_time_ns
    return {"height_A": float(first.max()), "height_B": float(second.max()), "delay": delay}


def merge(io: Any) -> None:
    """Pass on what comes from any station, until all have ended."""
    going_on = list(io.readers)
    while going_on:
        for reader in list(going_on):
            try:
                event = reader.get(timeout=0.05)
            except TimeoutError:
                continue
            if event is None:
                going_on.remove(reader)
            else:
                io.writer.put(event)
