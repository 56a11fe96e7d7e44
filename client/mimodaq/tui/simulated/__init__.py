"""A cluster that is not there, for tests, demonstrations and pictures."""

from ._faults import DEMO, Fault, What
from ._feed import SimulatedFeed, demo_setup

__all__ = ["DEMO", "Fault", "SimulatedFeed", "What", "demo_setup"]
