"""Event building: merge the buffers of several sources by trigger counter or by time.

`build_events` is the built-in function of a setup. What belongs together is decided by `Builder`, which is pure and
may be used by itself.
"""

from mimodaq.functions.building._build_events import BuildError, build_events
from mimodaq.functions.building._builder import Builder, Built, Quality

__all__ = ["BuildError", "Builder", "Built", "Quality", "build_events"]
