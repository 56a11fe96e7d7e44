"""Fit of an exponential decay over a flat background to times, by binned Poisson likelihood.

Model: in a range from t0 to t1 the expected content of the bin from a to b is

    mu = S (exp(-a/tau) - exp(-b/tau)) / (exp(-t0/tau) - exp(-t1/tau)) + B (b - a) / (t1 - t0)

with S decays and B background events in the range. The exponential is integrated over each bin, so wide bins
do not shift tau. S, B and tau are those of the largest likelihood of the contents n under Poisson statistics;
goodness is the likelihood ratio against mu = n, 2 sum(mu - n + n ln(n/mu)), which behaves like chi squared
(S. Baker and R. D. Cousins, Nucl. Instrum. Meth. 221 (1984) 437). For it, bins are joined until each expects
at least 5 events.

Errors are one standard deviation, from the inverse of the expected information matrix; where the fit finds no
background (B = 0, the edge of what is allowed) that of tau is for a model without background.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

FEWEST_EVENTS: Final = 10
_FEWEST_PER_BIN: Final = 5.0
_NO_BACKGROUND: Final = 1e-6


class FitError(ValueError):
    """A fit is not possible with these data; the message says why."""


@dataclass(frozen=True, slots=True)
class DecayFit:
    """Result of a fit; times are in the unit of the data."""

    tau: float
    """Mean life."""
    tau_err: float
    signal: float
    """Decays in the range."""
    signal_err: float
    background: float
    """Background events in the range."""
    background_err: float
    chi2: float
    """Likelihood ratio that behaves like chi squared."""
    ndf: int
    """Number of (joined) bins minus 3 parameters."""
    low: float
    """Range of the fit."""
    high: float
    entries: int
    """Events in the range."""

    @property
    def probability(self) -> float:
        """Probability of a chi squared at least this large; nan without degrees of freedom."""
        from scipy import stats

        return float(stats.chi2.sf(self.chi2, self.ndf)) if self.ndf > 0 else math.nan

    def density(self, times: FloatArray) -> FloatArray:
        """Give the expected number of events per unit of time."""
        norm = self.tau * (math.exp(-self.low / self.tau) - math.exp(-self.high / self.tau))
        return np.asarray(self.signal * np.exp(-times / self.tau) / norm + self.background_density())

    def background_density(self) -> float:
        """Give the expected number of background events per unit of time."""
        return self.background / (self.high - self.low)

    def to_dict(self) -> dict[str, Any]:
        """Give all figures by name, for JSON."""
        return {**asdict(self), "probability": self.probability}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DecayFit:
        """Make the fit that `to_dict` described."""
        return cls(**{name: value for name, value in content.items() if name != "probability"})


def fit_decay(times: npt.ArrayLike, limits: tuple[float, float] | None = None, bins: int | None = None) -> DecayFit:
    """Fit an exponential over a flat background to decay times.

    `times` is 1-D, in any unit; only those in `limits` (low <= t < high; default: all) are used, in `bins`
    equal bins. By default there are as many bins as make them a fiftieth of the range's mean time, at least
    50, so that binning costs no precision. Raises FitError for too few events in the range or a fit that
    finds no decay.
    """
    data = np.asarray(times, dtype=np.float64).reshape(-1)
    data = data[np.isfinite(data)]
    if limits is None:
        if not len(data):
            raise FitError("fitting a decay: there are no times")
        limits = (float(data.min()), float(np.nextafter(data.max(), math.inf)))
    low, high = limits
    if not low < high:
        raise FitError(f"fitting a decay: the range from {low:g} to {high:g} is empty; give the lower limit first")
    data = data[(data >= low) & (data < high)]
    if bins is None:
        mean = float(data.mean()) - low if len(data) else high - low
        bins = int(min(max(50 * (high - low) / mean, 50), 5000)) if mean > 0 else 50
    counts, edges = np.histogram(data, bins=bins, range=(low, high))
    return fit_decay_counts(edges, counts)


def fit_decay_counts(
    edges: npt.ArrayLike, counts: npt.ArrayLike, limits: tuple[float, float] | None = None
) -> DecayFit:
    """Fit an exponential over a flat background to the contents of bins.

    `edges` (n + 1, ascending) and `counts` (n) describe a histogram; of it, the bins lying fully in `limits`
    are used (default: all). Raises FitError if that are too few bins or events, or if the fit finds no decay.
    """
    bounds, contents = _select(np.asarray(edges, dtype=np.float64), np.asarray(counts, dtype=np.float64), limits)
    total = float(contents.sum())
    where = f"fitting a decay between {bounds[0]:g} and {bounds[-1]:g}"
    if total < FEWEST_EVENTS:
        raise FitError(f"{where}: there are {total:g} events; at least {FEWEST_EVENTS} are needed")

    shape = _Shape(bounds)
    tau, part = _maximise(shape, contents, where)
    expected, slopes = shape.model(tau, part)
    if part <= _NO_BACKGROUND:
        part, slopes = 0.0, slopes[:1]
    information = total * (slopes / expected) @ slopes.T
    covariance = np.linalg.inv(information)
    part_variance = float(covariance[1, 1]) if len(covariance) > 1 else 0.0
    chi2, joined = _goodness(contents, total * expected)
    return DecayFit(
        tau=tau,
        tau_err=math.sqrt(float(covariance[0, 0])),
        signal=total * (1 - part),
        signal_err=math.sqrt(total * (1 - part) ** 2 + total**2 * part_variance),
        background=total * part,
        background_err=math.sqrt(total * part**2 + total**2 * part_variance),
        chi2=chi2,
        ndf=joined - 3,
        low=float(bounds[0]),
        high=float(bounds[-1]),
        entries=int(total),
    )


def _select(edges: FloatArray, counts: FloatArray, limits: tuple[float, float] | None) -> tuple[FloatArray, FloatArray]:
    if len(edges) != len(counts) + 1:
        raise FitError(
            f"fitting a decay: {len(edges)} edges and {len(counts)} contents do not belong together; "
            "a histogram has one edge more than bins"
        )
    if limits is not None:
        rounding = 1e-9 * (edges[-1] - edges[0])
        inside = np.flatnonzero((edges >= limits[0] - rounding) & (edges <= limits[1] + rounding))
        edges, counts = edges[inside], counts[inside[:-1]]
    if len(counts) < 4:
        raise FitError(
            f"fitting a decay: only {max(len(counts), 0)} bins lie in the range; at least 4 are needed. "
            "Choose a wider range or narrower bins."
        )
    return edges, counts


class _Shape:
    """Probabilities of the bins of a fixed range as a function of tau and the background's part."""

    def __init__(self, edges: FloatArray) -> None:
        self._from_start = edges - edges[0]  # exp(-t/tau) of large t would underflow
        self.span = float(self._from_start[-1])
        self.flat = np.diff(edges) / self.span

    def model(self, tau: float, part: float) -> tuple[FloatArray, FloatArray]:
        """Give the probabilities and their derivatives by tau and part, shape (2, bins)."""
        falling = np.exp(-self._from_start / tau)
        slope = falling * self._from_start / tau**2
        norm, norm_slope = 1 - falling[-1], -slope[-1]
        decay = -np.diff(falling) / norm
        decay_slope = (-np.diff(slope) - decay * norm_slope) / norm
        return (1 - part) * decay + part * self.flat, np.stack(((1 - part) * decay_slope, self.flat - decay))


