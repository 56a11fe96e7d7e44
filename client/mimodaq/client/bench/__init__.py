"""`mimodaq bench`: what this machine reaches, as ratios to limits and peers measured in the same run."""

from __future__ import annotations

from mimodaq.client.bench._bench import FAMILIES, bench, measure
from mimodaq.client.bench._results import Goal, Row, Series

__all__ = ["FAMILIES", "Goal", "Row", "Series", "bench", "measure"]
