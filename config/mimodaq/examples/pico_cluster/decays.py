"""Find double pulses in counts of a scope."""

import numpy as np

from mimodaq.functions.physics import DoublePulseConfig, DoublePulseFinder
from mimodaq.picoscope import volts

SAMPLES = 4000
_WAVES = np.dtype([("chA", "<f4", (SAMPLES,)), ("chB", "<f4", (SAMPLES,))])
_finder = DoublePulseFinder(DoublePulseConfig(sample_time_ns=4.0, sign=-1, pre_trigger_samples=200), _WAVES)


def find(event):
    """A filter: counts in; the decay time, and the event itself, out, if there is a second pulse."""
    waves = np.zeros(1, _WAVES)
    for name, signal in volts(event).items():
        waves[name] = signal
    found = _finder.fields(_finder.find(waves))
    if not found["decay_time_us"][0]:
        return None
    return [event, {"decay_time_us": found["decay_time_us"][0], "chA_dt_us": found["chA_dt_us"][0]}]