def _maximise(shape: _Shape, counts: FloatArray, where: str) -> tuple[float, float]:
    """Give the tau and the background's part (0 to 1) of the largest likelihood."""
    from scipy import optimize

    total = float(counts.sum())

    def cost(parameters: FloatArray) -> tuple[float, FloatArray]:
        tau, part = math.exp(parameters[0]), float(parameters[1])
        expected, slopes = shape.model(tau, part)
        expected = np.maximum(expected, 1e-300)
        gradient = -(counts / expected) @ slopes.T / total
        return -float(counts @ np.log(expected)) / total, np.array([gradient[0] * tau, gradient[1]])

    bounds = [(math.log(shape.span / 1000), math.log(shape.span * 10)), (0.0, 1 - 1e-6)]
    middle = float(counts @ ((shape.flat.cumsum() - shape.flat / 2) * shape.span)) / total
    best = None
    for guess, part in ((middle, 0.01), (middle / 3, 0.3), (middle / 10, 0.7)):
        start = [float(np.clip(math.log(guess), *bounds[0])), part]
        found = optimize.minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14})
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    if not bounds[0][0] < best.x[0] < bounds[0][1] - 1e-6 or best.x[1] > 1 - 1e-3:
        raise FitError(f"{where}: the times do not fall exponentially; choose another range or look at the data")
    return math.exp(best.x[0]), float(best.x[1])


def _goodness(counts: FloatArray, expected: FloatArray) -> tuple[float, int]:
    """Give the likelihood-ratio chi squared and the number of bins after joining those that expect little."""
    starts, gathered = [0], 0.0
    for index, content in enumerate(expected):
        if gathered >= _FEWEST_PER_BIN:
            starts.append(index)
            gathered = 0.0
        gathered += content
    if gathered < _FEWEST_PER_BIN and len(starts) > 1:
        starts.pop()
    n, mu = np.add.reduceat(counts, starts), np.add.reduceat(expected, starts)
    logs = np.where(n > 0, n * np.log(np.where(n > 0, n, 1.0) / mu), 0.0)
    return float(2 * (mu - n + logs).sum()), len(starts)
