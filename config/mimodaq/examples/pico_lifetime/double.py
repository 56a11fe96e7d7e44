"""Keep the events in which a second pulse follows the one that has triggered."""

import numpy as np

from mimodaq.functions.physics import DoublePulseConfig, DoublePulseFinder

_finders = {}


def has_second(batch, *, sample_time_ns=4.0, pre_trigger_samples=200):
    """A filter of batches: true for every event that is kept."""
    dtype = batch.events.dtype
    if dtype not in _finders:
        config = DoublePulseConfig(sample_time_ns=sample_time_ns, sign=-1, pre_trigger_samples=pre_trigger_samples)
        _finders[dtype] = DoublePulseFinder(config, dtype)
    return np.array([found.combined > 0 for found in _finders[dtype].find(batch.events)])
