"""Watching a cluster: the snapshot all viewers show, the figures in it, the rules that make alarms of them.

Pure code: no clock, no sockets, no terminal. Viewers (the command line, the operator's screens) feed messages and show.
"""

from ._alarms import Act, Alarm, Alarms
from ._default_rules import DEFAULT_RULES
from ._edges import Edge, Graph, graph_of
from ._expression import Condition, ConditionError, Value, condition
from ._figures import FIGURES, Figures, Subject
from ._history import History
from ._preflight import Check, Grade, preflight
from ._rule_table import rules_from
from ._rules import ACTIONS, Level, Rule, RuleError, rule
from ._snapshot import STALE_S, Assembler, Snapshot

__all__ = [
    "ACTIONS",
    "DEFAULT_RULES",
    "FIGURES",
    "STALE_S",
    "Act",
    "Alarm",
    "Alarms",
    "Assembler",
    "Check",
    "Condition",
    "ConditionError",
    "Edge",
    "Figures",
    "Grade",
    "Graph",
    "History",
    "Level",
    "Rule",
    "RuleError",
    "Snapshot",
    "Subject",
    "Value",
    "condition",
    "graph_of",
    "preflight",
    "rule",
    "rules_from",
]
