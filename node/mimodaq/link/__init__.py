"""Links: the events of a ring on one host, in the mirror of that ring on another; nothing lost, nothing twice."""

from mimodaq.link._order import LinkError, LinkOrder

__all__ = ["LinkError", "LinkOrder"]
