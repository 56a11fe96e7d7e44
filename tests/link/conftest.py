"""The fixtures that the link tests share with those of the ring."""

from __future__ import annotations

from ring.conftest import dead, fresh_name, new_ring, ring

__all__ = ["dead", "fresh_name", "new_ring", "ring"]
