"""Your own source and filter: ordinary functions. Options are keyword arguments; the setup sets them in `config:`."""

import numpy as np


def source(*, events: int = 1000, samples: int = 200):
    """Yield one event after the other: an array of shape (channels, samples)."""
    rng = np.random.default_rng(1)
    time = np.arange(samples)
    for _ in range(events):
        waveform = rng.normal(0.0, 0.05, samples)
        start = rng.integers(20, 150)
        waveform[start:] += rng.exponential(1.0) * np.exp(-(time[start:] - start) / 10.0)
        yield waveform[np.newaxis]


def find(event, *, threshold: float = 0.5):
    """Get one event, answer None to drop it or the fields of the output buffer."""
    waveform = event["ch"]
    if waveform.max() < threshold:
        return None
    return {"height": waveform.max(), "position": waveform.argmax()}
