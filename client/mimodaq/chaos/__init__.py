"""Break a cluster on purpose, replayably, and account for every event afterwards: `mimodaq chaos`."""

from mimodaq.chaos._chaos import ChaosRequest, chaos

__all__ = ["ChaosRequest", "chaos"]
