"""Height and charge of the pulse at the trigger."""

import numpy as np

from mimodaq.picoscope import volts


def measure(event, *, pre_trigger_samples=100, sample_time_ns=4.0, ohm=50.0):
    """A filter: counts of the scope in, height (V) and charge (pC) of a positive pulse out."""
    signal = volts(event)["chA"]
    base = np.median(signal[: pre_trigger_samples // 2])
    pulse = signal - base
    charge = pulse[pre_trigger_samples // 2 :].sum() * sample_time_ns / ohm * 1000
    return {"height": pulse.max(), "charge": charge, "overflow": event["overflow"]}
