"""Conditions on figures, as an operator writes them: `fill > 0.9 and state == "running"`.

Only comparisons, `and or not`, arithmetic, numbers, texts and names of figures: nothing can be called and nothing
can be reached. A figure that is not known makes the whole condition unknown, which neither raises nor clears an alarm.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Final

Value = float | str | bool | None
"""A figure; None if it is not known."""

_ALLOWED: Final = (
    ast.Expression,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.Name,
    ast.Load,
    ast.Constant,
)
_LONGEST: Final = 500


class ConditionError(Exception):
    """A condition that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that is ready to be asked, many times."""

    text: str
    names: frozenset[str]
    """Figures it needs."""
    _code: CodeType = field(repr=False, compare=False)

    def holds(self, figures: Mapping[str, Value]) -> bool | None:
        """Whether it is true of these figures; None if one of them is not known."""
        if any(figures.get(name) is None for name in self.names):
            return None
        try:
            return bool(eval(self._code, {"__builtins__": {}}, figures))
        except (TypeError, ZeroDivisionError):  # a text compared with a number
            return None


def condition(text: str, known: frozenset[str]) -> Condition:
    """Read a condition; raises ConditionError if it is none, or asks for a figure that is not in `known`."""
    if len(text) > _LONGEST:
        raise ConditionError(f"condition of {len(text)} characters: at most {_LONGEST} are read")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ConditionError(f"condition {text!r}: {error.args[0]}") from error
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise ConditionError(f"condition {text!r}: {type(node).__name__} is not possible here; compare figures")
        if isinstance(node, ast.Constant) and not isinstance(node.value, (int, float, str)):
            raise ConditionError(f"condition {text!r}: {node.value!r} is neither a number nor a text")
    names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    for name in sorted(names - known):
        raise ConditionError(f"condition {text!r}: there is no figure {name!r}; there are {', '.join(sorted(known))}")
    return Condition(text.strip(), names, compile(tree, "<condition>", "eval"))
