"""The screens between the state bar and the footer, one module each."""

from ._base import PaneView
from ._logs import LogsPane
from ._overview import OverviewPane

__all__ = ["LogsPane", "OverviewPane", "PaneView"]
