"""Links: the events of a ring on one host, in the mirror of that ring on another; nothing lost, nothing twice."""

from mimodaq.link._copies import Lookout
from mimodaq.link._drop import dropped_place, let_go
from mimodaq.link._order import LinkError, LinkOrder, WindowOrder
from mimodaq.link._sampling import Sample
from mimodaq.link._window import View, Window

__all__ = ["LinkError", "LinkOrder", "Lookout", "Sample", "View", "Window", "WindowOrder", "dropped_place", "let_go"]
