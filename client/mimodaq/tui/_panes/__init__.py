"""The screens between the state bar and the footer, one module each."""

from ._alarms import AlarmsPane
from ._base import PaneView
from ._config import ConfigPane
from ._event import EventPane
from ._hist import HistPane
from ._logs import LogsPane
from ._overview import OverviewPane
from ._runs import RunsPane
from ._topology import TopologyPane

__all__ = [
    "AlarmsPane",
    "ConfigPane",
    "EventPane",
    "HistPane",
    "LogsPane",
    "OverviewPane",
    "PaneView",
    "RunsPane",
    "TopologyPane",
]
