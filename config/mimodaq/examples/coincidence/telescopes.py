"""Two simulated muon telescopes that see the same muons, each with a clock and noise of its own."""

import numpy as np

START_S = 1_767_225_600.0  # 2026-01-01 00:00 UTC
MUONS, NOISE, DETECTOR = 1, 2, 3  # kinds of random numbers that one seed is used for


def hits(
    telescope: int,
    *,
    seed: int = 1,
    duration_s: float = 30.0,
    muon_rate_hz: float = 20.0,
    noise_rate_hz: float = 4000.0,
    efficiency: float = 0.95,
    offset_ns: float = 0.0,
    jitter_ns: float = 20.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Give the times (ns since the start, by the telescope's own clock) and the muons (number, -1 = noise) of its hits.

    The muons depend on the seed alone, so that all telescopes see the same ones, on whatever host they are.
    """
    duration_ns = 1e9 * duration_s
    sky = np.random.default_rng([seed, MUONS])
    passages = np.sort(sky.uniform(0, duration_ns, sky.poisson(muon_rate_hz * duration_s)))
    detector = np.random.default_rng([seed, DETECTOR, telescope])
    seen = np.flatnonzero(detector.uniform(size=len(passages)) < efficiency)
    dark = np.random.default_rng([seed, NOISE, telescope])
    noise = dark.uniform(0, duration_ns, dark.poisson(noise_rate_hz * duration_s))
    times = np.concatenate([passages[seen] + detector.normal(0, jitter_ns, len(seen)), noise]) + offset_ns
    muons = np.concatenate([seen, np.full(len(noise), -1)])
    order = np.argsort(times)
    return np.rint(times[order]).astype(np.int64), muons[order]


def telescope(
    *,
    telescope: int = 1,
    seed: int = 1,
    duration_s: float = 30.0,
    muon_rate_hz: float = 20.0,
    noise_rate_hz: float = 4000.0,
    efficiency: float = 0.95,
    offset_ns: float = 0.0,
    jitter_ns: float = 20.0,
):
    """The readout of one telescope: yields its hits as fast as they are taken."""
    times, muons = hits(
        telescope,
        seed=seed,
        duration_s=duration_s,
        muon_rate_hz=muon_rate_hz,
        noise_rate_hz=noise_rate_hz,
        efficiency=efficiency,
        offset_ns=offset_ns,
        jitter_ns=jitter_ns,
    )
    for number, (t_ns, muon) in enumerate(zip(times.tolist(), muons.tolist(), strict=True)):
        yield {"t_ns": t_ns, "muon": muon}, (number, START_S + 1e-9 * t_ns, 0.0)
