"""Links: the events of a ring on one host, in the mirror of that ring on another; nothing lost, nothing twice."""

from mimodaq.link._drop import dropped_place, let_go
from mimodaq.link._order import LinkError, LinkOrder, WindowOrder
from mimodaq.link._window import View, Window

__all__ = ["LinkError", "LinkOrder", "View", "Window", "WindowOrder", "dropped_place", "let_go"]
